// Parts: an aggregation rule or an update by its kind, with parameters that have bounds.
import { need } from "./bytes";
import { isObject, isWhole, type Json, shown } from "./canonical";

/** A rule or an update that is not written down here: what it computes cannot be checked. */
export class UnknownPart extends Error {}

/** A part with all its parameters, defaults filled in. */
export interface Part {
  kind: string;
  [parameter: string]: Json | Part | Part[];
}

interface Parameter {
  words: string;
  allows: (value: Json) => boolean;
  /** What stands for it where it is missing; undefined if it must be there. */
  fallback?: Json;
  /** The kinds of parts of which the parameter is a list. */
  parts?: Kinds;
}
export type Kinds = { [kind: string]: Table };
export type Table = { [parameter: string]: Parameter };

const number = (words: string, allows: (value: number) => boolean): Parameter => ({
  words,
  allows: (value) => typeof value === "number" && allows(value),
});
export const atLeast = (least: number) => number(`a number of at least ${least}`, (value) => value >= least);
export const above = (least: number, most = Infinity) =>
  number(`a number above ${least}${most < Infinity ? `, at most ${most}` : ""}`, (value) => value > least && value <= most);
export const fraction = () => number("a number from 0 to below 1", (value) => value >= 0 && value < 1);
export const whole = (least: number, most = 2 ** 53): Parameter => ({
  words: `a whole number of at least ${least}${most < 2 ** 53 ? `, at most ${most}` : ""}`,
  allows: (value) => isWhole(value, least, most),
});
export const orNull = (inner: Parameter): Parameter => ({
  words: `${inner.words}, or null`,
  allows: (value) => value === null || inner.allows(value),
});
/** Values of which each is one of these, compared as texts of JSON. */
export const oneOf = (...values: Json[]): Parameter => {
  const texts = values.map((value) => JSON.stringify(value));
  return { words: `one of ${texts.join(", ")}`, allows: (value) => texts.includes(JSON.stringify(value)) };
};
export const listOf = (parts: Kinds, least: number, most: number): Parameter => ({
  words: `a list of blocks: ${least} to ${most}`,
  allows: (value) => Array.isArray(value) && value.length >= least && value.length <= most,
  parts,
});
export const given = (parameter: Parameter, fallback: Json): Parameter => ({ ...parameter, fallback });

/** A part with all its parameters; errors name the key. */
export function readPart(part: Json, known: Kinds, where: string): Part {
  need(isObject(part) && Object.hasOwn(part, "kind"), () => `${where}: needs a block with a kind, got ${shown(part)}`);
  const kind = part.kind;
  need(typeof kind === "string", () => `${where}.kind: got ${shown(kind)}; must be a text`);
  if (!Object.hasOwn(known, kind)) throw new UnknownPart(`${where}: ${kind.slice(0, 80)}`);
  const table = known[kind]!;
  const found: Part = { kind };
  for (const name of Object.keys(part)) {
    need(name === "kind" || Object.hasOwn(table, name), () => `${where}.${name.slice(0, 80)}: no such key; ${kind} has ${Object.keys(table).join(", ")}`);
  }
  for (const [name, parameter] of Object.entries(table)) {
    const value = Object.hasOwn(part, name) ? part[name]! : parameter.fallback;
    need(value !== undefined, `${where}.${name}: is missing`);
    need(parameter.allows(value), () => `${where}.${name}: got ${shown(value)}; must be ${parameter.words}`);
    found[name] = parameter.parts
      ? (value as Json[]).map((each, at) => readPart(each, parameter.parts!, `${where}.${name}[${at}]`))
      : value;
  }
  return found;
}
