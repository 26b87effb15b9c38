// Bits of a hash: what a flipped bit changes.

/** A copy of bytes with one bit flipped; bit 0 is the least of its byte. */
export function flipped(bytes: Uint8Array, place: number, bit: number): Uint8Array {
  const copy = bytes.slice();
  copy[place]! ^= 1 << bit;
  return copy;
}

/** How many bits differ. */
export function changedBits(one: Uint8Array, other: Uint8Array): number {
  let count = 0;
  one.forEach((byte, at) => {
    for (let rest = byte ^ other[at]!; rest; rest &= rest - 1) count += 1;
  });
  return count;
}

/** Whether a bit is set; bits are counted from the highest of the first byte. */
export function isSet(bytes: Uint8Array, bit: number): boolean {
  return ((bytes[bit >> 3]! >> (7 - (bit & 7))) & 1) === 1;
}
