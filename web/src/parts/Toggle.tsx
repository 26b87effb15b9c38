// A switch: a native checkbox with its words.
interface ToggleProps {
  label: string;
  on: boolean;
  onSwitch: (on: boolean) => void;
}

export function Toggle({ label, on, onSwitch }: ToggleProps) {
  return (
    <label class="toggle">
      <input type="checkbox" checked={on} onChange={(event) => onSwitch(event.currentTarget.checked)} />
      <span>{label}</span>
    </label>
  );
}
