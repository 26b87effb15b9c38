/** Inner products of the unit directions of one block's messages, and what follows from them. */

import { bytesOf, type GramRecord } from "../../records";

export interface Gram {
  /** Number of messages. */
  readonly count: number;
  /** Cosine of message i with message j at [i * count + j]; 1 on the diagonal, 0 for a zero message. */
  readonly cosines: Float64Array;
}

/** Read the upper triangle of a matrix of cosines, float32 little-endian, row by row without the
 * diagonal. A message whose norm is 0 has no direction. Null if the bytes have another length. */
export function readGram(triangle: Uint8Array, norms: readonly number[]): Gram | null {
  const count = norms.length;
  if (triangle.length !== 2 * count * (count - 1)) return null;
  const view = new DataView(triangle.buffer, triangle.byteOffset, triangle.byteLength);
  const cosines = new Float64Array(count * count);
  let place = 0;
  for (let row = 0; row < count; row += 1) {
    cosines[row * count + row] = norms[row]! > 0 ? 1 : 0;
    for (let column = row + 1; column < count; column += 1, place += 4) {
      const cosine = view.getFloat32(place, true);
      cosines[row * count + column] = cosine;
      cosines[column * count + row] = cosine;
    }
  }
  return { count, cosines };
}

const known = new WeakMap<GramRecord, Gram | null>();

/** The cosines of a record, read once. */
export function gramOf(record: GramRecord): Gram | null {
  if (!known.has(record)) known.set(record, readGram(bytesOf(record.cosines), record.norms));
  return known.get(record)!;
}

/** The matrix of cosines times a vector. */
export function applied(gram: Gram, vector: ArrayLike<number>): Float64Array {
  const { count, cosines } = gram;
  const made = new Float64Array(count);
  for (let row = 0; row < count; row += 1) {
    let total = 0;
    for (let column = 0; column < count; column += 1) {
      total += cosines[row * count + column]! * vector[column]!;
    }
    made[row] = total;
  }
  return made;
}

/** Inner product of two combinations of the directions, each given by its coefficients. */
export function inner(gram: Gram, a: ArrayLike<number>, b: ArrayLike<number>): number {
  const mapped = applied(gram, b);
  let total = 0;
  for (let k = 0; k < gram.count; k += 1) total += a[k]! * mapped[k]!;
  return total;
}

/** Length of a combination of the directions. */
export function length(gram: Gram, a: ArrayLike<number>): number {
  return Math.sqrt(Math.max(inner(gram, a, a), 0));
}

/** Cosine of two combinations of the directions; null if one of them is zero. */
export function cosineOf(gram: Gram, a: ArrayLike<number>, b: ArrayLike<number>): number | null {
  const lengths = length(gram, a) * length(gram, b);
  return lengths > 0 ? Math.min(1, Math.max(-1, inner(gram, a, b) / lengths)) : null;
}

/** The coefficients of the sum of all directions. */
export function sumOfAll(gram: Gram): Float64Array {
  return new Float64Array(gram.count).fill(1);
}

/** The cosine that a direction of noise alone has with the sum of all: the sum has it in itself
 * once, and the others are as good as orthogonal to it. Null if the sum is zero. */
export function noiseAlone(gram: Gram): number | null {
  const sum = length(gram, sumOfAll(gram));
  return sum > 0 ? Math.min(1, 1 / sum) : null;
}

/** The angle of a cosine in degrees, 0 to 180. */
export function degrees(cosine: number): number {
  return (Math.acos(Math.min(1, Math.max(-1, cosine))) * 180) / Math.PI;
}
