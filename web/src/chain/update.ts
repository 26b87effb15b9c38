// Updates: a gradient to the next weights and to what the update remembers. Weights are float64 here,
// and every operation is rounded by itself.
import { filled, squareSum } from "./numbers";
import type { Part } from "./parts";
import type { Memory, Vector } from "./state";

export interface Step {
  weights: Vector;
  memory: Memory;
}

/** What an update gets: its parameters, weights, its own memory, the gradient, and the height. */
type Update = (update: Part, weights: Vector, memory: Memory, gradient: Vector, round: number) => Step;

/** The next weights and memory, by an update and those around it (innermost first). */
export function nextState(updates: Part[], weights: Vector, memory: Memory, gradient: Vector, round: number): Step {
  const inner = updates[0]!;
  const [filter, averages] = ["filtered", "averaged"].map((kind) => updates.find((each) => each.kind === kind));
  const hidden = [...(filter ? ["filtered", "gain"] : []), ...(averages ? ["average"] : [])];
  const inside = new Map([...memory].filter(([name]) => !hidden.includes(name)));
  const kept = filter ? filtered(filter, memory, gradient) : new Map<string, Vector>();
  const made = STEPS[inner.kind]!(inner, weights, inside, kept.get("filtered") ?? gradient, round);
  if (averages) averaged(averages, memory, made.weights, round).forEach((value, name) => kept.set(name, value));
  return { weights: made.weights, memory: new Map([...made.memory, ...kept]) };
}

/** The gradient as a Kalman filter has smoothed it, and the filter's gain. */
function filtered(update: Part, memory: Memory, gradient: Vector): Map<string, Vector> {
  const before = memory.get("filtered") ?? gradient, last = memory.get("gain");
  const spread = last ? last[0]! + (update.drift as number) : 0;
  const gain = last ? spread / (spread + 1) : 1;
  const smoothed = before.map((value, at) => value + gain * (gradient[at]! - value));
  return new Map([["filtered", smoothed], ["gain", Float64Array.of(gain)]]);
}

/** The average of the weights so far. */
function averaged(update: Part, memory: Memory, weights: Vector, round: number): Map<string, Vector> {
  const n = round - (update.from_round as number) + 1;
  if (n < 1) return new Map();
  const before = memory.get("average") ?? weights, share = Math.max(1 / n, 1 - (update.decay as number));
  return new Map([["average", before.map((value, at) => value + share * (weights[at]! - value))]]);
}

function rateOf(update: Part, round: number): number {
  return (update.learning_rate as number) / (1 + (update.decay as number) * (round - 1));
}

/** The gradient with the decay of the weights. */
function pulled(update: Part, weights: Vector, gradient: Vector): Vector {
  const decay = update.weight_decay as number;
  return decay ? gradient.map((value, at) => value + decay * weights[at]!) : gradient;
}

const gradientDescent: Update = (update, weights, memory, gradient, round) => {
  const rate = rateOf(update, round), pull = pulled(update, weights, gradient);
  return { weights: weights.map((value, at) => value - rate * pull[at]!), memory };
};

const momentum: Update = (update, weights, memory, gradient, round) => {
  const beta = update.momentum as number, rate = rateOf(update, round), pull = pulled(update, weights, gradient);
  const before = memory.get("momentum") ?? filled(weights.length, 0);
  const carried = before.map((value, at) => beta * value + pull[at]!);
  return { weights: weights.map((value, at) => value - rate * carried[at]!), memory: new Map([["momentum", carried]]) };
};

const adam: Update = (update, weights, memory, gradient, round) => {
  const b1 = update.beta1 as number, b2 = update.beta2 as number, stabiliser = update.stabiliser as number;
  const rate = rateOf(update, round), pull = pulled(update, weights, gradient), zero = filled(weights.length, 0);
  const first = (memory.get("first") ?? zero).map((value, at) => b1 * value + (1 - b1) * pull[at]!);
  const second = (memory.get("second") ?? zero).map((value, at) => b2 * value + (1 - b2) * (pull[at]! * pull[at]!));
  const power1 = b1 * (memory.get("beta1_power")?.[0] ?? 1), power2 = b2 * (memory.get("beta2_power")?.[0] ?? 1);
  const next = weights.map((value, at) => {
    const root = Math.sqrt(second[at]! / (1 - power2)) + stabiliser;
    return value - rate * (first[at]! / (1 - power1) / root);
  });
  const powers = [["beta1_power", Float64Array.of(power1)], ["beta2_power", Float64Array.of(power2)]] as const;
  return { weights: next, memory: new Map([["first", first], ["second", second], ...powers]) };
};

/** DoG: the rate is the way from the start over the root of the squared gradients. */
const distanceOverGradients: Update = (update, weights, memory, gradient) => {
  const start = memory.get("start") ?? weights;
  const far = memory.get("distance")?.[0] ?? (update.first as number) * Math.sqrt(weights.length);
  const distance = Math.max(far, Math.sqrt(squareSum(weights.map((value, at) => value - start[at]!))));
  const squares = (memory.get("squares")?.[0] ?? 0) + squareSum(gradient);
  const made = new Map([["start", start], ["distance", Float64Array.of(distance)], ["squares", Float64Array.of(squares)]]);
  if (squares === 0) return { weights, memory: made };
  const rate = distance / Math.sqrt(squares);
  return { weights: weights.map((value, at) => value - rate * gradient[at]!), memory: made };
};

const STEPS: Record<string, Update> = {
  gradient_descent: gradientDescent, momentum, adam, distance_over_gradients: distanceOverGradients,
};
