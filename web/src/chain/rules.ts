// The agreed text: the rules of a chain, one canonical JSON object that genesis commits to. Keys that
// mean something to the ledger have bounds here; the others must be there, but may say anything.
import { type Bytes, need, Wrong } from "./bytes";
import { isObject, isWhole, type Json, type JsonObject, readCanonical, shown } from "./canonical";
import { targetOf } from "./work";

export type Storage = "int8" | "int16" | "int32";

/** What is agreed, as far as the ledger or the step reads it. */
export interface Rules {
  aggregation: Json;
  update: Json;
  mechanism: string;
  noise: number[];
  /** The clip that messages declare; null where it follows a quantile. */
  clip: number | null;
  /** Numbers of records that an identity may have; 0 for a public root. */
  registered: Set<number>;
  root: boolean;
  dimension: number;
  dtype: "float64" | "float32";
  holders: number;
  open: boolean;
  identityRoot: string;
  quorum: number;
  rounds: number;
  storage: Storage;
  maxNorm: number;
  sampled: boolean;
  bits: number;
  intervalMs: number;
  retargetWindow: number;
  maxAheadMs: number;
}

type Allows = (value: Json | undefined) => boolean;
interface Key {
  words: string;
  allows: Allows;
}

export const MOST_RULES = 2 ** 20;
const U32 = 2 ** 32 - 1;
const MOST = 2 ** 53;
const MOST_VALUES = 65_536;
export const LARGEST: Record<Storage, number> = { int8: 127, int16: 32_767, int32: 2 ** 31 - 1 };

const whole = (least: number, most: number): Key => ({
  words: `a whole number from ${least} to ${most}`,
  allows: (value) => isWhole(value, least, most),
});
const oneOf = (...texts: string[]): Key => ({
  words: `one of ${texts.join(", ")}`,
  allows: (value) => typeof value === "string" && texts.includes(value),
});
const listOf = (words: string, allows: Allows, least = 0, most = MOST_VALUES): Key => ({
  words: `a list of ${words}`,
  allows: (value) => Array.isArray(value) && value.length >= least && value.length <= most && value.every(allows),
});
const isText = (value: Json | undefined, least: number, most: number): boolean => {
  if (typeof value !== "string") return false;
  const size = new TextEncoder().encode(value).length;
  return size >= least && size <= most;
};
const isBound: Allows = (value) => value === "inf" || (typeof value === "number" && value > 0);
const hash: Key = {
  words: "64 hexadecimal digits in lower case",
  allows: (value) => typeof value === "string" && /^[0-9a-f]{64}$/.test(value),
};
const object: Key = { words: "an object", allows: isObject };
const objectOrNull: Key = { words: "an object or null", allows: (value) => value === null || isObject(value) };
const sizes = listOf("sizes", whole(0, U32).allows, 0, 255);
const isParameter: Allows = (value) =>
  Array.isArray(value) && value.length === 2 && isText(value[0], 0, 256) && sizes.allows(value[1]);
const isCount: Allows = (value) => Array.isArray(value) && value.length === 2 && value.every(whole(1, U32).allows);
const isTarget: Allows = (value) => {
  try {
    return isWhole(value, 0, U32) && targetOf(value) > 0n;
  } catch {
    return false;
  }
};

/** Every key, above before below; an object has exactly its keys. */
const KEYS: Record<string, Key> = {
  format: { words: "2", allows: (value) => value === 2 },
  aggregation: object,
  update: object,
  task: object,
  privacy: object,
  "privacy.kind": { words: "a text of 1 to 64 bytes", allows: (value) => isText(value, 1, 64) },
  "privacy.noise": listOf("1 to 65536 numbers of at least 0", (v) => typeof v === "number" && v >= 0, 1),
  "privacy.clip": { words: 'a number above 0, "inf" or null', allows: (value) => value === null || isBound(value) },
  groups: objectOrNull,
  momentum: objectOrNull,
  threat: objectOrNull,
  records: listOf(`[records, participants], both from 1 to ${U32}`, isCount, 0, Infinity),
  root: { words: "true or false", allows: (value) => typeof value === "boolean" },
  commitment: hash,
  model: object,
  "model.dimension": whole(0, 2 ** 25),
  "model.dtype": oneOf("float64", "float32"),
  "model.layout": listOf("[name, [sizes]]", isParameter),
  ledger: object,
  "ledger.holders": whole(0, U32),
  "ledger.identity": oneOf("registered", "open"),
  "ledger.identity_root": hash,
  "ledger.quorum": whole(0, U32),
  "ledger.rounds": whole(0, U32),
  "ledger.storage": oneOf(...Object.keys(LARGEST)),
  "ledger.max_norm": { words: 'a number above 0 or "inf"', allows: isBound },
  "ledger.work": oneOf("hashcash", "sampled"),
  "ledger.bits": { words: "the compact form of a target, but this is no target", allows: isTarget },
  "ledger.interval_ms": whole(1, MOST),
  "ledger.retarget_window": whole(0, U32),
  "ledger.max_ahead_ms": whole(0, MOST),
};
/** Besides its keys it has the parameters of its kind. */
const WITH_PARAMETERS = "privacy";

/** The agreed values; an error names the key. */
export function readRules(text: Bytes): Rules {
  const agreed = readCanonical(text, "rules");
  need(isObject(agreed), "rules: must be an object with exactly the keys of the format");
  checkKeys(agreed, "");
  for (const [name, key] of Object.entries(KEYS)) {
    const value = valueAt(agreed, name);
    need(key.allows(value), () => `rules: ${name}: got ${shown(value)}; must be ${key.words}`);
    if (Object.keys(KEYS).some((inner) => inner.startsWith(`${name}.`))) checkKeys(value as JsonObject, name);
  }
  const found = picked(agreed);
  checkTogether(found, valueAt(agreed, "records") as number[][]);
  return found;
}

function valueAt(agreed: JsonObject, name: string): Json | undefined {
  let value: Json | undefined = agreed;
  for (const key of name.split(".")) value = isObject(value) && Object.hasOwn(value, key) ? value[key] : undefined;
  return value;
}

function checkKeys(value: JsonObject, above: string): void {
  const prefix = above && `${above}.`;
  const wanted = Object.keys(KEYS).filter((key) => key.startsWith(prefix) && !key.slice(prefix.length).includes("."));
  const inner = new Set(wanted.map((key) => key.slice(prefix.length)));
  for (const key of inner) {
    if (!Object.hasOwn(value, key)) throw new Wrong(`rules: ${prefix}${key} is missing from an object with exactly its keys`);
  }
  for (const key of Object.keys(value)) {
    if (!inner.has(key) && above !== WITH_PARAMETERS) {
      throw new Wrong(`rules: ${prefix}${key.slice(0, 80)} is one key too many in an object with exactly its keys`);
    }
  }
}

const bound = (value: Json | undefined): number => (value === "inf" ? Infinity : (value as number));

function picked(agreed: JsonObject): Rules {
  const at = <T>(name: string): T => valueAt(agreed, name) as T;
  const clip = at<Json>("privacy.clip");
  const root = at<boolean>("root");
  return {
    aggregation: at("aggregation"),
    update: at("update"),
    mechanism: at("privacy.kind"),
    noise: at("privacy.noise"),
    clip: clip === null ? null : bound(clip),
    registered: new Set([...at<number[][]>("records").map((pair) => pair[0]!), ...(root ? [0] : [])]),
    root,
    dimension: at("model.dimension"),
    dtype: at("model.dtype"),
    holders: at("ledger.holders"),
    open: at("ledger.identity") === "open",
    identityRoot: at("ledger.identity_root"),
    quorum: at("ledger.quorum"),
    rounds: at("ledger.rounds"),
    storage: at("ledger.storage"),
    maxNorm: bound(at("ledger.max_norm")),
    sampled: at("ledger.work") === "sampled",
    bits: at("ledger.bits"),
    intervalMs: at("ledger.interval_ms"),
    retargetWindow: at("ledger.retarget_window"),
    maxAheadMs: at("ledger.max_ahead_ms"),
  };
}

function checkTogether(found: Rules, records: number[][]): void {
  const rising = records.every((pair, at) => !at || records[at - 1]![0]! < pair[0]!);
  need(rising, "rules: records: got numbers that do not ascend, each once");
  need(!found.open || !records.length, "rules: records: got some; open identities have no registered ones");
  need(!found.open || !found.root, "rules: root: got true; open identities have no public root");
}
