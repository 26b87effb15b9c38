// Messages: what a holder or a public root says in a round, and what must hold of it (rule 8).
import { ascii, type Bytes, hex, joined, need, Reader, same, sha, short, unsigned, Wrong } from "./bytes";
import { type Proof, rootOfProof } from "./merkle";
import { LARGEST, type Rules, type Storage } from "./rules";
import { signs } from "./signatures";

export interface Message {
  version: number;
  chainId: Bytes;
  parent: Bytes;
  round: number;
  publicKey: Bytes;
  proof: Proof | null;
  exponent: number;
  storage: Storage;
  direction: Int8Array | Int16Array | Int32Array;
  norm: number;
  mechanism: string;
  noiseStep: number;
  noise: number;
  clip: number;
  records: number;
  signature: Bytes;
  /** SHA-256 of exponent, width, entries and direction. */
  payload: Bytes;
  id: Bytes;
  content: Bytes;
}

/** What a message must agree with: the header of its block. */
export interface Place {
  version: number;
  chainId: Bytes;
  parent: Bytes;
  height: bigint;
}

const STORAGES = { 1: "int8", 2: "int16", 4: "int32" } as const;
const ARRAYS = { int8: Int8Array, int16: Int16Array, int32: Int32Array };
const LEAST_EXPONENT = { int8: 6, int16: 14, int32: 20 };
const LARGEST_EXPONENT = 20;
const SIGNED = ascii("fedchain:s");

export function readMessage(data: Bytes): Message {
  const read = new Reader(data, "message");
  read.tag("fedchain:m");
  const version = read.uint(2), chainId = read.take(32), parent = read.take(32);
  const round = read.uint(4), publicKey = read.take(32);
  const proof = readProof(read);
  const start = read.at;
  const carried = readDirection(read);
  const payload = sha(data.subarray(start, read.at));
  const rest = read.at;
  const norm = read.f64(), mechanism = read.text(64), noiseStep = read.uint(2);
  const noise = read.f64(), clip = read.f64(), records = read.uint(4);
  const id = sha(data.subarray(0, start), payload, data.subarray(rest, read.at));
  const signature = read.take(64);
  const left = data.length - read.at;
  need(!left, () => `message: ${left} bytes are left over`);
  return {
    version, chainId, parent, round, publicKey, proof, ...carried, norm, mechanism, noiseStep, noise,
    clip, records, signature, payload, id, content: sha(id, signature),
  };
}

function readProof(read: Reader): Proof | null {
  const kind = read.uint(1);
  need(kind <= 1, () => `message: proof: begins with ${kind}: not the canonical encoding`);
  if (!kind) return null;
  const index = read.u64(), size = read.u64(), count = read.uint(1);
  need(count <= 64, () => `message: proof: has ${count} hashes; at most 64 are allowed`);
  return { index, size, path: Array.from({ length: count }, () => read.take(32)) };
}

function readDirection(read: Reader): Pick<Message, "exponent" | "storage" | "direction"> {
  const exponent = read.uint(1), width = read.uint(1), entries = read.uint(4);
  need(width === 1 || width === 2 || width === 4, () => `message: direction: has entries of ${width} bytes, not of 1, 2 or 4`);
  const storage = STORAGES[width];
  const raw = Uint8Array.from(read.take(width * entries)); // a copy, whose start is aligned
  return { exponent, storage, direction: new ARRAYS[storage](raw.buffer) };
}

/** Whether a message is that of a gradient that is exactly zero. */
export function isZero(said: Message): boolean {
  return said.exponent === 0;
}

/** Check all that must hold of a message but its signature; an error names the field. */
export function checkMessage(said: Message, rules: Rules, place: Place): void {
  about(said, () => {
    checkPlace(said, place);
    checkNorm(said, rules);
    checkDirection(said, rules);
    checkDeclaration(said, rules);
    checkProof(said, rules);
  });
}

/** Check the signature of a message. */
export function checkSigned(said: Message): void {
  about(said, () => {
    const right = signs(said.publicKey, said.signature, joined(SIGNED, said.id));
    need(right, "signature: is not that of the public key");
  });
}

function about(said: Message, check: () => void): void {
  try {
    check();
  } catch (error) {
    throw error instanceof Wrong ? new Wrong(`message ${short(said.id)}: ${error.message}`) : error;
  }
}

function checkPlace(said: Message, place: Place): void {
  need(said.version === place.version, () => `version: is ${said.version}; must be ${place.version}`);
  for (const [name, got, wanted] of [["chain_id", said.chainId, place.chainId], ["parent", said.parent, place.parent]] as const) {
    need(same(got, wanted), () => `${name}: is ${short(got)}; must be ${short(wanted)}`);
  }
  need(BigInt(said.round) === place.height, () => `round: is ${said.round}; must be ${place.height}`);
}

function checkNorm(said: Message, rules: Rules): void {
  const { norm } = said;
  const allowed = Object.is(norm, 0) || (norm > 0 && norm <= rules.maxNorm && norm < Infinity);
  need(allowed, () => `norm: is ${norm}; must be above 0, finite, at most ${rules.maxNorm}, or 0 for a zero gradient`);
  need((norm === 0) === isZero(said), () => `norm: is ${norm} as exponent is ${said.exponent}; both are 0 in a zero message alone`);
}

function checkDirection(said: Message, rules: Rules): void {
  const { direction: q, exponent: e } = said;
  need(said.storage === rules.storage, () => `direction: is stored as ${said.storage}; must be ${rules.storage}`);
  need(q.length === rules.dimension, () => `direction: has ${q.length} entries; must have ${rules.dimension}`);
  // Squares and their sum are exact up to 2^53, and a sum of float64 that is above 2^53 stands for
  // one that is: a right direction has at most 2^42.
  let squares = 0, peak = 0;
  for (let at = 0; at < q.length; at++) {
    const entry = Math.abs(q[at]!);
    squares += entry * entry;
    if (entry > peak) peak = entry;
  }
  if (isZero(said)) return need(!peak, "direction: is not zero though the exponent is 0");
  const least = LEAST_EXPONENT[rules.storage];
  need(e >= least && e <= LARGEST_EXPONENT, () => `exponent: is ${e}; must be 0, or ${least} to ${LARGEST_EXPONENT}`);
  const unit = 2 ** (e + 1), slack = rootOf(q.length) + 2;
  const low = Math.max(unit - slack, 1) ** 2, high = Math.min(unit + slack, 2 * unit) ** 2;
  need(4 * squares >= low && 4 * squares <= high, () => `direction: norm is ${Math.sqrt(squares)}; must be ${unit / 2}`);
  const largest = e === LARGEST_EXPONENT || 2 * peak + 1 > LARGEST[rules.storage];
  need(largest, () => `exponent: is ${e}; must be the largest that fits`);
}

/** The whole part of a square root, of numbers up to 2^32. */
function rootOf(value: number): number {
  return Math.floor(Math.sqrt(value));
}

function checkDeclaration(said: Message, rules: Rules): void {
  const { records } = said;
  if (rules.open) need(records > 0, "records: is 0; must be at least 1");
  else need(rules.registered.has(records), () => `records: is ${records}; must be one that genesis registers`);
  const root = records === 0, whose = root ? " for a public root" : "";
  const mechanism = root ? "none" : rules.mechanism;
  need(said.mechanism === mechanism, () => `mechanism: is ${JSON.stringify(said.mechanism)}${whose}; must be ${mechanism}`);
  const steps = root ? 1 : rules.noise.length;
  need(said.noiseStep < steps, () => `noise_step: is ${said.noiseStep}${whose}; must be below ${steps}`);
  checkReal("noise", said.noise, root ? 0 : rules.noise[said.noiseStep]!, root ? whose : " of the schedule");
  if (!root && rules.clip === null) {
    need(said.clip > 0 && said.clip < Infinity, () => `clip: is ${said.clip}; must be finite and above 0`);
  } else {
    checkReal("clip", said.clip, root ? Infinity : rules.clip!, whose);
  }
}

function checkReal(name: string, got: number, wanted: number, whose: string): void {
  need(got === wanted, () => `${name}: is ${got}; must be ${wanted}${whose}`);
  need(!Object.is(got, -0), `${name}: is -0; must be 0.0 or above 0`);
}

function checkProof(said: Message, rules: Rules): void {
  const { proof } = said;
  if (rules.open) return need(proof === null, "proof: is given; open identities carry none");
  need(proof !== null, "proof: is missing");
  const leaf = joined(unsigned(said.round, 4), sha(said.publicKey), unsigned(said.records, 4));
  const registered = hex(rootOfProof(leaf, proof)) === rules.identityRoot;
  need(registered, () => `proof: this key is not registered for round ${said.round} with ${said.records} records`);
}
