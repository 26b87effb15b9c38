/** Left or right of the sum: a way to spread the messages on the wheel, kept from round to round.
 *
 * A message lies on the side of the sign of its loading on the first principal component of what is
 * orthogonal to the sum of all directions. The sign of a component is arbitrary, so each round takes
 * the one that leaves most holders on the side where they were. */

import type { Gram } from "./gram";
import { applied } from "./gram";

const MOST_TURNS = 500;

/** The loadings of all messages on the first principal component of what is orthogonal to the sum,
 * as the entries of the leading eigenvector; all 0 if nothing is orthogonal to it. */
export function loadingsOf(gram: Gram): Float64Array {
  const { count } = gram;
  const rest = orthogonalTo(gram);
  let vector = columnOfLargest(rest, count);
  for (let turn = 0; turn < MOST_TURNS; turn += 1) {
    const next = applied({ count, cosines: rest }, vector);
    const norm = Math.hypot(...next);
    if (!(norm > 0)) return new Float64Array(count);
    let change = 0;
    for (let k = 0; k < count; k += 1) {
      next[k] = next[k]! / norm;
      change = Math.max(change, Math.abs(next[k]! - vector[k]!));
    }
    vector = next;
    if (change < 1e-12) break;
  }
  return vector;
}

/** Inner products of what is left of the directions without their part along the sum. */
function orthogonalTo(gram: Gram): Float64Array {
  const { count, cosines } = gram;
  const inner = applied(gram, new Float64Array(count).fill(1));
  const square = inner.reduce((total, one) => total + one, 0);
  const rest = cosines.slice();
  if (!(square > 0)) return rest;
  for (let i = 0; i < count; i += 1) {
    for (let j = 0; j < count; j += 1) rest[i * count + j]! -= (inner[i]! * inner[j]!) / square;
  }
  return rest;
}

function columnOfLargest(matrix: Float64Array, count: number): Float64Array {
  let best = 0;
  for (let k = 1; k < count; k += 1) {
    if (matrix[k * count + k]! > matrix[best * count + best]!) best = k;
  }
  const column = matrix.slice(best * count, (best + 1) * count);
  const norm = Math.hypot(...column);
  return norm > 0 ? column.map((entry) => entry / norm) : column;
}

/** The loadings, turned so that holders stay where they were. `before` has the loadings of holders in
 * the round before; without any in common, the holder with the lowest index lies to the right. */
export function turned(
  loadings: Float64Array,
  holders: readonly number[],
  before: ReadonlyMap<number, number>,
): Map<number, number> {
  let agreement = 0;
  let lowest = 0;
  holders.forEach((holder, place) => {
    agreement += (before.get(holder) ?? 0) * loadings[place]!;
    if (holder < holders[lowest]!) lowest = place;
  });
  const sign = (agreement !== 0 ? agreement : loadings[lowest]!) < 0 ? -1 : 1;
  return new Map(holders.map((holder, place) => [holder, sign * loadings[place]!]));
}

interface Seen {
  readonly gram: Gram;
  readonly holders: readonly number[];
}

/** Loadings by holder of every round, each found once, and again only if its block is replaced. */
export class Sides {
  private readonly known = new Map<number, { of: Seen; made: Map<number, number> }>();

  /** The loadings of a round. `rounds` are all rounds with a gram, ascending; the first ones of more
   * than `most` new ones are left out, so that a jump far ahead stays quick. */
  at(rounds: readonly number[], round: number, seen: (round: number) => Seen, most = 60) {
    const until = rounds.filter((one) => one <= round);
    let start = until.length;
    while (start > 0 && until.length - start < most) {
      const known = this.known.get(until[start - 1]!);
      if (known && known.of.gram === seen(until[start - 1]!).gram) break;
      start -= 1;
    }
    let before = this.known.get(until[start - 1] ?? -1)?.made ?? new Map<number, number>();
    for (const one of until.slice(start)) {
      const of = seen(one);
      // A holder that is absent in a round keeps its side for the next one.
      before = new Map([...before, ...turned(loadingsOf(of.gram), of.holders, before)]);
      this.known.set(one, { of, made: before });
    }
    return before;
  }
}
