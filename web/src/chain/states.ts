// States: the weights and memory after blocks, recomputed on demand and kept while memory allows.
import type { Said } from "./directions";
import type { State } from "./state";
import { type Agreed, type Node, stepped, type Tree } from "./tree";
import { hex } from "./bytes";

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

  /** The state after a block; null where messages are missing on the way from genesis. */
  after(hash: string): State | null {
    const way: Node[] = [];
    let node = this.tree.nodes.get(hash)!;
    for (; node !== this.tree.genesis && !this.kept.has(node.hash); node = this.tree.parentOf(node.header)) way.push(node);
    let state = this.kept.get(node.hash) ?? this.first;
    for (const next of way.reverse()) {
      const messages = this.messagesOf(next.hash);
      if (!messages) return null;
      state = stepped(this.agreed, state, messages, Number(next.header.height));
      this.keep(next.hash, state);
    }
    return state;
  }

  /** The state that a block must have after its messages; null where the one below cannot be had. */
  next(node: Pick<Node, "header">, messages: Said[]): State | null {
    const before = this.after(hex(node.header.parent));
    return before && stepped(this.agreed, before, messages, Number(node.header.height));
  }

  keep(hash: string, state: State): void {
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
