// Vectors: what a rule works on, the messages after pre-aggregations: y_j = sum of P_jk f_k p_k / 2^20.
import { need } from "./bytes";
import { addTo, inner, ONE, type Said, scaled, shiftOf } from "./directions";
import {
  applied, exponentOf, filled, type Matrix, median, order, orderedSum, product, quotient, square, transposed,
} from "./numbers";
import type { Part } from "./parts";
import type { Vector } from "./state";

export interface Vectors {
  messages: Said[];
  /** f_k. */
  factors: Vector;
  /** P, one row a vector; null before any mixing: then the vectors are the messages. */
  mix: Matrix | null;
  /** S: how much of each message a vector has. */
  taken: Matrix | null;
  /** Number of weights. */
  dimension: number;
}

const LARGEST = 2 ** 200;
const MOST_COMPARED = 2048;

/** The vectors of messages, after all pre-aggregations. */
export function vectorsOf(messages: Said[], scale: Part[string], first: Part[], dimension: number): Vectors {
  const factors = scaled(Float64Array.from(messages, (said) => said.norm), scale);
  const most = LARGEST * unitOf(factors);
  const made: Vectors = { messages, factors: factors.map((f) => Math.min(f, most)), mix: null, taken: null, dimension };
  return first.reduce((vectors, part) => FIRST[part.kind]!(vectors, part), made);
}

export function refuse(holds: boolean, why: string): void {
  need(holds, `messages: no step can be made from them: ${why}`);
}

export function sizeOf(vectors: Vectors): number {
  return (vectors.mix ?? vectors.messages).length;
}

export function enough(vectors: Vectors, least: number): void {
  refuse(sizeOf(vectors) >= least, `got ${sizeOf(vectors)} vectors, needs at least ${least}`);
}

/** The parameter `byzantine` or `trim`; null counts as 0. */
export function fewOf(value: Part[string]): number {
  return (value as number | null) ?? 0;
}

function unitOf(factors: Vector): number {
  return 2 ** (exponentOf(median(factors)) - 1);
}

/** u: the largest power of two up to the median factor. */
export function unit(vectors: Vectors): number {
  return unitOf(vectors.factors);
}

/** The exact inner products of all directions, 2^40 times as large. */
export function exactGram(vectors: Vectors, most = MOST_COMPARED): Matrix {
  const { messages } = vectors, count = messages.length;
  refuse(count <= most, `got ${count} messages; at most ${most} are compared`);
  const made = square(count, () => 0);
  for (let i = 0; i < count; i++) {
    for (let j = 0; j <= i; j++) made[i]![j] = made[j]![i] = inner(messages[i]!, messages[j]!);
  }
  return made;
}

/** The inner products C of all vectors, in the square of the unit. */
export function gram(vectors: Vectors): Matrix {
  const u = unit(vectors), lengths = vectors.factors.map((factor) => factor / u);
  const exact = exactGram(vectors);
  const plain = square(exact.length, (i, j) => (exact[i]![j]! / ONE ** 2) * (lengths[i]! * lengths[j]!));
  if (!vectors.mix) return plain;
  const mixed = product(product(vectors.mix, plain), transposed(vectors.mix));
  return square(mixed.length, (i, j) => (mixed[i]![j]! + mixed[j]![i]!) / 2);
}

/** The lengths L of vectors with these inner products. */
export function lengthsOf(products: Matrix): Vector {
  return Float64Array.from(products, (row, j) => Math.sqrt(Math.max(row[j]!, 0)));
}

/** Squared distances D of vectors with these inner products. */
export function distances(products: Matrix): Matrix {
  return square(products.length, (i, j) => Math.max(products[i]![i]! + products[j]![j]! - 2 * products[i]![j]!, 0));
}

/** Cosines of all vectors with each other. */
export function cosines(vectors: Vectors): Matrix {
  const products = gram(vectors), lengths = lengthsOf(products);
  return square(products.length, (i, j) => quotient(products[i]![j]!, lengths[i]! * lengths[j]!));
}

/** All vectors, 2^20 times as large. */
export function rows(vectors: Vectors): Matrix {
  const { messages, factors, mix, dimension } = vectors;
  const plain = messages.map((said, k) => {
    const row = new Float64Array(dimension), factor = shiftOf(said) * factors[k]!;
    for (let at = 0; at < dimension; at++) row[at] = factor * said.direction[at]!;
    return row;
  });
  return mix ? product(mix, plain) : plain;
}

/** The mean of the vectors, each of which counts so much. */
export function mean(vectors: Vectors, counts: Vector): Vector {
  const { messages, factors, mix, dimension } = vectors;
  const whole = orderedSum(counts), total = new Float64Array(dimension);
  if (whole === 0) return total;
  const parts = mix ? applied(transposed(mix), counts) : counts;
  const used = parts.filter((part) => part > 0).length;
  messages.forEach((said, k) => {
    if (parts[k]! > 0) addTo(total, said, shiftOf(said) * (factors[k]! * ((used * parts[k]!) / whole)));
  });
  return total.map((value) => value / (used * ONE));
}

/** Replace each vector by itself times a number. */
export function stretched(vectors: Vectors, by: Vector): Vectors {
  const { mix, factors } = vectors;
  return mix
    ? { ...vectors, mix: mix.map((row, j) => row.map((value) => value * by[j]!)) }
    : { ...vectors, factors: factors.map((factor, j) => factor * by[j]!) };
}

function mixed(vectors: Vectors, mixing: Matrix): Vectors {
  const { mix, taken } = vectors;
  return { ...vectors, mix: mix ? product(mixing, mix) : mixing, taken: taken ? product(mixing, taken) : mixing };
}

/** Nearest-neighbour mixing: each vector becomes the mean of its nearest. */
function nnm(vectors: Vectors, part: Part): Vectors {
  const few = fewOf(part.byzantine!);
  enough(vectors, 2 * few + 1);
  const count = sizeOf(vectors);
  return mixed(vectors, distances(gram(vectors)).map((row) => {
    const made = new Float64Array(count);
    for (const at of order(row).slice(0, count - few)) made[at] = 1 / (count - few);
    return made;
  }));
}

/** Each few vectors become their mean. */
function bucketing(vectors: Vectors, part: Part): Vectors {
  const count = sizeOf(vectors), size = part.size as number;
  const buckets = Array.from({ length: Math.ceil(count / size) }, (_, bucket) => {
    const start = bucket * size, end = Math.min(start + size, count);
    return filled(count, 0).fill(1 / (end - start), start, end);
  });
  return mixed(vectors, buckets);
}

/** Each vector that is too long is shortened. */
function normClipping(vectors: Vectors, part: Part): Vectors {
  const lengths = lengthsOf(gram(vectors));
  const most = part.radius === null ? median(lengths) : (part.radius as number) / unit(vectors);
  return stretched(vectors, lengths.map((length) => (length > most ? most / length : 1)));
}

const FIRST: Record<string, (vectors: Vectors, part: Part) => Vectors> = { nnm, bucketing, norm_clipping: normClipping };
