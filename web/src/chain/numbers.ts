// Numbers: float64 arithmetic in a written order, so that every reader gets the same bits.
import type { Vector } from "./state";

export type Matrix = Vector[];

/** (t_1 + t_2) + t_3 and so on. */
export function orderedSum(values: ArrayLike<number>): number {
  let total = values.length ? values[0]! : 0;
  for (let at = 1; at < values.length; at++) total += values[at]!;
  return total;
}

export function filled(count: number, value: number): Vector {
  return new Float64Array(count).fill(value);
}

/** A matrix times a vector; sums run over the columns from the first. */
export function applied(matrix: Matrix, vector: Vector): Vector {
  return Float64Array.from(matrix, (row) => {
    let total = row[0]! * vector[0]!;
    for (let at = 1; at < vector.length; at++) total += row[at]! * vector[at]!;
    return total;
  });
}

/** The product of two matrices; sums run over the rows of the right one from the first. */
export function product(left: Matrix, right: Matrix): Matrix {
  const width = right[0]!.length;
  return left.map((row) => {
    const made = new Float64Array(width);
    right.forEach((other, k) => {
      const factor = row[k]!;
      for (let j = 0; j < width; j++) made[j] = k ? made[j]! + factor * other[j]! : factor * other[j]!;
    });
    return made;
  });
}

export function transposed(matrix: Matrix): Matrix {
  return Array.from(matrix[0]!, (_, j) => Float64Array.from(matrix, (row) => row[j]!));
}

export function square(count: number, value: (i: number, j: number) => number): Matrix {
  return Array.from({ length: count }, (_, i) => Float64Array.from({ length: count }, (_, j) => value(i, j)));
}

/** A quotient that is 0 where the divisor is not above 0. */
export function quotient(above: number, below: number): number {
  return below > 0 ? above / below : 0;
}

/** The median; of an even number of values, the mean of the middle two. */
export function median(values: ArrayLike<number>): number {
  const sorted = Float64Array.from(values).sort(); // NaN goes last
  if (Number.isNaN(sorted.at(-1))) return NaN;
  const middle = sorted.length >> 1;
  return sorted.length % 2 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

/** Places in ascending order of their values; of equal ones the earlier goes first, NaN goes last. */
export function order(values: ArrayLike<number>): number[] {
  const last = (value: number) => (value !== value ? 1 : 0);
  return Array.from(values, (_, at) => at).sort((i, j) => {
    const a = values[i]!, b = values[j]!;
    return a < b ? -1 : a > b ? 1 : last(a) - last(b);
  });
}

/** 1 for the smallest scores, and 0 for the others. */
export function firstOf(scores: ArrayLike<number>, count: number): Vector {
  const chosen = new Float64Array(scores.length);
  for (const at of order(scores).slice(0, Math.max(count, 0))) chosen[at] = 1;
  return chosen;
}

const WORDS = new DataView(new ArrayBuffer(8));

/** E of x = m 2^E with 1/2 <= |m| < 1; 0 for 0 and for what is not finite. */
export function exponentOf(value: number): number {
  if (value === 0 || !Number.isFinite(value)) return 0;
  WORDS.setFloat64(0, value);
  const bits = (WORDS.getUint16(0) >> 4) & 0x7ff;
  return bits ? bits - 1022 : exponentOf(value * 2 ** 64) - 64;
}

/** x 2^k, rounded once. */
export function timesPower(value: number, k: number): number {
  return k > 1023 ? value * 2 ** 1023 * 2 ** (k - 1023) : value * 2 ** k;
}

/** The nearest whole number, of halves the even one; a zero keeps the sign. */
export function toWhole(value: number): number {
  const low = Math.floor(value), rest = value - low;
  const nearest = rest < 0.5 ? low : rest > 0.5 ? low + 1 : low % 2 ? low + 1 : low;
  return nearest === 0 && (value < 0 || Object.is(value, -0)) ? -0 : nearest;
}

/** The sum of whole numbers below 2^53, exact, then rounded once. */
export function wholeSum(values: ArrayLike<number>): number {
  let settled = 0n, total = 0;
  for (let at = 0; at < values.length; at++) {
    if (Math.abs(total) + Math.abs(values[at]!) >= 2 ** 53) {
      settled += BigInt(total);
      total = 0;
    }
    total += values[at]!;
  }
  return settled ? Number(settled + BigInt(total)) : total;
}

/** The sum of the squares of all entries: each is rounded, they are added exactly, the sum is rounded once. */
export function squareSum(values: Vector): number {
  const squares = values.map((value) => value * value);
  const plain = orderedSum(squares);
  return Number.isFinite(plain) ? exactSum(squares) : plain;
}

/** Add as Shewchuk (1997) does: `parts` have no bits in common, and their sum is always exact. */
function exactSum(values: Vector): number {
  const parts: number[] = [];
  for (let x of values) {
    let kept = 0;
    for (let y of parts) {
      if (Math.abs(x) < Math.abs(y)) [x, y] = [y, x];
      const high = x + y, low = y - (high - x);
      if (low) parts[kept++] = low;
      x = high;
    }
    parts.length = kept;
    parts.push(x);
  }
  let total = parts.pop() ?? 0, low = 0;
  while (parts.length && !low) {
    const next = parts.pop()!, before = total;
    total = before + next;
    low = next - (total - before);
  }
  // Half a unit in the last place was rounded to even: what is left decides.
  const left = parts.at(-1) ?? 0;
  if (left && low < 0 === left < 0) {
    const twice = 2 * low, up = total + twice;
    if (twice === up - total) total = up;
  }
  return total;
}
