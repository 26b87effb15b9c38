// Rules that look for the direction along which vectors spread most, and rules that try all subsets.
import {
  applied, exponentOf, filled, firstOf, type Matrix, orderedSum, product, quotient, square, timesPower,
} from "./numbers";
import type { Part } from "./parts";
import type { Vector } from "./state";
import { distances, enough, fewOf, gram, mean, refuse, sizeOf, type Vectors } from "./vectors";

const SQUARINGS = 10, STEPS = 4;
const MOST_SUBSETS: Record<string, number> = { mda: 60_000, smea: 6000 };

/** Leave out what lies far along the direction of the largest variance. */
export function dnc(vectors: Vectors, rule: Part): Vector {
  const few = fewOf(rule.byzantine!), turns = rule.iterations as number, count = sizeOf(vectors);
  enough(vectors, Math.max(2, turns) * few + 1);
  const products = gram(vectors);
  let counts: Vector = filled(count, 1);
  for (let turn = 1; turn <= turns; turn++) {
    const { squares } = spreadAlong(products, counts);
    const whole = orderedSum(squares.map((value, at) => value * counts[at]!));
    const scores = squares.map((value, at) => (counts[at]! > 0 ? quotient(value, whole) : Infinity));
    counts = firstOf(scores, count - turn * few);
  }
  return mean(vectors, counts);
}

/** Lower the weights along directions of large variance. */
export function caf(vectors: Vectors, rule: Part): Vector {
  const few = fewOf(rule.byzantine!), count = sizeOf(vectors);
  enough(vectors, 2 * few + 1);
  const products = gram(vectors);
  let counts: Vector = filled(count, 1), best = counts;
  let { squares, variance: least } = spreadAlong(products, counts);
  for (;;) {
    const farthest = greatest(squares.filter((_, at) => counts[at]! > 0));
    if (!(farthest > 0)) break;
    counts = counts.map((value, at) => value * Math.max(1 - squares[at]! / farthest, 0));
    if (orderedSum(counts) <= count - 2 * few) break;
    const found = spreadAlong(products, counts);
    squares = found.squares;
    if (found.variance < least) {
      least = found.variance;
      best = counts;
    }
  }
  return mean(vectors, best);
}

function greatest(values: Vector): number {
  return values.reduce((most, value) => Math.max(most, value), -Infinity);
}

/** Squared projections on the leading direction of weighted vectors, and the variance along it. */
function spreadAlong(products: Matrix, counts: Vector): { squares: Vector; variance: number } {
  const whole = orderedSum(counts), roots = counts.map(Math.sqrt);
  const centred = centredBy(products, counts.map((count) => count / whole));
  const { vector, value } = leading(square(counts.length, (i, j) => centred[i]![j]! * (roots[i]! * roots[j]!)));
  const along = applied(centred, roots.map((root, at) => root * vector[at]!));
  const length = value * orderedSum(vector.map((entry) => entry * entry));
  if (length <= 0) return { squares: filled(counts.length, 0), variance: 0 };
  return { squares: along.map((entry) => (entry * entry) / length), variance: value / whole };
}

/** The inner products of the vectors less their mean with these shares. */
function centredBy(products: Matrix, shares: Vector): Matrix {
  const means = applied(products, shares);
  const own = orderedSum(shares.map((share, at) => share * means[at]!));
  return square(products.length, (i, j) => products[i]![j]! - (means[i]! + means[j]!) + own);
}

/** The leading eigenvector of a matrix, and its eigenvalue. */
function leading(matrix: Matrix): { vector: Vector; value: number } {
  let power = evened(matrix);
  for (let turn = 0; turn < SQUARINGS; turn++) power = evened(product(power, power));
  let place = 0;
  power.forEach((row, at) => {
    if (row[at]! > power[place]![place]!) place = at;
  });
  let vector: Vector = Float64Array.from(power, (row) => row[place]!);
  for (let turn = 0; turn < STEPS; turn++) vector = evened([applied(power, vector)])[0]!;
  const own = orderedSum(vector.map((entry) => entry * entry));
  const image = applied(matrix, vector);
  const along = orderedSum(vector.map((entry, at) => entry * image[at]!));
  return { vector, value: own > 0 ? Math.max(along / own, 0) : 0 };
}

/** Divided by the power of two that brings the largest entry between 1 and 2. */
function evened(matrix: Matrix): Matrix {
  const most = matrix.reduce((found, row) => Math.max(found, greatest(row.map(Math.abs))), 0);
  const power = 1 - exponentOf(most);
  return matrix.map((row) => row.map((value) => timesPower(value, power)));
}

/** The mean of the subset with the smallest diameter. */
export function mda(vectors: Vectors, rule: Part): Vector {
  const far = distances(gram(vectors));
  return best(vectors, rule, (each) => {
    let most = 0;
    for (const i of each) for (const j of each) most = Math.max(most, far[i]![j]!);
    return most;
  });
}

/** The mean of the subset with the smallest leading variance. */
export function smea(vectors: Vectors, rule: Part): Vector {
  const products = gram(vectors);
  return best(vectors, rule, (each) => {
    const inside = square(each.length, (i, j) => products[each[i]!]![each[j]!]!);
    return leading(centredBy(inside, filled(each.length, 1 / each.length))).value;
  });
}

/** The mean of the first of all subsets with the smallest value. */
function best(vectors: Vectors, rule: Part, valueOf: (each: number[]) => number): Vector {
  const few = fewOf(rule.byzantine!), count = sizeOf(vectors), most = MOST_SUBSETS[rule.kind]!;
  enough(vectors, 2 * few + 1);
  refuse(binomial(count, few) <= most, `got more than ${most} subsets`);
  let least = Infinity, found: number[] = [];
  for (const each of subsets(count, count - few)) {
    const value = valueOf(each);
    if (value < least || !found.length) [least, found] = [value, [...each]];
  }
  const counts = filled(count, 0);
  for (const at of found) counts[at] = 1;
  return mean(vectors, counts);
}

/** How many ways there are to choose; close enough above 2^53. */
function binomial(count: number, few: number): number {
  let ways = 1;
  for (let at = 1; at <= few; at++) ways = (ways * (count - few + at)) / at;
  return Math.round(ways);
}

/** All subsets of a size, in lexicographic order; each is valid until the next. */
function* subsets(count: number, size: number): Generator<number[]> {
  const each = Array.from({ length: size }, (_, at) => at);
  for (;;) {
    yield each;
    let at = size - 1;
    while (at >= 0 && each[at] === count - size + at) at--;
    if (at < 0) return;
    each[at]!++;
    for (let next = at + 1; next < size; next++) each[next] = each[next - 1]! + 1;
  }
}
