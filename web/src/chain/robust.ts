// Rules that withstand Byzantine messages: each takes the vectors and its parameters, and returns the
// global gradient.
import { ONE } from "./directions";
import { applied, firstOf, type Matrix, median as medianOf, order, orderedSum, square, wholeSum } from "./numbers";
import type { Part } from "./parts";
import { scaled } from "./directions";
import { caf, dnc, mda, smea } from "./spread";
import type { Vector } from "./state";
import {
  cosines, distances, enough, exactGram, fewOf, gram, lengthsOf, mean, rows, sizeOf, unit, type Vectors,
} from "./vectors";

const MOST_OF_KRUM = 8192;

/** The directions with the closest neighbours. */
function krum(vectors: Vectors, rule: Part): Vector {
  const few = fewOf(rule.byzantine!), count = sizeOf(vectors);
  enough(vectors, 2 * few + 3);
  const near = (row: Vector) => row.slice().sort().subarray(1, count - few - 1);
  const scores = vectors.mix
    ? distances(cosines(vectors)).map((row) => orderedSum(near(row)))
    : apart(exactGram(vectors, MOST_OF_KRUM)).map((row) => wholeSum(near(row)) / ONE ** 2);
  return mean(vectors, firstOf(scores, rule.keep as number));
}

/** Squared distances of directions with these exact products, 2^40 times as large. */
function apart(exact: Matrix): Matrix {
  return square(exact.length, (i, j) => exact[i]![i]! + exact[j]![j]! - 2 * exact[i]![j]!);
}

function ofDirections(vectors: Vectors): Matrix {
  if (vectors.mix) return distances(cosines(vectors));
  return apart(exactGram(vectors)).map((row) => row.map((value) => value / ONE ** 2));
}

/** Work column by column: the function gets all values of a column in ascending order. */
function byColumn(values: Matrix, take: (ordered: Vector) => number): Vector {
  const column = new Float64Array(values.length);
  return values[0]!.map((_, at) => {
    for (let k = 0; k < column.length; k++) column[k] = values[k]![at]!;
    return take(column.sort());
  });
}

/** The sum of some values, beginning with 0, over their number. */
function meanBetween(values: Vector, start: number, end: number): number {
  let total = 0;
  for (let at = start; at < end; at++) total += values[at]!;
  return total / (end - start) / ONE;
}

function trimmed(vectors: Vectors, few: number): Vector {
  enough(vectors, 2 * few + 1);
  return byColumn(rows(vectors), (values) => meanBetween(values, few, values.length - few));
}

function trimmedMean(vectors: Vectors, rule: Part): Vector {
  return trimmed(vectors, fewOf(rule.trim!));
}

function median(vectors: Vectors): Vector {
  return trimmed(vectors, (sizeOf(vectors) - 1) >> 1);
}

function meanAroundMedian(vectors: Vectors, rule: Part): Vector {
  const few = fewOf(rule.byzantine!);
  enough(vectors, 2 * few + 1);
  return nearestValues(rows(vectors), sizeOf(vectors) - few);
}

/** The mean of the values of each column that are nearest to its median. */
function nearestValues(values: Matrix, kept: number): Vector {
  return byColumn(values, (ordered) => {
    const count = ordered.length;
    const middle = (ordered[(count - 1) >> 1]! + ordered[count >> 1]!) / 2;
    let start = 0;
    for (let at = 0; at < count - kept; at++) {
      if (middle - ordered[at]! > ordered[at + kept]! - middle) start++;
    }
    return meanBetween(ordered, start, start + kept);
  });
}

/** Choose by Krum one after the other, then average values near the median. */
function bulyan(vectors: Vectors, rule: Part): Vector {
  const few = fewOf(rule.byzantine!), count = sizeOf(vectors);
  enough(vectors, 4 * few + 3);
  const far = ofDirections(vectors), left = Array.from({ length: count }, (_, at) => at), chosen: number[] = [];
  while (chosen.length < count - 2 * few) {
    const number = Math.min(Math.max(left.length - few - 2, 1), left.length - 1);
    const scores = left.map((i) => {
      const ordered = Float64Array.from(left, (j) => far[i]![j]!).sort();
      return orderedSum(ordered.subarray(1, number + 1));
    });
    chosen.push(...left.splice(order(scores)[0]!, 1));
  }
  const values = rows(vectors);
  return nearestValues(chosen.map((at) => values[at]!), chosen.length - 2 * few);
}

/** The point with the smallest sum of distances, by Weiszfeld's steps. */
function geometricMedian(vectors: Vectors, rule: Part): Vector {
  const products = gram(vectors);
  const usual = medianOf(scaled(Float64Array.from(vectors.messages, (said) => said.norm), rule.scale!));
  const smoothing = ((rule.smoothing as number) * usual) / unit(vectors);
  const least = smoothing > 0 ? smoothing : 1;
  let far = lengthsOf(products), counts = far;
  for (let step = 0; step < (rule.steps as number); step++) {
    if (step) far = distancesTo(products, counts);
    const near = far.map((value) => 1 / Math.max(value, least)), whole = orderedSum(near);
    counts = near.map((value) => value / whole);
  }
  return mean(vectors, counts);
}

/** The distances of all vectors to their sum with these factors. */
export function distancesTo(products: Matrix, place: Vector): Vector {
  const along = applied(products, place);
  const own = orderedSum(place.map((value, at) => value * along[at]!));
  return along.map((value, j) => Math.sqrt(Math.max(products[j]![j]! - 2 * value + own, 0)));
}

export const ROBUST: Record<string, (vectors: Vectors, rule: Part) => Vector> = {
  krum, trimmed_mean: trimmedMean, median, mean_around_median: meanAroundMedian, bulyan, dnc, caf, mda, smea,
  geometric_median: geometricMedian,
};
