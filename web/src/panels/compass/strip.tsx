// The strip: the same dots on an axis of what the rule judges by.
import { share, three } from "../../format";
import { scale } from "../../state";
import { say } from "../../words";
import { onStrip, ticksOf } from "./geometry";
import { Handle, Mark } from "./mark";
import type { Scene } from "./scene";
import { keepAt } from "./selection";

const PAD = 16;
const LEVELS = 6;
const BASE = 126;

interface Axis {
  readonly title: string;
  readonly ticks: readonly { readonly x: number; readonly words: string }[];
  readonly at: (place: number) => number;
  readonly x: (value: number) => number;
}

export function Strip({ scene, width }: { scene: Scene; width: number }) {
  const { view } = scene;
  const scored = view.reading.as === "score" && view.rows.every((row) => row.score !== null);
  const axis = scored ? scoreAxis(scene, width) : cosineAxis(scene, width);
  const marks = scene.weighty.map((index) => ({ index, at: axis.at(index) }));
  const { dots, more } = onStrip(marks, BASE, LEVELS);
  return (
    <svg class="strip" width={width} height={BASE + 44 * scale.value} role="img" aria-label={say("compass.strip", { axis: axis.title })}>
      {view.cut !== null && (
        <rect class="cone" x={axis.x(view.cut)} y={26} width={axis.x(1) - axis.x(view.cut)} height={BASE - 26} />
      )}
      {!scored && view.noiseAlone !== null && <NoiseTick x={axis.x(view.noiseAlone)} value={view.noiseAlone} width={width} />}
      <path class="axis" d={`M${PAD} ${BASE}H${width - PAD}`} />
      {axis.ticks.map(({ x, words }) => (
        <g>
          <path class="axis" d={`M${x} ${BASE}v5`} />
          <text class="soft" x={x} y={BASE + 6 + 13 * scale.value} text-anchor="middle">{words}</text>
        </g>
      ))}
      <text class="soft" x={width / 2} y={BASE + 10 + 28 * scale.value} text-anchor="middle">{axis.title}</text>
      {dots.map(({ index, x, y }) => <Mark {...scene.mark(view.rows[index]!, index)} x={x} y={y} />)}
      {more.map(({ count, x, y }) => <text class="more-dots" x={x} y={y + 4} text-anchor="middle">+{count}</text>)}
      {view.cut !== null && <Cut scene={scene} x={axis.x(view.cut)} width={width} />}
    </svg>
  );
}

/** The line of the cut. Its handle stands above the dots. */
function Cut({ scene, x, width }: { scene: Scene; x: number; width: number }) {
  const { view } = scene;
  const drag = (event: PointerEvent) => {
    const box = (event.currentTarget as SVGGElement).ownerSVGElement!.getBoundingClientRect();
    const cosine = ((event.clientX - box.left - PAD) / (width - 2 * PAD)) * 2 - 1;
    scene.onKeep(keepAt(view.rows.map((row) => row.cosine), cosine));
  };
  return (
    <>
      <path class="cut" d={`M${x} 26V${BASE}`} />
      {view.movable && <Handle x={x} y={28} onDrag={drag} />}
    </>
  );
}

function NoiseTick({ x, value, width }: { x: number; value: number; width: number }) {
  const words = say("compass.noise", { cosine: share(value) });
  const half = 3.6 * scale.value * words.length;
  return (
    <g class="noise-alone">
      <path d={`M${x} 16V${BASE}`} />
      <text class="soft" x={Math.min(width - half, Math.max(half, x))} y={12 * Math.sqrt(scale.value)} text-anchor="middle">{words}</text>
    </g>
  );
}

function cosineAxis(scene: Scene, width: number): Axis {
  const long = width - 2 * PAD;
  const x = (cosine: number) => PAD + ((cosine + 1) / 2) * long;
  return {
    title: say("compass.cosine_axis"),
    ticks: [-1, -0.5, 0, 0.5, 1].map((tick) => ({ x: x(tick), words: three(tick) })),
    at: (place) => x(scene.view.rows[place]!.cosine),
    x,
  };
}

/** An axis of the rule's own score; of its logarithm where scores differ by more than a hundredfold. */
function scoreAxis(scene: Scene, width: number): Axis {
  const scores = scene.view.rows.map((row) => row.score!);
  const [low, high] = [Math.min(...scores), Math.max(...scores)];
  const steep = low > 0 && high > 100 * low;
  const [from, to] = [low, high].map((score) => (steep ? Math.log10(score) : score)) as [number, number];
  const long = width - 4 * PAD;
  const middle = from === to;
  const x = (score: number) => {
    const value = steep ? Math.log10(score) : score;
    return middle ? width / 2 : 2 * PAD + ((value - from) / (to - from)) * long;
  };
  const ticks = steep
    ? ticksOf(Math.ceil(from), to, 6).map((power) => 10 ** Math.round(power))
    : ticksOf(from, to, Math.max(2, Math.floor(width / 80)));
  return {
    title: say(steep ? "compass.score_axis_log" : "compass.score_axis", { score: scene.judgedBy ?? "" }),
    ticks: ticks.map((tick) => ({ x: x(tick), words: three(tick) })),
    at: (place) => x(scores[place]!),
    x,
  };
}
