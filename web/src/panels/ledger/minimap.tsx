// The whole chain in one line, where it is wider than the panel: what is seen, what is broken.
import { useComputed } from "@preact/signals";
import type { LedgerModel } from "./model";

const STEP = 4, BAR = 6;
const RANKS = { fine: 0, above: 1, broken: 2 } as const;
const WORDS = ["fine", "above", "broken"] as const;

interface MinimapProps {
  model: LedgerModel;
  width: number;
  /** Which part of the whole is seen, both from 0 to 1. */
  left: number;
  share: number;
  onMove: (left: number) => void;
}

export function Minimap({ model, width, left, share, onMove }: MinimapProps) {
  const spans = useComputed(() => spansOf(model));
  const count = spans.value.length, unit = width / Math.max(count, 1);
  const move = (event: PointerEvent) => {
    if (event.buttons !== 1) return;
    const { left: start } = (event.currentTarget as Element).getBoundingClientRect();
    onMove((event.clientX - start) / width - share / 2);
  };
  return (
    <svg class="ledger-map" width={width} height={24} aria-hidden="true" onPointerDown={move} onPointerMove={move}>
      {spans.value.map(({ worst, stale }, at) => (
        <g key={at}>
          <rect class={WORDS[worst]} x={at * unit} y={4} width={Math.max(unit - (unit > 3 ? 1.5 : 0), 1)} height={BAR} />
          {stale && <rect class="stale" x={at * unit} y={4 + BAR + 3} width={Math.max(unit - 1.5, 1)} height={3} />}
        </g>
      ))}
      <rect class="seen" x={left * width} y={1} width={share * width} height={22} />
    </svg>
  );
}

/** The worst block and whether there are stale ones, for each of a few hundred spans of heights. */
function spansOf(model: LedgerModel): { worst: number; stale: boolean }[] {
  const { columns, places } = model.grown.value, stands = model.stands.value;
  const per = Math.ceil(columns.length / (1400 / STEP));
  return Array.from({ length: Math.ceil(columns.length / per) }, (_, at) => {
    const hashes = columns.slice(at * per, (at + 1) * per).flat();
    const mains = hashes.filter((hash) => places.get(hash)!.block.main);
    return { worst: Math.max(0, ...mains.map((hash) => RANKS[stands.get(hash)!.standing])), stale: mains.length < hashes.length };
  });
}
