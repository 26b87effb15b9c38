// What the ledger panel knows: the blocks of a story, the checks of the verifier, and the reader's copy.
import { computed, effect, signal } from "@preact/signals";
import { genesisHeader, hashOf, MEDIAN_OF, readHeader } from "../../chain/block";
import { ascii, fromHex, hex, sha, unsigned, wide } from "../../chain/bytes";
import { Verifier } from "../../chain/client";
import type { Marks } from "../../chain/light";
import { readRules, type Rules } from "../../chain/rules";
import { signerOf } from "../../chain/signatures";
import { hashesOf, readWeights } from "../../chain/state";
import { targetOf } from "../../chain/work";
import { bytesOf, type GenesisRecord, type HeaderRecord } from "../../records";
import type { Story } from "../../story";
import { say } from "../../words";
import { type Block, type Copy, editOf, type Ground, hashIn, marksOf, type Stand, standings } from "./copy";
import { tallyOf } from "./tally";
import { grow } from "./tree";

/** The reader as a compute node. Its key is no secret: anybody may mine with a key of one's own. */
export const READER = signerOf(sha(ascii("fedchain: the reader of a page")));
const READER_ADDRESS = hex(sha(READER.publicKey));
const NO_BYTES = new Uint8Array(0);

export class LedgerModel {
  readonly verifier: Verifier;
  readonly selected = signal<string | null>(null);
  /** All versions of the copy, the last one being the reader's. */
  readonly versions = signal<readonly Copy[]>([new Map()]);
  private readonly read = new Map<string, { record: HeaderRecord; block: Block }>();

  constructor(readonly story: Story) {
    this.verifier = new Verifier(story);
    effect(() => this.follow(this.story.genesis.value?.hash));
  }

  /** Another chain has another genesis: what was chosen and changed is no longer there. */
  private follow(_genesis: string | undefined): void {
    this.selected.value = null;
    this.versions.value = [new Map()];
  }

  readonly ground = computed<Ground | null>(() => {
    const first = this.story.genesis.value;
    return first && groundOf(first);
  });

  /** All blocks by the hash that they came with, genesis first, in ascending order of heights. */
  readonly blocks = computed<ReadonlyMap<string, Block>>(() => {
    const first = this.story.genesis.value, ground = this.ground.value;
    const found = new Map<string, Block>();
    if (!first || !ground) return found;
    const above = [...this.story.headers.value.values()].map((record) => this.blockOf(record));
    for (const block of [genesisBlock(first, ground.rules), ...above.sort((a, b) => a.height - b.height)]) found.set(block.hash, block);
    return found;
  });

  /** Blocks of the main chain, genesis first. */
  readonly main = computed(() => [...this.blocks.value.values()].filter((block) => block.main));
  readonly tally = computed(() => tallyOf(this.blocks.value.values(), this.verifier.marks.value));
  readonly grown = computed(() => grow(this.blocks.value.values()));
  readonly copy = computed(() => this.versions.value.at(-1)!);

  readonly stands = computed<ReadonlyMap<string, Stand>>(() =>
    standings(this.blocks.value.values(), this.copy.value, this.verifier.marks.value, (block) => this.marks(block)!),
  );

  /** The name of the compute node at an address: `c2`, or the first digits where it is not told. */
  readonly names = computed(() => {
    const found = new Map([[READER_ADDRESS, say("ledger.you")]]), all = 1 + (this.story.run.value?.compute ?? 0);
    for (const { block, miner } of this.story.rounds.value.values()) {
      if (found.size === all) break;
      const known = this.blocks.value.get(block);
      if (known) found.set(hex(known.bytes.subarray(96, 128)), `c${miner}`);
    }
    return found;
  });

  makerOf(bytes: Uint8Array): string {
    const address = hex(bytes.subarray(96, 128));
    return this.names.value.get(address) ?? address.slice(0, 6);
  }

  /** The checks of a block as it is in the copy; undefined as long as they are not made. */
  marks(block: Block): Marks | undefined {
    const before = this.verifier.marks.value.get(block.hash), ground = this.ground.value;
    if (!ground || !this.copy.value.has(block.hash)) return before;
    const below = this.blocks.value.get(block.parent);
    return marksOf(this.copy.value, block, below ? { hash: hashIn(this.copy.value, below), medianMs: this.medianAbove(below) } : null, before, ground);
  }

  private medianAbove(below: Block): bigint {
    const times: bigint[] = [];
    for (let block: Block | undefined = below; block && times.length < MEDIAN_OF; block = this.blocks.value.get(block.parent)) {
      times.push(readHeader(block.bytes).timeMs);
    }
    times.sort((a, b) => (a < b ? -1 : Number(a > b)));
    return times[times.length >> 1]!;
  }

  /** Make another version of the copy, which can be undone. */
  change(copy: Copy): void {
    this.versions.value = [...this.versions.value, copy];
  }

  undo(): void {
    if (this.versions.value.length > 1) this.versions.value = this.versions.value.slice(0, -1);
  }

  /** Blocks of the main chain above one, the lowest first. */
  above(block: Block): Block[] {
    return this.main.value.filter((other) => other.height > block.height);
  }

  /** The target of a block in the copy, as 32 bytes; null where its form stands for none. */
  targetIn(block: Block): Uint8Array | null {
    try {
      const bits = editOf(this.copy.value, block).bytes.subarray(92, 96);
      return unsigned(targetOf(Number(wide(bits))), 32);
    } catch {
      return null;
    }
  }

  private blockOf(record: HeaderRecord): Block {
    const known = this.read.get(record.hash);
    if (known?.record === record) return known.block;
    const block = new Told(record);
    this.read.set(record.hash, { record, block });
    return block;
  }
}

/** A block of a record. Most of ten thousand are never looked at: their bytes are read when they are. */
class Told implements Block {
  readonly parent: string;
  readonly height: number;
  private read: Pick<Block, "bytes" | "key" | "signature" | "contents"> | null = null;

  constructor(private readonly record: HeaderRecord) {
    const start = bytesOf(record.bytes.slice(0, 112)); // 84 bytes: up to the parent
    this.height = Number(wide(start.subarray(44, 52)));
    this.parent = hex(start.subarray(52, 84));
  }

  get hash() { return this.record.hash; }
  get main() { return this.record.main; }
  get arrivedMs() { return this.record.arrived_ms; }
  get messages() { return this.record.messages; }
  get bytes() { return this.all.bytes; }
  get key() { return this.all.key; }
  get signature() { return this.all.signature; }
  get contents() { return this.all.contents; }

  private get all() {
    const { record } = this;
    return (this.read ??= {
      bytes: bytesOf(record.bytes),
      key: bytesOf(record.key),
      signature: bytesOf(record.signature),
      contents: record.contents.length === record.messages ? record.contents.map(fromHex) : null,
    });
  }
}

function groundOf(first: GenesisRecord): Ground {
  const text = new TextEncoder().encode(first.rules);
  return { rules: readRules(text), rulesHash: sha(ascii("fedchain:r"), text), chainId: fromHex(first.hash) };
}

function genesisBlock(first: GenesisRecord, rules: Rules): Block {
  const { weights, memory } = hashesOf({ weights: readWeights(bytesOf(first.weights), rules), memory: new Map() }, rules);
  const bytes = genesisHeader(rules.bits, sha(ascii("fedchain:r"), new TextEncoder().encode(first.rules)), weights, memory);
  const hash = hex(hashOf(bytes));
  return { hash, parent: "", height: 0, main: true, bytes, key: NO_BYTES, signature: NO_BYTES, arrivedMs: 0, contents: [], messages: 0 };
}
