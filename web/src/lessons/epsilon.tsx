// Lesson 4: draw the IoU at four epsilons, then see the measured curve and the models' masks.
import { useSignal } from "@preact/signals";
import { share } from "../format";
import { Greys, Legend, Lines, States } from "../panels/masks/drawing";
import { judgedBits } from "../panels/masks/pixels";
import { Range } from "../parts/Range";
import { bitsOf, type PictureRecord } from "../records";
import { useWidth } from "../size";
import { say } from "../words";
import { Chart } from "./chart";
import { type Curve, epsilonsOf, iousAt, meanOf } from "./curves";
import type { PartProps, Play, Progress } from "./lesson";
import { short } from "./short";

interface Scan {
  height: number;
  width: number;
  intensity: string;
  valid: string;
  truth: string;
  /** Bits of what the model keeps, by epsilon. */
  kept: Record<string, string>;
}
interface EpsilonData { curves: Curve[]; keep_everything: number; scan: Scan }

export const epsilonPlay: Play<number[], EpsilonData> = {
  start: (data) => epsilonsOf(data.curves).map(() => 0),
  Predict,
  Try,
  words: (ious, data) => {
    const epsilons = epsilonsOf(data.curves);
    return say("lessons.said_ious", { ious: ious.map((iou, at) => `${short(iou)} (${wordOf(epsilons[at]!)})`).join(", ") });
  },
};

function wordOf(epsilon: string): string {
  return epsilon === "inf" ? say("lessons.no_noise") : `ε ${short(Number(epsilon))}`;
}

function Predict({ data, progress }: PartProps<number[], EpsilonData>) {
  const epsilons = epsilonsOf(data.curves);
  const mine = progress.prediction.value;
  const set = (at: number, iou: number) => progress.say(mine.map((old, place) => (place === at ? iou : old)));
  const open = !progress.locked.value;
  return (
    <>
      <Curves data={data} progress={progress} {...(open ? { onPoint: (x: number, y: number) => set(Math.min(epsilons.length - 1, Math.max(0, Math.round(x))), Math.round(y * 100) / 100) } : {})} />
      <div class="sliders">
        {epsilons.map((epsilon, at) => (
          <Range label={wordOf(epsilon)} min={0} max={1} step={0.01} value={mine[at]!} words={short(mine[at]!)} onValue={(iou) => set(at, iou)} />
        ))}
      </div>
    </>
  );
}

interface CurvesProps { data: EpsilonData; progress: Progress<number[]>; measured?: boolean; onPoint?: (x: number, y: number) => void }

/** The reader's curve and, once the answer is shown, each run and the mean over the seeds. */
function Curves({ data, progress, measured: shown = false, onPoint }: CurvesProps) {
  const [box, width] = useWidth();
  const epsilons = epsilonsOf(data.curves);
  const everything = { points: epsilons.map((_, at) => [at, data.keep_everything] as const), kind: "baseline", label: say("lessons.keep_all") };
  const measured = { points: epsilons.map((epsilon, at) => [at, meanOf(iousAt(data.curves, epsilon))] as const), kind: "law", label: say("lessons.measured") };
  return (
    <div ref={box} class="picture">
      <Chart
        width={width}
        name={say("lessons.curves")}
        x={{ label: say("lessons.total_epsilon"), low: -0.2, high: epsilons.length - 0.8, ticks: epsilons.map((_, at) => at), words: epsilons.map((one) => (one === "inf" ? say("lessons.none") : short(Number(one)))) }}
        y={{ label: say("metric.iou"), low: 0, high: 1, ticks: [0, 0.2, 0.4, 0.6, 0.8, 1] }}
        lines={shown ? [everything, measured] : [everything]}
        dots={shown ? epsilons.flatMap((epsilon, at) => iousAt(data.curves, epsilon).map((iou) => ({ x: at, y: iou, kind: "measured" }))) : []}
        guess={progress.prediction.value.map((iou, at) => ({ x: at, y: iou }))}
        onPoint={onPoint}
      />
    </div>
  );
}

const ZOOM = 8;

function Try({ data, progress }: PartProps<number[], EpsilonData>) {
  const epsilons = epsilonsOf(data.curves);
  const chosen = useSignal(0);
  const wipe = useSignal(0.5);
  const { scan } = data;
  const size = scan.height * scan.width;
  const [truth, kept, valid] = [scan.truth, scan.kept[epsilons[chosen.value]!]!, scan.valid].map((bits) => bitsOf(bits, size));
  const { states, counts } = judgedBits(truth!, kept!, valid!);
  const picture: PictureRecord = { is: "picture", scan: 0, height: scan.height, width: scan.width, intensity: scan.intensity, valid: scan.valid };
  return (
    <>
      {progress.shown.value && <Curves data={data} progress={progress} measured />}
      <div class="sliders">
        <Range label="ε" min={0} max={epsilons.length - 1} value={chosen.value} words={wordOf(epsilons[chosen.value]!)} onValue={(at) => (chosen.value = at)} />
        <Range label={say("masks.wipe")} min={0} max={1} step={0.05} value={wipe.value} words={short(wipe.value)} onValue={(at) => (wipe.value = at)} />
      </div>
      <svg class="pixels" width={scan.width * ZOOM} height={scan.height * ZOOM} viewBox={`0 0 ${scan.width} ${scan.height}`} role="img" aria-label={say("lessons.mask_picture", { epsilon: wordOf(epsilons[chosen.value]!), iou: share(counts.iou) })}>
        <Lines />
        <clipPath id="lesson-wiped"><rect x={wipe.value * scan.width} y={0} width={scan.width} height={scan.height} /></clipPath>
        <Greys picture={picture} depth={false} />
        <g clip-path="url(#lesson-wiped)">
          <rect class="under" width={scan.width} height={scan.height} />
          <States states={states} width={scan.width} />
        </g>
        <path class="wipe-line" d={`M${wipe.value * scan.width} 0v${scan.height}`} />
      </svg>
      <p role="status">{say("lessons.mask_picture", { epsilon: wordOf(epsilons[chosen.value]!), iou: share(counts.iou) })}</p>
      <Legend />
    </>
  );
}
