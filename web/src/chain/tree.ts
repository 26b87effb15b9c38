// A chain: a tree of blocks by their hash, what each place asks of the next header, and the state
// after each block, recomputed from the messages.
import { aggregate } from "./aggregation";
import { type Below, genesisHeader, type Header, hashOf, MEDIAN_OF, readHeader } from "./block";
import { ascii, type Bytes, fromHex, hex, need, sha, short } from "./bytes";
import type { Said } from "./directions";
import { readRule, readUpdate } from "./kinds";
import { type Part, UnknownPart } from "./parts";
import { readRules, type Rules } from "./rules";
import { hashesOf, type State, type Vector } from "./state";
import { nextState } from "./update";
import { adapted, workOf } from "./work";

const RULE = "rule/"; // begins the names of what the aggregation rule remembers

/** What a chain is agreed on: the rules, and the step if its parts are known here. */
export interface Agreed {
  rules: Rules;
  rulesHash: Bytes;
  rule: Part | null;
  updates: Part[] | null;
  /** Rules and updates that are defined by code that is not here. */
  unknown: string[];
}

export function readAgreed(text: Bytes): Agreed {
  const rules = readRules(text), unknown: string[] = [];
  const known = <T>(read: () => T): T | null => {
    try {
      return read();
    } catch (error) {
      if (!(error instanceof UnknownPart)) throw error;
      unknown.push(error.message);
      return null;
    }
  };
  const rule = known(() => readRule(rules.aggregation, rules.open)), updates = known(() => readUpdate(rules.update));
  return { rules, rulesHash: sha(ascii("fedchain:r"), text), rule, updates, unknown };
}

/** The state after a block; without messages it is the one before. Values have the agreed type. */
export function stepped(agreed: Agreed, before: State, messages: Said[], round: number): State {
  if (!messages.length) return before;
  const { rules, rule, updates } = agreed;
  const mine = [...before.memory].filter(([name]) => name.startsWith(RULE));
  const ofRule = new Map(mine.map(([name, value]) => [name.slice(RULE.length), value]));
  const ofUpdate = new Map([...before.memory].filter(([name]) => !name.startsWith(RULE)));
  const { gradient, memory } = aggregate(rule!, messages, rules.dimension, ofRule);
  const next = nextState(updates!, before.weights, ofUpdate, gradient, round);
  const kept = new Map<string, Vector>(next.memory);
  for (const [name, value] of memory) kept.set(RULE + name, value);
  const weights = rules.dtype === "float32" ? next.weights.map(Math.fround) : next.weights;
  return { weights, memory: kept };
}

export interface Node {
  header: Header;
  hash: string;
  /** Cumulative work; genesis has none. */
  work: bigint;
}

/** Blocks above genesis, by their hash. */
export class Tree {
  readonly nodes = new Map<string, Node>();
  readonly genesis: Node;

  constructor(readonly agreed: Agreed, first: State) {
    const { weights, memory } = hashesOf(first, agreed.rules);
    const raw = genesisHeader(agreed.rules.bits, agreed.rulesHash, weights, memory);
    this.genesis = { header: readHeader(raw), hash: hex(hashOf(raw)), work: 0n };
    this.nodes.set(this.genesis.hash, this.genesis);
  }

  parentOf(header: Header): Node {
    const parent = this.nodes.get(hex(header.parent));
    need(parent !== undefined, () => `parent: ${short(header.parent)} stands before its parent, or has none`);
    return parent;
  }

  add(header: Header, hash: string): void {
    this.nodes.set(hash, { header, hash, work: this.parentOf(header).work + workOf(header.bits) });
  }

  /** Add a header whose parent may not be here; its work is then not known. */
  addLoose(header: Header, hash: string): void {
    if (this.nodes.has(hex(header.parent))) this.add(header, hash);
    else this.nodes.set(hash, { header, hash, work: 0n });
  }

  /** What the chain asks of a header on this parent, at a time of arrival. */
  above(parent: Node, arrivedMs: bigint): Below {
    const times = this.downFrom(parent, MEDIAN_OF).map((node) => node.header.timeMs).sort((a, b) => (a < b ? -1 : Number(a > b)));
    return {
      parent: parent.header,
      chainId: fromHex(this.genesis.hash),
      bits: this.bitsAbove(parent),
      medianMs: times[times.length >> 1]!,
      latestMs: arrivedMs + BigInt(this.agreed.rules.maxAheadMs),
    };
  }

  /** The target of the next block, in compact form (rule 3). */
  private bitsAbove(parent: Node): number {
    const { retargetWindow: window, intervalMs, bits } = this.agreed.rules, last = parent.header;
    if (!window || !last.height || (last.height + 1n) % BigInt(window)) return last.bits;
    const first = this.downFrom(parent, window).at(-1)!.header;
    return adapted(last.bits, last.timeMs - first.timeMs, BigInt(window) * BigInt(intervalMs), bits);
  }

  /** Whether so many blocks are here, this one and those below it, or all down to genesis. */
  reaches(top: Node, count: number): boolean {
    const last = this.downFrom(top, Math.max(count, 1));
    return last.length >= count || last.at(-1) === this.genesis;
  }

  /** Up to so many blocks: this one, the one below it, and so on. */
  private downFrom(top: Node, count: number): Node[] {
    const found: Node[] = [];
    for (let node: Node | undefined = top; node && found.length < count; node = this.nodes.get(hex(node.header.parent))) found.push(node);
    return found;
  }
}
