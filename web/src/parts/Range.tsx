// A native slider with its label and value in words.
interface RangeProps {
  label: string;
  min: number;
  max: number;
  step?: number;
  value: number;
  /** The value as the reader and a screen reader have it. */
  words: string;
  onValue: (value: number) => void;
}

export function Range({ label, min, max, step = 1, value, words, onValue }: RangeProps) {
  return (
    <label class="range">
      <span>{label}</span>
      <input
        type="range"
        min={min}
        max={max}
        step={step}
        value={value}
        aria-valuetext={words}
        onInput={(event) => onValue(Number(event.currentTarget.value))}
      />
      <output>{words}</output>
    </label>
  );
}
