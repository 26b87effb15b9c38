// The learning curve as SVG: its text can be selected, it prints sharp, and it can be saved.
import { three } from "../../format";
import { attackSpans } from "../../marks";
import { chooseRound } from "../../moves";
import { linePath } from "../../parts/paths";
import { useWidth } from "../../size";
import {
  lastRound, overlay, panel, retold, round, roundRecord, rounds, run, scale, told, truth,
} from "../../state";
import { baselinesOf, metricValue, metricWords } from "../../summary";
import { say } from "../../words";
import { apart, axisOf, placeOn, roundTicks, type Axis, type Point } from "./curve";

const HEIGHT = 300;
/** Height of the picture in a panel that has the page alone. */
const TALL = 460;
/** Pixels around the curve, and between two labels, where type has its usual size. */
const EDGE = { left: 36, top: 24, bottom: 40 };
const LABEL_GAP = 15;
/** Mean width of a letter of a label. */
const LETTER = 6.4;

interface Frame {
  x: (round: number) => number;
  y: (value: number) => number;
  left: number;
  right: number;
  top: number;
  bottom: number;
  height: number;
  axis: Axis;
}

export interface ChartProps {
  metric: string;
  points: readonly Point[];
  /** The curve of a run that is laid over this one. */
  over: readonly Point[];
}

export function Chart(props: ChartProps) {
  const { metric, points, over } = props;
  const [box, width] = useWidth();
  const frame = frameOf(width, props);
  const scrub = (event: PointerEvent) => {
    const at = event.clientX - (event.currentTarget as Element).getBoundingClientRect().left;
    const [first, last] = ends();
    const share = (at - frame.left) / (frame.right - frame.left);
    if (event.buttons & 1) chooseRound(Math.round(first + share * (last - first)));
  };
  return (
    <div ref={box}>
      <svg
        width={width}
        height={frame.height}
        role="img"
        aria-label={say("learning.picture", { metric: metricWords(metric) })}
        onPointerDown={scrub}
        onPointerMove={scrub}
      >
        <Attacks frame={frame} />
        <Axes frame={frame} />
        <Labels frame={frame} metric={metric} points={points} over={over} />
        <path class="curve over" d={pathOf(frame, over)} />
        <path class="curve" d={pathOf(frame, points)} />
        <Cursor frame={frame} metric={metric} />
      </svg>
    </div>
  );
}

function ends(): [number, number] {
  const first = told.value[0] ?? 1;
  return [first, Math.max(first + 1, run.value!.rounds, told.value.at(-1) ?? 0)];
}

function frameOf(width: number, { metric, points, over }: ChartProps): Frame {
  const baselines = baselinesOf(run.value!, metric);
  const axis = axisOf([points, over], baselines);
  const height = (panel.value === "learning" ? TALL : HEIGHT) * Math.sqrt(scale.value);
  const names = [...baselines.map((baseline) => baseline.name), shortName(overlay.value ?? "")];
  const letters = Math.max(...names.map((name) => name.length)) + 7;
  const room = Math.min(width * 0.45, 14 + letters * LETTER * scale.value);
  const left = EDGE.left * scale.value;
  const right = Math.max(left + 80, width - room);
  const top = EDGE.top * scale.value;
  const bottom = height - EDGE.bottom * scale.value;
  const [first, last] = ends();
  return {
    axis,
    left,
    right,
    top,
    bottom,
    height,
    x: (at) => left + ((right - left) * (at - first)) / (last - first),
    y: (value) => bottom - ((bottom - top) * (value - axis.low)) / (axis.high - axis.low),
  };
}

function pathOf({ x, y }: Frame, points: readonly Point[]): string {
  return linePath(points.map((point) => [x(point.round), y(point.value)]));
}

function Attacks({ frame: { x, top, bottom } }: { frame: Frame }) {
  if (!truth.value) return null;
  const spans = attackSpans(told.value.map((at) => rounds.value.get(at)!));
  return (
    <>
      {spans.map(([from, to], at) => (
        <g>
          <rect
            class="attack-span"
            x={x(from)}
            y={top}
            width={Math.max(2, x(to) - x(from))}
            height={bottom - top}
          />
          {at === 0 && (
            <text class="attack-word" x={x(from)} y={top - 6}>{say("learning.attack")}</text>
          )}
        </g>
      ))}
    </>
  );
}

function Axes({ frame }: { frame: Frame }) {
  const { x, y, left, right, bottom, height, axis } = frame;
  const [first, last] = ends();
  return (
    <>
      {axis.ticks.map((value) => (
        <g>
          <line class="grid" x1={left} x2={right} y1={y(value)} y2={y(value)} />
          <text class="tick" x={left - 6} y={y(value) + 4} text-anchor="end">{three(value)}</text>
        </g>
      ))}
      {roundTicks(first, last, (right - left) / (60 * scale.value)).map((at) => (
        <text class="tick" x={x(at)} y={bottom + 16 * scale.value} text-anchor="middle">{at}</text>
      ))}
      {[...retold.value].map((at) => (
        <path class="mark reorganised" d={`M${x(at) - 2} ${bottom - 5} v9 m4 0 v-9`}>
          <title>{say("timeline.mark_reorganised", { round: at })}</title>
        </path>
      ))}
      <text class="tick" x={(left + right) / 2} y={height - 6} text-anchor="middle">
        {say("learning.round")}
      </text>
    </>
  );
}

/** The names of runs end in a digest: the beginning tells them apart for a reader. */
function shortName(name: string): string {
  return name.length > 20 ? `${name.slice(0, 19)}…` : name;
}

interface Label {
  y: number;
  words: string;
  kind: "last" | "baseline" | "over";
}

const ARROWS = { within: "", above: " ↑", below: " ↓" };

/** Labels at the right: the last value first, then the other run's and the baselines'. */
function labelsOf(frame: Frame, props: ChartProps): Label[] {
  const { axis, y } = frame;
  const labels: Label[] = [];
  const last = props.points.at(-1);
  if (last) labels.push({ y: y(last.value), words: metricValue(last.value), kind: "last" });
  const other = props.over.at(-1);
  if (other) {
    const words = `${shortName(overlay.value ?? "")} ${metricValue(other.value)}`;
    labels.push({ y: y(other.value), words, kind: "over" });
  }
  for (const { name, value } of baselinesOf(run.value!, props.metric)) {
    const place = placeOn(axis, value);
    const at = y(Math.max(axis.low, Math.min(axis.high, value)));
    labels.push({ y: at, words: `${name} ${metricValue(value)}${ARROWS[place]}`, kind: "baseline" });
  }
  return labels;
}

function Labels({ frame, ...props }: { frame: Frame } & ChartProps) {
  const labels = labelsOf(frame, props);
  const heights = labels.map((label) => label.y);
  const placed = apart(heights, LABEL_GAP * scale.value, frame.top + 4, frame.bottom);
  const { left, right } = frame;
  return (
    <>
      {labels.map(({ y, words, kind }, at) => (
        <g class={`label ${kind}`}>
          {kind === "baseline" && !/[↑↓]$/.test(words) && <line x1={left} x2={right} y1={y} y2={y} />}
          {kind !== "last" && <path class="leader" d={`M${right} ${y} L${right + 8} ${placed[at]}`} />}
          <text x={right + 11} y={placed[at]! + 4}>{words}</text>
        </g>
      ))}
    </>
  );
}

function Cursor({ frame: { x, y, top, bottom }, metric }: { frame: Frame; metric: string }) {
  const value = roundRecord.value?.metrics[metric];
  const at = x(round.value);
  return (
    <g class="cursor">
      <line x1={at} x2={at} y1={top} y2={bottom} />
      {value != null && <circle cx={at} cy={y(value)} r={4} />}
      {value != null && round.value !== lastRound.value && (
        <text x={at + 8} y={y(value) + 20}>{metricValue(value)}</text>
      )}
    </g>
  );
}
