// The curve of Ed25519, -x^2 + y^2 = 1 + d x^2 y^2, in extended coordinates (Hisil and others, 2008):
// x = X / Z, y = Y / Z, and T = X Y / Z.
import { type Bytes, unsigned, wide } from "./bytes";
import { inverse, PRIME, reduced, rootPower, times } from "./field";

export interface Point {
  x: bigint;
  y: bigint;
  z: bigint;
  t: bigint;
}
/** A point as it is added to others: y + x, y - x, 2 z and 2 d t. */
type Addend = [bigint, bigint, bigint, bigint];

/** Order of the group that the base point makes. */
export const ORDER = 2n ** 252n + 27742317777372353535851937790883648493n;
const D = 37095705934669439343138083508754565189542113879843219016388785533085940283555n;
const ROOT_OF_MINUS_1 = 19681161376707505956807079304988542015446066515923890162744021073123829784752n;
export const LOW_255 = 2n ** 255n - 1n;

export function little(bytes: Bytes): bigint {
  return wide(Uint8Array.from(bytes).reverse());
}

/** The point of 32 bytes, y being taken modulo the prime; null if there is none. */
export function pointOf(bytes: Bytes): Point | null {
  const y = (little(bytes) & LOW_255) % PRIME, yy = times(y, y);
  const above = reduced(yy - 1n), below = times(yy, D) + 1n; // x^2 is their quotient
  const cube = times(times(below, below), below);
  const power = rootPower(times(times(times(cube, cube), below), above));
  let x = times(times(power, cube), above);
  const found = reduced(times(below, times(x, x)));
  if (found !== above) {
    if (found !== reduced(-above)) return null;
    x = times(x, ROOT_OF_MINUS_1);
  }
  x = reduced(x);
  if ((x & 1n) !== BigInt(bytes[31]! >> 7)) x = -x;
  return { x, y, z: 1n, t: times(x, y) };
}

/** The 32 bytes of a point. */
export function bytesOf(point: Point): Bytes {
  const over = inverse(point.z), x = reduced(point.x * over), y = reduced(point.y * over);
  return unsigned(y | ((x & 1n) << 255n), 32).reverse();
}

function doubled({ x, y, z }: Point): Point {
  const a = times(x, x), b = times(y, y), zz = times(z, z), sum = x + y;
  const h = a + b, e = h - times(sum, sum), g = a - b, f = zz + zz + g;
  return { x: times(e, f), y: times(g, h), z: times(f, g), t: times(e, h) };
}

function added(point: Point, [sum, difference, twice, curved]: Addend): Point {
  const a = times(point.y - point.x, difference), b = times(point.y + point.x, sum);
  const c = times(point.t, curved), d = times(point.z, twice);
  const e = b - a, f = d - c, g = d + c, h = b + a;
  return { x: times(e, f), y: times(g, h), z: times(f, g), t: times(e, h) };
}

function addend({ x, y, z, t }: Point): Addend {
  return [y + x, y - x, 2n * z, times(t, 2n * D)];
}

function negated([sum, difference, twice, curved]: Addend): Addend {
  return [difference, sum, twice, -curved];
}

export function opposite({ x, y, z, t }: Point): Point {
  return { x: -x, y, z, t: -t };
}

/** 1, 3, 5 and so on times a point. */
function oddMultiples(point: Point, count: number): Addend[] {
  const twice = addend(doubled(point)), made = [addend(point)];
  for (let next = point; made.length < count; ) {
    next = added(next, twice);
    made.push(addend(next));
  }
  return made;
}

/** A number in digits of 0 or odd ones below 2^(width - 1) in size, the lowest first, most of them 0. */
function digitsOf(scalar: bigint, width: number): Int8Array {
  const digits = new Int8Array(256), most = 1 << width;
  for (let at = 0, left = scalar; left; at++, left >>= 1n) {
    if (!(left & 1n)) continue;
    const low = Number(left & BigInt(most - 1)), digit = low < most / 2 ? low : low - most;
    digits[at] = digit;
    left -= BigInt(digit);
  }
  return digits;
}

/** The base point: y is 4/5, and x is even. */
const BASE = pointOf(unsigned(reduced(4n * inverse(5n)), 32).reverse())!;
const WIDTH = 5, WIDTH_OF_BASE = 8;
let multiplesOfBase: Addend[] | null = null;

/** s B + k P, B being the base point. */
export function combined(s: bigint, k: bigint, point: Point): Point {
  const ofBase = (multiplesOfBase ??= oddMultiples(BASE, 1 << (WIDTH_OF_BASE - 2)));
  const ofPoint = oddMultiples(point, 1 << (WIDTH - 2));
  const first = digitsOf(s, WIDTH_OF_BASE), second = digitsOf(k, WIDTH);
  let made: Point = { x: 0n, y: 1n, z: 1n, t: 0n };
  for (let at = 255; at >= 0; at--) {
    made = doubled(made);
    for (const [digit, multiples] of [[first[at]!, ofBase], [second[at]!, ofPoint]] as const) {
      if (!digit) continue;
      const multiple = multiples[(Math.abs(digit) - 1) / 2]!;
      made = added(made, digit < 0 ? negated(multiple) : multiple);
    }
  }
  return made;
}

/** s B. */
export function multipleOfBase(s: bigint): Point {
  return combined(s, 0n, BASE);
}
