// All that is known of one run, told by its records. The page shows one story; a second run, laid
// over the first, is another.
import { batch, computed, signal, type Signal } from "@preact/signals";
import type {
  CloudRecord, EvidenceRecord, GenesisRecord, GramRecord, HeaderRecord, HeadRecord, LinkRecord,
  MaskRecord, MessageRecord, PageRecord, PictureRecord, PlaceRecord, RefusalRecord, RoundRecord,
  RunRecord, TripRecord,
} from "./records";

type Mapped<K, V> = Signal<ReadonlyMap<K, V>>;

function mapped<K, V>(): Mapped<K, V> {
  return signal(new Map<K, V>());
}

export class Story {
  run = signal<RunRecord | null>(null);
  rounds: Mapped<number, RoundRecord> = mapped();
  /** By round, as the last telling has them. */
  messages: Mapped<number, readonly MessageRecord[]> = mapped();
  /** By block hash. */
  grams: Mapped<string, GramRecord> = mapped();
  /** By block hash, stale blocks too. */
  headers: Mapped<string, HeaderRecord> = mapped();
  /** Base64 of whole blocks, by block hash. */
  bodies: Mapped<string, string> = mapped();
  genesis = signal<GenesisRecord | null>(null);
  /** The last head of each compute node. */
  heads: Mapped<number, HeadRecord> = mapped();
  /** By `scan:round`. */
  masks: Mapped<string, MaskRecord> = mapped();
  /** By scan. */
  pictures: Mapped<number, PictureRecord> = mapped();
  /** By `scan:round`. */
  clouds: Mapped<string, CloudRecord> = mapped();
  links = signal<readonly LinkRecord[]>([]);
  places: Mapped<string, PlaceRecord> = mapped();
  /** By round. */
  trips: Mapped<number, readonly TripRecord[]> = mapped();
  refusals = signal<readonly RefusalRecord[]>([]);
  evidence = signal<readonly EvidenceRecord[]>([]);
  /** Rounds that were told again with another block, after a reorganisation. */
  retold = signal<ReadonlySet<number>>(new Set());
  /** The status with which the run ended; null while it goes on. */
  ended = signal<string | null>(null);
  /** Number of torn lines and unknown records. */
  lost = signal(0);

  /** Rounds that are told, in order. A long run tells one in n. */
  told = computed(() => [...this.rounds.value.keys()].sort((one, other) => one - other));
  /** The last round that is told; 0 before the first. */
  lastRound = computed(() => this.told.value.at(-1) ?? 0);

  /** Take records in their order, and tell the panels once. */
  take(records: Iterable<PageRecord>): void {
    batch(() => {
      const intake = new Intake(this);
      for (const record of records) intake.take(record);
      intake.settle();
    });
  }
}

/** The key under which a record replaces one that was told before, so that nothing counts twice. */
const KEYS = {
  link: (it: LinkRecord) => `${it.a} ${it.b}`,
  refusal: (it: RefusalRecord) => `${it.node} ${it.id} ${it.time_s}`,
  evidence: (it: EvidenceRecord) => `${it.node} ${it.first} ${it.second}`,
  trip: (it: TripRecord) => it.id,
  message: (it: MessageRecord) => it.id,
};

/** The work of one `take`: the value of each signal is copied once, whatever the number of records. */
class Intake {
  private maps = new Map<Signal, Map<unknown, unknown>>();
  private lists = new Map<Signal, Map<string, unknown>>();
  private nested = new Map<Signal, Map<number, Map<string, unknown>>>();

  constructor(private story: Story) {}

  take(record: PageRecord): void {
    const story = this.story;
    switch (record.is) {
      case "run":
        story.run.value = record;
        if (record.status === "running") story.ended.value = null;
        break;
      case "round": this.takeRound(record); break;
      case "message": this.nest(story.messages, record, KEYS.message); break;
      case "refusal": this.list(story.refusals, record, KEYS.refusal); break;
      case "evidence": this.list(story.evidence, record, KEYS.evidence); break;
      case "head": this.map(story.heads).set(record.node, record); break;
      case "genesis": story.genesis.value = record; break;
      case "header": this.map(story.headers).set(record.hash, record); break;
      case "gram": this.map(story.grams).set(record.block, record); break;
      case "body": this.map(story.bodies).set(record.block, record.bytes); break;
      case "link": this.list(story.links, record, KEYS.link); break;
      case "place": this.map(story.places).set(record.name, record); break;
      case "trip": this.nest(story.trips, record, KEYS.trip); break;
      case "mask": this.map(story.masks).set(`${record.scan}:${record.round}`, record); break;
      case "picture": this.map(story.pictures).set(record.scan, record); break;
      case "cloud": this.map(story.clouds).set(`${record.scan}:${record.round}`, record); break;
      case "end": story.ended.value = record.status; break;
      case "lost": story.lost.value += record.count; break;
    }
  }

  settle(): void {
    for (const [target, copy] of this.maps) target.value = copy;
    for (const [target, copy] of this.lists) target.value = [...copy.values()];
    for (const [target, groups] of this.nested) {
      const copy = new Map(target.value);
      for (const [round, group] of groups) copy.set(round, [...group.values()]);
      target.value = copy;
    }
  }

  private map<K, V>(target: Mapped<K, V>): Map<K, V> {
    return found(this.maps, target, () => new Map(target.value)) as Map<K, V>;
  }

  private list<V>(target: Signal<readonly V[]>, record: V, key: (it: V) => string): void {
    found(this.lists, target, () => keyed(target.value, key)).set(key(record), record);
  }

  private nest<V extends { round: number }>(
    target: Mapped<number, readonly V[]>, record: V, key: (it: V) => string,
  ): void {
    const groups = found(this.nested, target, () => new Map<number, Map<string, unknown>>());
    const known = () => keyed(target.value.get(record.round) ?? [], key);
    found(groups, record.round, known).set(key(record), record);
  }

  private takeRound(record: RoundRecord): void {
    const { rounds, retold } = this.story;
    const before = this.map(rounds).get(record.round);
    if (before && before.block !== record.block) {
      retold.value = new Set(retold.value).add(record.round);
    }
    this.map(rounds).set(record.round, record);
  }
}

function keyed<V>(values: readonly V[], key: (it: V) => string): Map<string, unknown> {
  return new Map(values.map((value) => [key(value), value]));
}

function found<K, V>(map: Map<K, V>, key: K, make: () => V): V {
  let value = map.get(key);
  if (value === undefined) map.set(key, (value = make()));
  return value;
}
