// A chain as one file (`fedchain export`): read from front to back, everything is checked again.
import { checkMaker, checkMessages, checkPlace, checkWork, readMessages, readSealed, type Sealed } from "./block";
import { type Bytes, hex, need, Reader, same, sha, Wrong } from "./bytes";
import { checkSigned } from "./message";
import { MOST_RULES } from "./rules";
import { mostBytes, readWeights, type State } from "./state";
import { States } from "./states";
import { type Agreed, readAgreed, Tree } from "./tree";

export interface Verdict {
  ok: boolean;
  /** Number of blocks that passed, without genesis. */
  blocks: number;
  /** Height of the head; after a failure that of the wrong block, 0 if it is unknown. */
  height: number;
  /** Hash of the head, hexadecimal; after a failure that of the wrong block, empty if it is unknown. */
  block: string;
  /** What is wrong; empty if nothing is. */
  reason: string;
  checked: string[];
  notChecked: string[];
}

const VERSION = 2;
const LATEST_MS = 1n << 63n;
const EMPTY = new Uint8Array(4);
const WITHOUT_STEP = ["links", "work", "times", "makers", "messages", "identities", "signatures"];

/** The verdict on the bytes of a chain file; `progress` is called after every block. */
export function verifyFile(data: Bytes, progress: (done: number, total: number) => void = () => {}): Verdict {
  const reading = new Reading(data, progress);
  try {
    reading.all();
    return reading.verdict("");
  } catch (error) {
    if (!(error instanceof Wrong)) throw error;
    return reading.verdict(error.message);
  }
}

class Reading {
  private readonly read: Reader;
  private agreed: Agreed | null = null;
  private passed = 0;
  /** The block that is being checked, or in the end the head. */
  private at: { height: bigint; hash: string } | null = null;

  constructor(private readonly data: Bytes, private readonly progress: (done: number, total: number) => void) {
    this.read = new Reader(data, "file");
  }

  verdict(reason: string): Verdict {
    const unknown = this.agreed?.unknown ?? [];
    return {
      ok: !reason,
      blocks: this.passed,
      height: Number(this.at?.height ?? 0),
      block: this.at?.hash ?? "",
      reason,
      checked: reason ? [] : [...WITHOUT_STEP, ...(unknown.length ? [] : ["models"])],
      notChecked: unknown,
    };
  }

  all(): void {
    const { read } = this;
    const { agreed, first } = this.start();
    this.agreed = agreed;
    const tree = new Tree(agreed, first), said = new Map<string, Bytes>();
    const states = new States(agreed, tree, first, (hash) => readMessages(new Reader(said.get(hash)!, "block"), agreed.rules));
    const count = read.u64(), head = hex(read.take(32));
    for (let at = 0n; at < count; at++) {
      this.at = null;
      this.one(agreed, tree, states, said);
      this.passed++;
      this.progress(this.passed, Number(count));
    }
    this.at = null;
    this.end();
    const node = tree.nodes.get(head);
    need(node !== undefined, "head: is no block of this chain");
    for (const other of tree.nodes.values()) need(other.work <= node.work, "head: has less work than another block");
    this.at = { height: node.header.height, hash: node.hash };
  }

  /** Read what stands before the blocks. */
  private start(): { agreed: Agreed; first: State } {
    const { read } = this;
    const tag = String.fromCharCode(...read.take(10));
    need(tag === "fedchain:x", () => `file: begins with ${JSON.stringify(tag)}; an exported chain with "fedchain:x"`);
    const version = read.uint(2);
    need(version !== 1, "file: is of an old version (format 1): run the scenario again");
    need(version === VERSION, () => `file: is of version ${version}; must be ${VERSION}`);
    const agreed = readAgreed(read.piece(4, MOST_RULES, "rules"));
    const weights = readWeights(read.piece(8, mostBytes(agreed.rules), "weights"), agreed.rules);
    need(same(read.piece(8, EMPTY.length, "the first memory"), EMPTY), "file: the first memory of this file is not empty");
    return { agreed, first: { weights, memory: new Map() } };
  }

  /** Read one block, check it and everything that it says, and keep it with the state after it. */
  private one(agreed: Agreed, tree: Tree, states: States, said: Map<string, Bytes>): void {
    const { read } = this, { rules } = agreed;
    const arrivedMs = read.u64();
    need(arrivedMs < LATEST_MS, () => `file: a block that came at ${arrivedMs} ms; must be below 2^63`);
    const inside = new Reader(read.piece(8, Number.MAX_SAFE_INTEGER, "a block"), "block");
    const block = readSealed(inside), hash = hex(block.hash);
    this.at = { height: block.header.height, hash };
    need(!tree.nodes.has(hash), "block: was there before");
    this.checkHeader(block, tree, arrivedMs);
    const body = inside.data.subarray(inside.at), messages = readMessages(inside, rules);
    checkMessages(messages, block.header, rules);
    for (const message of messages) checkSigned(message);
    if (!agreed.unknown.length) states.check(block, messages);
    tree.add(block.header, hash);
    said.set(hash, body);
  }

  private checkHeader(block: Sealed, tree: Tree, arrivedMs: bigint): void {
    const { rules } = tree.agreed, below = tree.above(tree.parentOf(block.header), arrivedMs);
    checkPlace(block.header, below, rules);
    checkWork(block.header, block.hash, below.bits, rules);
    checkMaker(block);
  }

  private end(): void {
    const { read } = this;
    const digest = sha(this.data.subarray(0, read.at));
    need(same(read.take(32), digest), "file: its last 32 bytes are not the SHA-256 of all before");
    read.end();
  }
}
