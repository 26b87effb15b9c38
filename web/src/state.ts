// What the page knows and what the reader has chosen. Panels read these signals, never the feed.
import { batch, computed, signal } from "@preact/signals";
import type {
  CloudRecord, EvidenceRecord, GenesisRecord, GramRecord, HeaderRecord, HeadRecord, LinkRecord,
  MaskRecord, MessageRecord, PageRecord, PictureRecord, PlaceRecord, RefusalRecord, RoundRecord,
  RunRecord, StageRecord, TripRecord,
} from "./records";

/** All that is known of one run. A second run, laid over the first, is another Story. */
export class Story {
  run = signal<RunRecord | null>(null);
  rounds = signal<ReadonlyMap<number, RoundRecord>>(new Map());
  /** By round, as the last telling has them. */
  messages = signal<ReadonlyMap<number, readonly MessageRecord[]>>(new Map());
  /** By block hash. */
  grams = signal<ReadonlyMap<string, GramRecord>>(new Map());
  /** By block hash, stale blocks too. */
  headers = signal<ReadonlyMap<string, HeaderRecord>>(new Map());
  /** Base64 of whole blocks, by block hash. */
  bodies = signal<ReadonlyMap<string, string>>(new Map());
  genesis = signal<GenesisRecord | null>(null);
  /** The last head of each compute node. */
  heads = signal<ReadonlyMap<number, HeadRecord>>(new Map());
  /** By `scan:round`. */
  masks = signal<ReadonlyMap<string, MaskRecord>>(new Map());
  /** By scan. */
  pictures = signal<ReadonlyMap<number, PictureRecord>>(new Map());
  clouds = signal<ReadonlyMap<string, CloudRecord>>(new Map());
  links = signal<readonly LinkRecord[]>([]);
  places = signal<ReadonlyMap<string, PlaceRecord>>(new Map());
  /** By round. */
  trips = signal<ReadonlyMap<number, readonly TripRecord[]>>(new Map());
  refusals = signal<readonly RefusalRecord[]>([]);
  evidence = signal<readonly EvidenceRecord[]>([]);
  /** Rounds that were told again after a reorganisation. */
  retold = signal<ReadonlySet<number>>(new Set());
  stage = signal<StageRecord | null>(null);
  /** The status with which the run ended; null while it goes on. */
  ended = signal<string | null>(null);
  /** Number of torn lines and unknown records. */
  lost = signal(0);

  /** The last round that is told; 0 before the first. */
  lastRound = computed(() => Math.max(0, ...tail(this.rounds.value.keys())));

  /** Take records in their order, and tell the panels once. */
  take(records: Iterable<PageRecord>): void {
    batch(() => new Intake(this).takeAll(records));
  }
}

/** The greatest of many keys without spreading them all onto the stack. */
function tail(keys: Iterable<number>): number[] {
  let most = 0;
  for (const key of keys) most = Math.max(most, key);
  return [most];
}

/** The work of one `take`: each signal's value is copied once, whatever the number of records. */
class Intake {
  private copies = new Map<object, unknown>();

  constructor(private story: Story) {}

  takeAll(records: Iterable<PageRecord>): void {
    for (const record of records) this.takeOne(record);
    for (const [target, copy] of this.copies) (target as { value: unknown }).value = copy;
  }

  private map<K, V>(target: { value: ReadonlyMap<K, V> }): Map<K, V> {
    return this.copy(target, () => new Map(target.value));
  }

  private list<V>(target: { value: readonly V[] }): V[] {
    return this.copy(target, () => [...target.value]);
  }

  private copy<C>(target: object, make: () => C): C {
    if (!this.copies.has(target)) this.copies.set(target, make());
    return this.copies.get(target) as C;
  }

  private takeOne(record: PageRecord): void {
    const story = this.story;
    switch (record.is) {
      case "run": story.run.value = record; break;
      case "round": this.takeRound(record); break;
      case "message": this.takeMessage(record); break;
      case "refusal": this.list(story.refusals).push(record); break;
      case "evidence": this.list(story.evidence).push(record); break;
      case "head": this.map(story.heads).set(record.node, record); break;
      case "genesis": story.genesis.value = record; break;
      case "header": this.map(story.headers).set(record.hash, record); break;
      case "gram": this.map(story.grams).set(record.block, record); break;
      case "body": this.map(story.bodies).set(record.block, record.bytes); break;
      case "link": this.list(story.links).push(record); break;
      case "place": this.map(story.places).set(record.name, record); break;
      case "trip": this.push(story.trips, record.round, record); break;
      case "mask": this.map(story.masks).set(`${record.scan}:${record.round}`, record); break;
      case "picture": this.map(story.pictures).set(record.scan, record); break;
      case "cloud": this.map(story.clouds).set(`${record.scan}:${record.round}`, record); break;
      case "stage": story.stage.value = record; break;
      case "end": story.ended.value = record.status; break;
      case "lost": story.lost.value += record.count; break;
    }
  }

  private push<K, V>(target: { value: ReadonlyMap<K, readonly V[]> }, key: K, value: V): void {
    const map = this.map(target);
    map.set(key, [...(map.get(key) ?? []), value]);
  }

  private takeRound(record: RoundRecord): void {
    const { rounds, retold } = this.story;
    const before = this.map(rounds).get(record.round);
    if (before && before.block !== record.block) {
      this.copy(retold, () => new Set(retold.value)).add(record.round);
    }
    this.map(rounds).set(record.round, record);
  }

  /** A message that is told again replaces what was told of it: its block is another one now. */
  private takeMessage(record: MessageRecord): void {
    const map = this.map(this.story.messages);
    const others = (map.get(record.round) ?? []).filter((known) => known.id !== record.id);
    map.set(record.round, [...others, record]);
  }
}

/** The run on the page. */
export const story = new Story();
export const {
  run, rounds, messages, grams, headers, bodies, genesis, heads, masks, pictures, clouds, links,
  places, trips, refusals, evidence, retold, stage, ended, lost, lastRound,
} = story;

/** Steps of a round, in their order. */
export const STEPS = ["release", "arrive", "select", "step", "work", "append"] as const;
export const PANELS = ["network", "compass", "learning", "privacy", "masks", "points", "ledger"] as const;
export type PanelName = (typeof PANELS)[number];

/** The round that the page shows; 0 before the first is told. */
export const round = signal(0);
/** Index in STEPS; 5, the whole round, unless the reader steps through it. */
export const step = signal(5);
export const playing = signal(false);
/** Simulated seconds a second, from 0.25 to 16. */
export const speed = signal(1);
/** Whether the page shows what only the simulator knows: who attacks. */
export const truth = signal(true);
/** The maximised panel. */
export const panel = signal<PanelName | null>(null);
export const presenter = signal(false);
/** How many messages the reader keeps instead of the chain; null for the chain's number. */
export const keep = signal<number | null>(null);
/** Name of the run that is laid over this one. */
export const overlay = signal<string | null>(null);
export const theme = signal<"light" | "dark" | null>(null);

export const roundRecord = computed(() => rounds.value.get(round.value) ?? null);
export const roundMessages = computed(() => messages.value.get(round.value) ?? []);
