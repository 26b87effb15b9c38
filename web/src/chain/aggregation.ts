// Aggregation: the messages of a block, in ascending order of their ids, to one gradient.
import { addTo, inner, innerWith, ONE, parted, type Said, scaled, shiftOf, sumOf } from "./directions";
import { CAPPED } from "./kinds";
import {
  applied, exponentOf, filled, firstOf, median, order, orderedSum, quotient, square, squareSum, toWhole,
} from "./numbers";
import type { Part } from "./parts";
import { distancesTo, ROBUST } from "./robust";
import type { Memory, Vector } from "./state";
import { cosines, gram, lengthsOf, mean, sizeOf, stretched, unit, type Vectors, vectorsOf } from "./vectors";

/** The global gradient, and what the rule remembers by names without `rule/`. */
interface Aggregate {
  gradient: Vector;
  memory: Memory;
}

const NOTHING: Memory = new Map();

export function aggregate(rule: Part, messages: Said[], dimension: number, memory: Memory): Aggregate {
  const first = rule.first as Part[];
  switch (rule.kind) {
    case "average_of":
      return average(rule.rules as Part[], messages, dimension, memory);
    case "fltrust":
      return { gradient: trusting(rule, messages, dimension), memory: NOTHING };
    case "centred_clipping":
      return centredClipping(vectorsOf(messages, rule.scale!, first, dimension), rule, memory);
    case "mean":
    case "l_nearest":
      if (!first.length) return { gradient: plainMean(rule, messages, dimension), memory: NOTHING };
      return { gradient: mixedMean(rule, vectorsOf(messages, rule.scale!, first, dimension)), memory: NOTHING };
    default:
      return { gradient: ROBUST[rule.kind]!(vectorsOf(messages, rule.scale!, first, dimension), rule), memory: NOTHING };
  }
}

/** The mean of what several rules make of the messages. */
function average(rules: Part[], messages: Said[], dimension: number, memory: Memory): Aggregate {
  const gradient = new Float64Array(dimension), kept = new Map<string, Vector>();
  rules.forEach((rule, number) => {
    const start = `${number}/`;
    const own = [...memory].filter(([name]) => name.startsWith(start)).map(([name, value]) => [name.slice(start.length), value] as const);
    const made = aggregate(rule, messages, dimension, new Map(own));
    made.gradient.forEach((value, at) => (gradient[at] = gradient[at]! + value));
    for (const [name, value] of made.memory) kept.set(start + name, value);
  });
  return { gradient: gradient.map((value) => value / rules.length), memory: kept };
}

/** The mean of all messages, or of those nearest to the sum of all directions. */
function plainMean(rule: Part, messages: Said[], dimension: number): Vector {
  const used = rule.kind === "l_nearest" ? nearest(messages, rule.keep as number, dimension) : messages.map((_, at) => at);
  const factors = scaled(Float64Array.from(messages, (said) => said.norm), rule.scale!);
  let counts = counted(messages, rule.weights!);
  let whole = used.reduce((sum, k) => sum + counts[k]!, 0); // whole numbers, or halves of them: exact
  if (whole === 0) {
    counts = filled(messages.length, 1);
    whole = used.length;
  }
  const total = new Float64Array(dimension);
  for (const k of used) {
    const factor = factors[k]! * ((used.length * counts[k]!) / whole);
    addTo(total, messages[k]!, shiftOf(messages[k]!) * factor);
  }
  return total.map((value) => value / (used.length * ONE));
}

/** Places of the messages whose directions are nearest to the sum of all, in their order. */
function nearest(messages: Said[], keep: number, dimension: number): number[] {
  const sum = sumOf(messages, dimension);
  const near = messages.map((said) => quotient(innerWith(said, sum), Math.sqrt(inner(said, said))));
  return order(near.map((value) => -value)).slice(0, keep).sort((a, b) => a - b);
}

/** How much each message counts. */
function counted(messages: Said[], weights: Part[string]): Vector {
  if (weights === null || weights === "equal") return filled(messages.length, 1);
  const records = Float64Array.from(messages, (said) => said.records), most = median(records);
  return JSON.stringify(weights) === CAPPED ? records.map((number) => Math.min(number, most)) : records;
}

/** The mean of the vectors after pre-aggregations, or of those nearest to the sum of their directions. */
function mixedMean(rule: Part, vectors: Vectors): Vector {
  let counts = counted(vectors.messages, rule.weights!);
  if (!counts.some((count) => count !== 0)) counts = filled(counts.length, 1);
  if (vectors.taken) counts = applied(vectors.taken, counts);
  if (rule.kind === "l_nearest") {
    const sums = Float64Array.from(cosines(vectors), (row) => orderedSum(row)), whole = orderedSum(sums);
    const chosen = firstOf(sums.map((sum) => -quotient(sum, Math.sqrt(Math.max(whole, 0)))), rule.keep as number);
    counts = counts.map((count, at) => count * chosen[at]!);
  }
  return mean(vectors, counts);
}

/** Move from what the rule remembers towards the vectors, each clipped to a radius. */
function centredClipping(vectors: Vectors, rule: Part, memory: Memory): Aggregate {
  const count = sizeOf(vectors), u = unit(vectors), inside = gram(vectors);
  const centre = memory.get("centre"), size = memory.get("step")?.[0] ?? 0;
  const along = centre ? alongCentre(vectors, centre, u).map((value) => value * (size / u)) : filled(count, 0);
  const own = centre ? squareSum(centre) * (size / u) * (size / u) : 0;
  const products = square(count + 1, (i, j) => (i < count && j < count ? inside[i]![j]! : i === j ? own : along[Math.min(i, j)]!));
  let place: Vector = filled(count + 1, 0).fill(1, count);
  for (let turn = 0; turn < (rule.steps as number); turn++) {
    const far = distancesTo(products, place).subarray(0, count);
    const most = rule.radius === null ? median(far) : (rule.radius as number) / u;
    const force = far.map((value) => (value > most ? most / value : 1) / count);
    const left = 1 - orderedSum(force);
    place = place.map((value, at) => (at < count ? value * left + force[at]! : value * left));
  }
  const parts = place.subarray(0, count), whole = orderedSum(parts);
  const moved = mean(vectors, parts).map((value) => value * whole);
  const gradient = centre ? moved.map((value, at) => value + centre[at]! * size * place[count]!) : moved;
  return { gradient, memory: remembered(gradient, memory) };
}

/** The inner products of all vectors with the centre, over its step and the unit. */
function alongCentre(vectors: Vectors, centre: Vector, u: number): Vector {
  const plain = Float64Array.from(vectors.messages, (said, k) => {
    const { high, low } = parted(said, centre);
    return ((high * 2 ** 16 + low) / ONE) * (vectors.factors[k]! / u);
  });
  return vectors.mix ? applied(vectors.mix, plain) : plain;
}

/** The gradient as whole numbers of a step; the old memory if that is not possible. */
function remembered(gradient: Vector, before: Memory): Memory {
  const most = gradient.reduce((found, value) => Math.max(found, Math.abs(value)), 0);
  if (!(most > 0 && most < Infinity)) return before;
  const step = 2 ** Math.max(exponentOf(most) - 30, -1000);
  return new Map([["centre", gradient.map((value) => toWhole(value / step))], ["step", Float64Array.of(step)]]);
}

/** Weight directions by their cosine with that of the public root. */
function trusting(rule: Part, messages: Said[], dimension: number): Vector {
  const at = messages.findIndex((said) => said.records === 0);
  if (at < 0 || messages.length < 2) return new Float64Array(dimension);
  const root = messages[at]!, others = messages.filter((_, k) => k !== at);
  const norm = scaled(Float64Array.from(messages, (said) => said.norm), rule.scale!)[at]!;
  const vectors = vectorsOf(others, "unit", rule.first as Part[], dimension);
  const plain = Float64Array.from(others, (said, k) => (inner(said, root) / ONE ** 2) * vectors.factors[k]!);
  const along = vectors.mix ? applied(vectors.mix, plain) : plain;
  const u = unit(vectors), lengths = lengthsOf(gram(vectors)).map((length) => length * u);
  const own = Math.sqrt(inner(root, root) / ONE ** 2);
  const trust = along.map((value, j) => Math.max(quotient(value, lengths[j]! * own), 0));
  return mean(stretched(vectors, lengths.map((length) => quotient(norm, length))), trust);
}
