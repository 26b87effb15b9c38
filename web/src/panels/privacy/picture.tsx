// Noise beside signal: the median norm of a round's messages, and how much of it is noise.
import { max } from "d3-array";
import { area, line } from "d3-shape";
import { three } from "../../format";
import { useWidth } from "../../size";
import { round, scale } from "../../state";
import { say } from "../../words";
import { roundTicks } from "../learning/curve";
import { Hatch } from "./meter";
import type { NoisePart } from "./noise";

const HEIGHT = 132;
/** Pixels around the areas, where type has its usual size. */
const EDGE = { left: 8, right: 84, top: 10, bottom: 22 };

export function NoisePicture({ parts }: { parts: readonly NoisePart[] }) {
  const [box, width] = useWidth();
  const first = parts[0]!.round;
  const last = Math.max(first + 1, parts.at(-1)!.round);
  const most = max(parts, (part) => Math.max(part.noise, part.norm)) || 1;
  const bottom = HEIGHT - EDGE.bottom * scale.value;
  const right = Math.max(EDGE.left + 60, width - EDGE.right * scale.value);
  const x = (at: number) => EDGE.left + ((right - EDGE.left) * (at - first)) / (last - first);
  const y = (value: number) => bottom - ((bottom - EDGE.top) * value) / most;
  const noise = area<NoisePart>().x((it) => x(it.round)).y0(bottom).y1((it) => y(it.noise)).digits(1);
  const rest = area<NoisePart>().x((it) => x(it.round))
    .y0((it) => y(it.noise)).y1((it) => y(Math.max(it.noise, it.norm))).digits(1);
  const norm = line<NoisePart>((it) => x(it.round), (it) => y(it.norm)).digits(1);
  const end = parts.at(-1)!;
  return (
    <div ref={box}>
      <h3>{say("privacy.beside")}</h3>
      <svg width={width} height={HEIGHT} role="img" aria-label={say("privacy.picture")}>
        <Hatch id="noise" />
        <path class="rest" d={rest(parts) ?? ""} />
        <path class="noise" d={noise(parts) ?? ""} />
        <path class="norm" d={norm(parts) ?? ""} />
        <Cursor x={x} />
        <Ends x={right + 6} norm={[y(end.norm), three(end.norm)]} noise={[y(end.noise), three(end.noise)]} />
        {roundTicks(first, last, (right - EDGE.left) / (60 * scale.value)).map((at) => (
          <text class="tick" x={x(at)} y={HEIGHT - 6} text-anchor="middle">{at}</text>
        ))}
      </svg>
    </div>
  );
}

/** The shown round, by itself: moving through rounds draws no curve anew. */
function Cursor({ x }: { x: (round: number) => number }) {
  const at = x(round.value);
  return <line class="cursor-line" x1={at} x2={at} y1={EDGE.top} y2={HEIGHT - EDGE.bottom * scale.value} />;
}

interface EndsProps {
  x: number;
  /** Height and value of each label. */
  norm: [number, string];
  noise: [number, string];
}

/** The labels of both areas: the upper one stays, the lower one keeps its distance. */
function Ends({ x, norm, noise }: EndsProps) {
  const [first, second] = norm[0] <= noise[0] ? ["norm", "noise"] as const : ["noise", "norm"] as const;
  const at = { norm: norm[0], noise: noise[0] };
  at[second] = Math.max(at[second], at[first] + 15 * scale.value);
  return (
    <>
      <text x={x} y={at.norm + 4}>{say("privacy.norm_label", { value: norm[1] })}</text>
      <text x={x} y={at.noise + 4}>{say("privacy.noise_label", { value: noise[1] })}</text>
    </>
  );
}
