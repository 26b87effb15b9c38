// The records of the page, one JSON object a line. Bytes are base64, hashes and ids hexadecimal.

export type Metrics = Record<string, number | null>;

export interface RunRecord {
  is: "run";
  name: string;
  description: string;
  status: string;
  seed: number;
  rounds: number;
  holders: number;
  compute: number | null;
  /** The attack of each attacking holder, by its index. */
  attackers: Record<string, string>;
  groups: boolean;
  rule: { kind: string } & Record<string, unknown>;
  update: { kind: string } & Record<string, unknown>;
  /** Number of weights of the model. */
  weights: number;
  model: string;
  task: string;
  network: string;
  /** Name of the metric that is the run's score. */
  score: string;
  scores: string[];
  baselines: Record<string, Metrics>;
  epsilon_budget: number | null;
  delta: number | null;
  /** Empty until the run has ended. */
  privacy: Partial<Privacy>;
  /** Expected norm of the noise in a message, by holder; null where it is unknown. */
  noise_norm: (number | null)[];
  /** Registered number of records of each participant, where it is known. */
  records: (number | null)[];
  judged_by: string | null;
  versions: Record<string, string>;
  arithmetic: unknown;
  finding: string;
  /** Command that goes on with an interrupted run. */
  resume: string | null;
}

/** The content of privacy.json, as far as the page reads it. */
export interface Privacy {
  guarantee: string;
  warnings: string[];
  tuning: string;
  mechanism: string;
  unit: string;
  record: string;
  clip: number | null;
  delta: number | null;
  noise_multiplier: number | null;
  groups: unknown;
  epsilon_per_release: number | null;
  epsilon_total: number | null;
  epsilon_replaced: number | null;
  releases: number[];
  releases_allowed: number | null;
  on_exhausted: string;
  worst_holder: number;
}

export interface RoundRecord {
  is: "round";
  round: number;
  height: number;
  block: string;
  miner: number;
  time_s: number;
  messages: number;
  root: number;
  used: number;
  byzantine: number;
  byzantine_used: number;
  byzantine_share: number;
  epsilon: number | null;
  releases: number;
  stale_blocks: number;
  reorganisations: number;
  metrics: Metrics;
  seconds: Record<string, number>;
  /** Whether the page has only some of the round's messages. */
  thinned?: boolean;
}

export interface MessageRecord {
  is: "message";
  round: number;
  block: string;
  holder: number;
  id: string;
  norm: number;
  cosine: number | null;
  used: boolean;
  share: number;
  score: number | null;
  reason: string;
  epsilon: number | null;
  attack: string;
  late: boolean;
  members: number;
}

export interface RefusalRecord {
  is: "refusal";
  round: number;
  node: number;
  time_s: number;
  what: "block" | "message";
  id: string;
  maker: number | null;
  reason: string;
}

export interface EvidenceRecord {
  is: "evidence";
  round: number;
  node: number;
  time_s: number;
  maker: number | null;
  first: string;
  second: string;
  first_signed: string;
  second_signed: string;
}

export interface HeadRecord {
  is: "head";
  round: number;
  node: number;
  time_s: number;
  block: string;
}

export interface GenesisRecord {
  is: "genesis";
  rules: string;
  weights: string;
  memory: string;
  hash: string;
}

export interface HeaderRecord {
  is: "header";
  hash: string;
  /** The 264 bytes of the header. */
  bytes: string;
  key: string;
  signature: string;
  arrived_ms: number;
  /** Whether the block is on the main chain. */
  main: boolean;
  /** Message contents in order, hexadecimal. */
  contents: string[];
  ids: string[];
  messages: number;
}

export interface GramRecord {
  is: "gram";
  round: number;
  block: string;
  /** Message ids in the order of the rows. */
  ids: string[];
  norms: number[];
  /** Number of records that each message declares. */
  records: number[];
  /** float32, little-endian: the upper triangle row by row, without the diagonal. */
  cosines: string;
}

interface BodyRecord {
  is: "body";
  block: string;
  bytes: string;
}

export interface LinkRecord {
  is: "link";
  a: string;
  b: string;
  latency_ms: number;
}

export interface PlaceRecord {
  is: "place";
  name: string;
  x: number;
  y: number;
}

export interface TripRecord {
  is: "trip";
  round: number;
  id: string;
  what: "message" | "block";
  sender: string;
  left_s: number;
  arrivals: [string, number][];
}

export interface MaskRecord {
  is: "mask";
  round: number;
  scan: number;
  height: number;
  width: number;
  /** Bits, row by row, most significant bit first. */
  truth: string;
  kept: string;
}

export interface PictureRecord {
  is: "picture";
  scan: number;
  height: number;
  width: number;
  intensity: string;
  depth?: string;
  valid: string;
}

export interface CloudRecord {
  is: "cloud";
  scan: number;
  round: number;
  /** int16 x, y, z, interleaved. */
  points: string;
  scale_m: number;
  /** The points are one in `every` of those of the scan, row by row. */
  every: number;
  truth: string;
  kept: string;
}

interface EndRecord {
  is: "end";
  status: string;
}

interface LostRecord {
  is: "lost";
  count: number;
}

export type PageRecord =
  | RunRecord
  | RoundRecord
  | MessageRecord
  | RefusalRecord
  | EvidenceRecord
  | HeadRecord
  | GenesisRecord
  | HeaderRecord
  | GramRecord
  | BodyRecord
  | LinkRecord
  | PlaceRecord
  | TripRecord
  | MaskRecord
  | PictureRecord
  | CloudRecord
  | EndRecord
  | LostRecord;

const KINDS: ReadonlySet<string> = new Set<PageRecord["is"]>([
  "run", "round", "message", "refusal", "evidence", "head", "genesis", "header", "gram", "body",
  "link", "place", "trip", "mask", "picture", "cloud", "end", "lost",
]);

/** The record of a line; null for a torn line or an unknown kind, which the page counts and tells. */
export function parseLine(line: string): PageRecord | null {
  try {
    const record = JSON.parse(line);
    return record?.p === 1 && KINDS.has(record.is) ? record : null;
  } catch {
    return null;
  }
}

/** The bytes of a base64 text. */
export function bytesOf(base64: string): Uint8Array<ArrayBuffer> {
  const letters = atob(base64), bytes = new Uint8Array(letters.length);
  for (let at = 0; at < bytes.length; at++) bytes[at] = letters.charCodeAt(at);
  return bytes;
}

/** Bits of a mask, row by row, one byte each: 0 or 1. */
export function bitsOf(base64: string, count: number): Uint8Array {
  const packed = bytesOf(base64);
  return Uint8Array.from({ length: count }, (_, at) => ((packed[at >> 3] ?? 0) >> (7 - (at & 7))) & 1);
}
