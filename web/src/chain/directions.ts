// Directions: what messages say of gradients, as whole numbers whose products are exact.
//
// p_k = q_k 2^(20 - e_k) has a norm of at most 2^21 (rule 8 was checked before). So |<p_k, p_l>| and
// every partial sum of it are at most 2^42, by Cauchy and Schwarz: float64 adds them exactly.
import type { Message } from "./message";
import { median } from "./numbers";
import type { Part } from "./parts";
import type { Vector } from "./state";

export const ONE = 2 ** 20;

/** What the step reads of a message. */
export type Said = Pick<Message, "direction" | "exponent" | "norm" | "records">;

/** 2^(20 - e), the factor from the numbers of a message to p. */
export function shiftOf(said: Said): number {
  return 2 ** (20 - said.exponent);
}

/** <p_k, p_l>, exact. */
export function inner(first: Said, second: Said): number {
  const a = first.direction, b = second.direction;
  let total = 0;
  for (let at = 0; at < a.length; at++) total += a[at]! * b[at]!;
  return total * (shiftOf(first) * shiftOf(second));
}

/** The sum of all p_k, exact: at most 2^16 messages of entries up to 2^21. */
export function sumOf(messages: Said[], dimension: number): Vector {
  const total = new Float64Array(dimension);
  for (const said of messages) addTo(total, said, shiftOf(said));
  return total;
}

/** Add q_k times a factor: a product and a sum for each entry. */
export function addTo(total: Vector, said: Said, factor: number): void {
  const q = said.direction;
  for (let at = 0; at < total.length; at++) total[at] = total[at]! + q[at]! * factor;
}

const LOW = 2 ** 16;

/** <p_k, z> of a vector of whole numbers below 2^37, as two exact products: high 2^16 + low. */
export function parted(said: Said, whole: Vector): { high: number; low: number } {
  const q = said.direction;
  let high = 0, low = 0;
  for (let at = 0; at < whole.length; at++) {
    const upper = Math.floor(whole[at]! / LOW);
    high += q[at]! * upper;
    low += q[at]! * (whole[at]! - upper * LOW);
  }
  const shift = shiftOf(said);
  return { high: high * shift, low: low * shift };
}

/** <p_k, z>, exact, then rounded once. */
export function innerWith(said: Said, whole: Vector): number {
  const { high, low } = parted(said, whole);
  return Number(BigInt(high) * BigInt(LOW) + BigInt(low));
}

/** The factor of each direction. */
export function scaled(norms: Vector, scale: Part[string]): Vector {
  if (scale === "unit") return new Float64Array(norms.length).fill(1);
  const usual = median(norms);
  return scale === "median_clip" ? norms.map((norm) => Math.min(norm, usual)) : norms;
}
