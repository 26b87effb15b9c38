// Work: targets in Bitcoin's compact form, and how they follow the time that blocks take.
import { need } from "./bytes";

const SIGN = 0x800000n;

/** The target of a compact form. */
export function targetOf(bits: number): bigint {
  const form = BigInt(bits);
  const size = 8n * ((form >> 24n) - 3n);
  const mantissa = form & 0x7fffffn;
  const target = size > 0n ? mantissa << size : mantissa >> -size;
  const right = !(form & SIGN) && target > 0n && target < 1n << 256n;
  need(right, () => `0x${bits.toString(16).padStart(8, "0")} is no target`);
  return target;
}

/** The compact form of a target, rounded down to three bytes. */
export function compactOf(target: bigint): number {
  let size = BigInt(Math.ceil(target.toString(2).length / 8));
  let mantissa = size <= 3n ? target << (8n * (3n - size)) : target >> (8n * (size - 3n));
  if (mantissa & SIGN) {
    mantissa >>= 8n; // the highest bit is a sign: the mantissa takes a byte less
    size += 1n;
  }
  return Number((size << 24n) | mantissa);
}

/** The expected number of tries for a block. */
export function workOf(bits: number): bigint {
  return (1n << 256n) / (targetOf(bits) + 1n);
}

/** The bits of the next window of blocks; the last one took so long. */
export function adapted(bits: number, tookMs: bigint, expectedMs: bigint, easiest: number): number {
  const least = expectedMs / 4n, most = 4n * expectedMs;
  const took = tookMs < least ? least : tookMs > most ? most : tookMs;
  const target = (targetOf(bits) * took) / expectedMs || 1n;
  const limit = targetOf(easiest);
  return compactOf(target < limit ? target : limit);
}
