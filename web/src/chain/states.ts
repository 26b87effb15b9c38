// States: the weights and memory after blocks, recomputed on demand and kept while memory allows.
import type { Sealed } from "./block";
import { hex, need, same } from "./bytes";
import type { Said } from "./directions";
import { hashesOf, type State } from "./state";
import { type Agreed, type Node, stepped, type Tree } from "./tree";

const MOST_KEPT = 2 ** 25; // numbers, 256 MiB of them

export class States {
  private readonly kept = new Map<string, State>();
  private size = 0;

  /** `messagesOf` gives the messages of a block, or null where they are not here. */
  constructor(
    private readonly agreed: Agreed,
    private readonly tree: Tree,
    private readonly first: State,
    private readonly messagesOf: (hash: string) => Said[] | null,
  ) {}

  /** The state after a block; null where something is missing on the way from genesis. */
  after(hash: string): State | null {
    const way: Node[] = [], { nodes, genesis } = this.tree;
    let node = nodes.get(hash);
    for (; node && node !== genesis && !this.kept.has(node.hash); node = nodes.get(hex(node.header.parent))) way.push(node);
    if (!node) return null;
    let state = this.kept.get(node.hash) ?? this.first;
    for (const next of way.reverse()) {
      const messages = this.messagesOf(next.hash);
      if (!messages) return null;
      state = stepped(this.agreed, state, messages, Number(next.header.height));
      this.keep(next.hash, state);
    }
    return state;
  }

  /** Check that a header names the state after its messages (rule 9); false where that below is not to be had. */
  check(block: Sealed, messages: Said[]): boolean {
    const { header } = block, before = this.after(hex(header.parent));
    if (!before) return false;
    const state = stepped(this.agreed, before, messages, Number(header.height));
    const { weights, memory } = hashesOf(state, this.agreed.rules);
    need(same(header.weightsHash, weights), "weights_hash: weights are not those of the step from these messages");
    need(same(header.memoryHash, memory), "memory_hash: the update's memory is not that of the step from these messages");
    this.keep(hex(block.hash), state);
    return true;
  }

  private keep(hash: string, state: State): void {
    this.kept.set(hash, state);
    this.size += sizeOf(state);
    for (const [oldest, old] of this.kept) {
      if (this.size <= MOST_KEPT || oldest === hash) break;
      this.kept.delete(oldest);
      this.size -= sizeOf(old);
    }
  }
}

function sizeOf(state: State): number {
  return [...state.memory.values()].reduce((sum, vector) => sum + vector.length, state.weights.length);
}
