// Canonical JSON (RFC 8785): a value has one spelling, so that a text has one hash. The standard
// writes texts and numbers as JSON.stringify does; only the order of keys must be added.
import { type Bytes, need, same, Wrong } from "./bytes";

export type Json = null | boolean | number | string | Json[] | JsonObject;
export interface JsonObject {
  [key: string]: Json;
}

const DEEPEST = 32;
const MOST_WHOLE = 2 ** 53;
const HALF_OF_A_PAIR = /\p{Surrogate}/u;

/** The value of a canonical text; `what` names it in errors. */
export function readCanonical(data: Bytes, what: string): Json {
  let value: Json;
  try {
    value = JSON.parse(new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(data));
  } catch {
    throw new Wrong(`${what}: is no JSON in UTF-8`);
  }
  const written = new TextEncoder().encode(canonical(value, what));
  need(same(written, data), () => `${what}: is not the canonical JSON of its value, from byte ${differsAt(written, data)} on`);
  return value;
}

function differsAt(written: Bytes, data: Bytes): number {
  const at = written.findIndex((byte, place) => byte !== data[place]);
  return at < 0 ? written.length : at;
}

function canonical(value: Json, what: string, depth = 0): string {
  need(depth < DEEPEST, `${what}: is nested too deeply: more than ${DEEPEST} levels`);
  if (Array.isArray(value)) return `[${value.map((each) => canonical(each, what, depth + 1)).join(",")}]`;
  if (isObject(value)) {
    const pairs = Object.keys(value).sort(); // by UTF-16 code units, as the standard wants
    return `{${pairs.map((key) => `${quoted(key, what)}:${canonical(value[key]!, what, depth + 1)}`).join(",")}}`;
  }
  if (typeof value === "string") return quoted(value, what);
  need(typeof value !== "number" || Number.isFinite(value), `${what}: is no JSON number: beyond float64`);
  return JSON.stringify(value);
}

function quoted(text: string, what: string): string {
  need(!HALF_OF_A_PAIR.test(text), `${what}: a text has half of a surrogate pair`);
  return JSON.stringify(text);
}

export function isObject(value: unknown): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** Whether a value is a whole number of the format: written without point and exponent, up to 2^53. */
export function isWhole(value: Json | undefined, least = -MOST_WHOLE, most = MOST_WHOLE): value is number {
  return Number.isInteger(value) && Math.abs(value as number) <= MOST_WHOLE && (value as number) >= least && (value as number) <= most;
}

/** A value as a short text, for errors. */
export function shown(value: Json | undefined): string {
  return value === undefined ? "nothing" : JSON.stringify(value).slice(0, 80);
}
