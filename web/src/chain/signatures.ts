// Ed25519 as fedchain's ledger checks it: S below the group's order, the equation without the
// cofactor, R compared as bytes, and no key of small order, under which one signature fits all.
// WebCrypto is not used: a page without https has none, and browsers differ in such corners.
import { Point } from "@noble/ed25519";
import { sha512 } from "@noble/hashes/sha2.js";
import { type Bytes, joined, same, wide } from "./bytes";

const ORDER = Point.CURVE().n;
const LOW_255 = (1n << 255n) - 1n;
const PRIME = Point.CURVE().p;
const ORDER_8 = 0x05fc536d880238b13933c6d305acdfd5f098eff289f4c345b027b2c28f95e826n;
const SMALL = new Set([0n, 1n, PRIME - 1n, ORDER_8, PRIME - ORDER_8]);

function little(bytes: Bytes): bigint {
  return wide(Uint8Array.from(bytes).reverse());
}

/** Whether a key is one of the eight points of order 1, 2, 4 and 8. */
export function ofSmallOrder(key: Bytes): boolean {
  return SMALL.has((little(key) & LOW_255) % PRIME);
}

/** Whether a signature is that of a key over a text. */
export function signs(key: Bytes, signature: Bytes, text: Bytes): boolean {
  const scalar = little(signature.subarray(32));
  if (ofSmallOrder(key) || scalar >= ORDER) return false;
  let point: Point;
  try {
    point = Point.fromBytes(Uint8Array.from(key), true); // fedchain takes y modulo the prime, too
  } catch {
    return false;
  }
  const challenge = little(sha512(joined(signature.subarray(0, 32), key, text))) % ORDER;
  const made = Point.BASE.multiply(scalar, false).subtract(point.multiply(challenge, false));
  return same(made.toBytes(), signature.subarray(0, 32));
}
