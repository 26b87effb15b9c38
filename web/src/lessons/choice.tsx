// One of a few answers.
interface ChoiceProps {
  name: string;
  options: readonly { id: string; words: string }[];
  chosen: string | null;
  onChoose: (id: string) => void;
}

export function Choice({ name, options, chosen, onChoose }: ChoiceProps) {
  return (
    <div class="choices">
      {options.map(({ id, words }) => (
        <label class="option">
          <input type="radio" name={name} checked={chosen === id} onChange={() => onChoose(id)} />
          <span>{words}</span>
        </label>
      ))}
    </div>
  );
}
