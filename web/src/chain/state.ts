// State: the weights and what update and rule remember, and the bytes by which a header names them.
import { ascii, type Bytes, joined, need, same, sha, unsigned } from "./bytes";
import type { Rules } from "./rules";

export type Vector = Float64Array;

/** Vectors by name; each is one row of float64. */
export type Memory = ReadonlyMap<string, Vector>;

export interface State {
  /** float64 whose values are those of the agreed type. */
  weights: Vector;
  memory: Memory;
}

const FLOAT32 = 1, FLOAT64 = 2;

/** One tensor of one axis: name, type, shape and little-endian numbers, every NaN with the same bits. */
function tensor(name: string, values: Vector, code: number): Bytes {
  const size = code === FLOAT32 ? 4 : 8;
  const head = joined(unsigned(name.length, 4), ascii(name), Uint8Array.of(code, 1), unsigned(values.length, 8));
  const bytes = new Uint8Array(head.length + size * values.length);
  bytes.set(head);
  const view = new DataView(bytes.buffer);
  for (let at = 0, place = head.length; at < values.length; at++, place += size) {
    const value = values[at]!;
    if (value !== value) view.setUint32(place + size - 4, size === 4 ? 0x7fc00000 : 0x7ff80000, true);
    else if (size === 4) view.setFloat32(place, value, true);
    else view.setFloat64(place, value, true);
  }
  return bytes;
}

function encodedWeights(weights: Vector, rules: Rules): Bytes {
  return joined(unsigned(1, 4), tensor("weights", weights, rules.dtype === "float32" ? FLOAT32 : FLOAT64));
}

/** The two hashes by which a header commits to a state. */
export function hashesOf(state: State, rules: Rules): { weights: Bytes; memory: Bytes } {
  const names = [...state.memory.keys()].sort();
  const memory = joined(unsigned(names.length, 4), ...names.map((name) => tensor(name, state.memory.get(name)!, FLOAT64)));
  return { weights: sha(encodedWeights(state.weights, rules)), memory: sha(memory) };
}

/** Most bytes that the first weights may have. */
export function mostBytes(rules: Rules): number {
  return 8 * rules.dimension + 64;
}

/** The first weights: one row, with name, type and shape in front. */
export function readWeights(data: Bytes, rules: Rules): Vector {
  const size = rules.dtype === "float32" ? 4 : 8;
  const start = data.length - size * rules.dimension;
  const words = `file: the first state: weights must be one row of ${rules.dimension} ${rules.dtype}`;
  need(start >= 0, words);
  const view = new DataView(data.buffer, data.byteOffset + start);
  const weights = Float64Array.from({ length: rules.dimension }, (_, at) =>
    size === 4 ? view.getFloat32(4 * at, true) : view.getFloat64(8 * at, true),
  );
  need(same(encodedWeights(weights, rules), data), words);
  return weights;
}
