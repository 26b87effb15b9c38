// Mining: search for a nonce that brings the hash of a header to the target.
import { sha256 } from "@noble/hashes/sha2.js";
import type { Bytes } from "./bytes";

const NONCE_AT = 256;

/** The first nonce from `start` on that meets the target, among so many; null if there is none. */
export function search(header: Bytes, target: Bytes, start: number, count: number): number | null {
  const before = sha256.create().update(header.subarray(0, NONCE_AT));
  const nonce = new DataView(new ArrayBuffer(8)), bytes = new Uint8Array(nonce.buffer);
  for (let tried = start; tried < start + count; tried++) {
    nonce.setBigUint64(0, BigInt(tried));
    if (reaches(sha256(before.clone().update(bytes).digest()), target)) return tried;
  }
  return null;
}

/** Whether a hash, as a big-endian number, is at most the target. */
function reaches(hash: Bytes, target: Bytes): boolean {
  for (let at = 0; at < 32; at++) if (hash[at] !== target[at]) return hash[at]! < target[at]!;
  return true;
}
