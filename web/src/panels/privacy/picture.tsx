// Noise beside signal: the median norm of a round's messages, and how much of it is noise.
import { max } from "d3-array";
import { three } from "../../format";
import { areaPath, linePath, type Place } from "../../parts/paths";
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
  const noise = parts.map((it): Place => [x(it.round), y(it.noise)]);
  const norm = parts.map((it): Place => [x(it.round), y(it.norm)]);
  const upper = parts.map((it): Place => [x(it.round), y(Math.max(it.noise, it.norm))]);
  const floor = noise.map(([at]): Place => [at, bottom]);
  const end = parts.at(-1)!;
  return (
    <div ref={box}>
      <h3>{say("privacy.beside")}</h3>
      <svg width={width} height={HEIGHT} role="img" aria-label={say("privacy.picture")}>
        <Hatch id="noise" />
        <path class="rest" d={areaPath(upper, noise)} />
        <path class="noise" d={areaPath(noise, floor)} />
        <path class="norm" d={linePath(norm)} />
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
