// A chart with two axes: lines with their labels, dots, and the reader's guess.
import { linePath } from "../parts/paths";
import { say } from "../words";
import { short } from "./short";

export interface Axis {
  label: string;
  low: number;
  high: number;
  ticks: readonly number[];
  /** Words of the ticks, where they are not the numbers. */
  words?: readonly string[];
}

export interface ChartProps {
  width: number;
  /** What the picture shows, for those who do not see it. */
  name: string;
  x: Axis;
  y: Axis;
  lines?: readonly { points: readonly (readonly [number, number])[]; kind: string; label: string }[];
  dots?: readonly { x: number; y: number; kind: string }[];
  /** The reader's points, joined by a line. */
  guess?: readonly { x: number; y: number }[];
  onPoint?: ((x: number, y: number) => void) | undefined;
}

const LEFT = 40;
const RIGHT = 84;
const TOP = 22;
const BOTTOM = 44;

interface Plan {
  x: Axis;
  y: Axis;
  room: number;
  height: number;
  /** Pixels of the whole axes. */
  across: number;
  up: number;
  px: (value: number) => number;
  py: (value: number) => number;
}

function planOf({ width, x, y }: ChartProps): Plan {
  const room = Math.min(width, 560);
  const height = Math.min(300, Math.max(220, room * 0.6));
  const [across, up] = [room - LEFT - RIGHT, height - TOP - BOTTOM];
  return {
    x, y, room, height, across, up,
    px: (value) => LEFT + ((value - x.low) / (x.high - x.low)) * across,
    py: (value) => TOP + (1 - (value - y.low) / (y.high - y.low)) * up,
  };
}

export function Chart(props: ChartProps) {
  if (!props.width) return null;
  const { name, lines = [], dots = [], guess = [], onPoint } = props;
  const plan = planOf(props), { x, y, px, py } = plan;
  const path = (points: readonly (readonly [number, number])[]) => linePath(points.map(([a, b]) => [px(a), py(b)]));
  const point = (event: PointerEvent) => {
    if (!onPoint || !event.buttons) return;
    const box = (event.currentTarget as SVGElement).getBoundingClientRect();
    const value = y.low + (1 - (event.clientY - box.top - TOP) / plan.up) * (y.high - y.low);
    const at = x.low + ((event.clientX - box.left - LEFT) / plan.across) * (x.high - x.low);
    onPoint(at, Math.min(y.high, Math.max(y.low, value)));
  };
  return (
    <svg class={onPoint ? "chart drawn" : "chart"} width={plan.room} height={plan.height} role="img" aria-label={name} onPointerDown={point} onPointerMove={point}>
      <Axes plan={plan} />
      {lines.map(({ points, kind, label }) => (
        <g class={`line ${kind}`}>
          <path d={path(points)} />
          <text x={px(points.at(-1)![0]) + 8} y={py(points.at(-1)![1]) + 4}>{label}</text>
        </g>
      ))}
      {dots.map((dot) => <circle class={`dot ${dot.kind}`} cx={px(dot.x)} cy={py(dot.y)} r={4} />)}
      {guess.length > 0 && (
        <g class="guess">
          <path d={path(guess.map((each) => [each.x, each.y] as const))} />
          {guess.map((each) => <path class="diamond" d={`M${px(each.x)} ${py(each.y) - 7}l7 7l-7 7l-7 -7z`} />)}
          <text x={px(guess[0]!.x) + 10} y={py(guess[0]!.y) - 8}>{say("lessons.yours")}</text>
        </g>
      )}
    </svg>
  );
}

function Axes({ plan: { x, y, height, across, px, py } }: { plan: Plan }) {
  return (
    <>
      {y.ticks.filter((tick) => tick <= y.high).map((tick) => (
        <g>
          <path class="grid" d={`M${LEFT} ${py(tick)}h${across}`} />
          <text class="tick" x={LEFT - 8} y={py(tick) + 4} text-anchor="end">{short(tick)}</text>
        </g>
      ))}
      {x.ticks.map((tick, at) => (
        <text class="tick" x={px(tick)} y={height - BOTTOM + 18} text-anchor="middle">{x.words?.[at] ?? short(tick)}</text>
      ))}
      <text class="tick" x={LEFT + across / 2} y={height - 8} text-anchor="middle">{x.label}</text>
      <text class="tick" x={0} y={12}>{y.label}</text>
    </>
  );
}
