// Ed25519 (RFC 8032) as fedchain's ledger checks it: S below the group's order, the equation without
// the cofactor, R compared as bytes, and no key of small order, under which one signature fits all.
// WebCrypto is not used: a page without https has none, and browsers differ in such corners.
import { sha512 } from "@noble/hashes/sha2.js";
import { type Bytes, joined, same, unsigned } from "./bytes";
import { bytesOf, combined, little, LOW_255, multipleOfBase, opposite, ORDER, pointOf } from "./curve";
import { PRIME } from "./field";

const ORDER_8 = 0x05fc536d880238b13933c6d305acdfd5f098eff289f4c345b027b2c28f95e826n;
const SMALL = new Set([0n, 1n, PRIME - 1n, ORDER_8, PRIME - ORDER_8]);

/** Whether a key is one of the eight points of order 1, 2, 4 and 8. */
export function ofSmallOrder(key: Bytes): boolean {
  return SMALL.has((little(key) & LOW_255) % PRIME);
}

/** Whether a signature is that of a key over a text. */
export function signs(key: Bytes, signature: Bytes, text: Bytes): boolean {
  const r = signature.subarray(0, 32), s = little(signature.subarray(32)), point = pointOf(key);
  if (!point || ofSmallOrder(key) || s >= ORDER) return false;
  return same(bytesOf(combined(s, challenge(r, key, text), opposite(point))), r);
}

function challenge(r: Bytes, key: Bytes, text: Bytes): bigint {
  return little(sha512(joined(r, key, text))) % ORDER;
}

/** A key pair, to sign what the reader of a page makes. */
export interface Signer {
  publicKey: Bytes;
  sign(text: Bytes): Bytes;
}

/** The key pair of a secret key of 32 bytes. */
export function signerOf(secret: Bytes): Signer {
  const hash = sha512(secret), scalar = (little(hash.subarray(0, 32)) & (2n ** 254n - 8n)) | (2n ** 254n);
  const publicKey = bytesOf(multipleOfBase(scalar % ORDER));
  const sign = (text: Bytes): Bytes => {
    const r = little(sha512(joined(hash.subarray(32), text))) % ORDER, point = bytesOf(multipleOfBase(r));
    const s = (r + challenge(point, publicKey, text) * scalar) % ORDER;
    return joined(point, unsigned(s, 32).reverse());
  };
  return { publicKey, sign };
}
