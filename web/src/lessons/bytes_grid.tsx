// Bytes in rows of eight, one tab stop: arrow keys move, Enter chooses a byte.
import { useSignal } from "@preact/signals";
import { useRef } from "preact/hooks";
import { say } from "../words";

const ROW = 8;
const STEPS: Record<string, number> = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -ROW, ArrowDown: ROW };

interface BytesProps {
  bytes: Uint8Array;
  changed: number | null;
  onByte: (place: number) => void;
}

export function Bytes({ bytes, changed, onByte }: BytesProps) {
  const box = useRef<HTMLDivElement>(null);
  const at = useSignal(0);
  const move = (event: KeyboardEvent) => {
    const step = STEPS[event.key];
    if (step === undefined) return;
    event.preventDefault();
    at.value = Math.min(bytes.length - 1, Math.max(0, at.value + step));
    box.current?.querySelectorAll("button")[at.value]?.focus();
  };
  const rows = Array.from({ length: Math.ceil(bytes.length / ROW) }, (_, row) => row * ROW);
  return (
    <div class="bytes scroll" ref={box} role="grid" aria-label={say("lessons.bytes_grid")} onKeyDown={move}>
      {rows.map((start) => (
        <div role="row">
          {[...bytes.subarray(start, start + ROW)].map((byte, column) => (
            <span role="gridcell">
              <button
                class={start + column === changed ? "hash flipped" : "hash"}
                tabIndex={start + column === at.value ? 0 : -1}
                aria-label={say("lessons.byte", { place: start + column, value: byte.toString(16).padStart(2, "0") })}
                onFocus={() => (at.value = start + column)}
                onClick={() => onByte(start + column)}
              >
                {byte.toString(16).padStart(2, "0")}
              </button>
            </span>
          ))}
        </div>
      ))}
    </div>
  );
}
