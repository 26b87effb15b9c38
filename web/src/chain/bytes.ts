// Bytes: how numbers and texts are written, and what an error says. Numbers are big-endian. A reader
// checks every length before it makes anything of that length.
import { sha256 } from "@noble/hashes/sha2.js";

export type Bytes = Uint8Array;

/** The chain breaks a rule of the format; the text names the field. */
export class Wrong extends Error {}

export function need(holds: boolean, what: string | (() => string)): asserts holds {
  if (!holds) throw new Wrong(typeof what === "string" ? what : what());
}

/** The SHA-256 of all parts, one after the other. */
export function sha(...parts: Bytes[]): Bytes {
  if (parts.length === 1) return sha256(parts[0]!);
  const digest = sha256.create();
  for (const part of parts) digest.update(part);
  return digest.digest();
}

const DIGITS = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, "0"));

export function hex(bytes: Bytes): string {
  let text = "";
  for (const byte of bytes) text += DIGITS[byte];
  return text;
}

export function fromHex(text: string): Bytes {
  return Uint8Array.from({ length: text.length >> 1 }, (_, at) => parseInt(text.slice(2 * at, 2 * at + 2), 16));
}

/** The first digits of a hash, for texts. */
export function short(hash: Bytes): string {
  return hex(hash.subarray(0, 4));
}

/** The bytes of an ASCII text. */
export function ascii(text: string): Bytes {
  return Uint8Array.from(text, (letter) => letter.charCodeAt(0));
}

export function joined(...parts: Bytes[]): Bytes {
  const whole = new Uint8Array(parts.reduce((size, part) => size + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

/** Below 0, 0 or above 0, as the first bytes are below, equal to or above the second. */
export function compare(first: Bytes, second: Bytes): number {
  const size = Math.min(first.length, second.length);
  for (let at = 0; at < size; at++) if (first[at] !== second[at]) return first[at]! - second[at]!;
  return first.length - second.length;
}

export function same(first: Bytes, second: Bytes): boolean {
  return compare(first, second) === 0;
}

/** A whole number of at least 0 on so many bytes. */
export function unsigned(value: number | bigint, size: number): Bytes {
  const bytes = new Uint8Array(size);
  for (let at = size - 1, left = BigInt(value); at >= 0; at--, left >>= 8n) bytes[at] = Number(left & 255n);
  return bytes;
}

/** The whole number that bytes stand for. */
export function wide(bytes: Bytes): bigint {
  return bytes.length ? BigInt(`0x${hex(bytes)}`) : 0n;
}

const NAN = "7ff8000000000000";

/** Bytes that are read from the front; `what` names them in errors. */
export class Reader {
  at = 0;

  constructor(readonly data: Bytes, readonly what: string) {}

  /** The next bytes, as a view of the same memory. */
  take(size: number): Bytes {
    const left = this.data.length - this.at;
    need(size <= left, () => `${this.what}: ${left} bytes are left at byte ${this.at}; ${size} must follow`);
    this.at += size;
    return this.data.subarray(this.at - size, this.at);
  }

  /** A whole number of at most six bytes. */
  uint(size: number): number {
    let value = 0;
    for (const byte of this.take(size)) value = value * 256 + byte;
    return value;
  }

  u64(): bigint {
    return wide(this.take(8));
  }

  /** Bytes behind their length, which has `width` bytes; nothing is made before the length is checked. */
  piece(width: number, most: number, what: string): Bytes {
    const size = width === 8 ? this.u64() : BigInt(this.uint(width));
    need(size <= most, () => `${this.what}: ${what} of ${size} bytes; at most ${most} are allowed`);
    return this.take(Number(size));
  }

  f64(): number {
    const raw = this.take(8);
    const value = new DataView(raw.buffer, raw.byteOffset, 8).getFloat64(0);
    need(value === value || hex(raw) === NAN, () => `${this.what}: not the canonical encoding: NaN is ${hex(raw)}`);
    return value;
  }

  text(most: number): string {
    const raw = this.piece(4, most, "length: a text");
    try {
      return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(raw);
    } catch {
      throw new Wrong(`${this.what}: a text is not UTF-8`);
    }
  }

  tag(wanted: string): void {
    const found = String.fromCharCode(...this.take(wanted.length));
    need(found === wanted, () => `${this.what}: tag: is ${JSON.stringify(found)}; must be "${wanted}"`);
  }

  end(): void {
    const left = this.data.length - this.at;
    need(!left, () => `${this.what}: goes on for ${left} bytes after its end`);
  }
}
