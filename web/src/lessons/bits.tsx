// The 256 bits of a hash as a grid: filled is 1, empty is 0, a ring marks what changed.
import { say } from "../words";
import { changedBits, isSet } from "./bits_changed";

const SIDE = 16;
const CELL = 12;

export function Cells({ title, bytes, other }: { title: string; bytes: Uint8Array; other: Uint8Array }) {
  const changed = changedBits(bytes, other);
  const size = SIDE * CELL;
  return (
    <figure class="bits">
      <figcaption>{title}</figcaption>
      <svg width={size} height={size} role="img" aria-label={say("lessons.bits_picture", { title, n: changed })}>
        {Array.from({ length: SIDE * SIDE }, (_, bit) => {
          const [x, y] = [(bit % SIDE) * CELL, Math.floor(bit / SIDE) * CELL];
          const differs = isSet(bytes, bit) !== isSet(other, bit);
          const kind = `${isSet(bytes, bit) ? "one" : "zero"}${differs ? " differs" : ""}`;
          return <rect class={kind} x={x + 2} y={y + 2} width={CELL - 4} height={CELL - 4} rx={2} />;
        })}
      </svg>
    </figure>
  );
}
