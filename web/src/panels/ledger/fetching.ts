// Messages of blocks from the server: asked for one block after the other, the lowest first, since a
// model can be recomputed only if all below it are.
import { signal } from "@preact/signals";
import { parseLine } from "../../records";
import type { LedgerModel } from "./model";

/** Bytes that are fetched before the reader asks for more. */
const BY_ITSELF = 16 * 2 ** 20;

export class Fetching {
  readonly running = signal(false);
  private readonly failed = new Set<string>();
  private left = BY_ITSELF;

  constructor(private readonly model: LedgerModel) {}

  /** Blocks whose messages have not been asked for: the main chain from below, then stale ones. */
  waiting(): string[] {
    const { blocks, main, verifier } = this.model;
    const stale = [...blocks.value.values()].filter((block) => !block.main), here = verifier.bodies.value;
    return [...main.value, ...stale]
      .filter(({ hash, messages }) => messages > 0 && !here.has(hash) && !this.failed.has(hash))
      .map(({ hash }) => hash);
  }

  /** Fetch until all are here, or so many bytes were read. */
  async go(more = false): Promise<void> {
    if (more) this.left = BY_ITSELF;
    if (this.running.value) return;
    this.running.value = true;
    for (let [next] = this.waiting(); next && this.left > 0; [next] = this.waiting()) await this.one(next);
    this.running.value = false;
  }

  private async one(hash: string): Promise<void> {
    try {
      const answer = await fetch(`body/${hash}`), text = await answer.text();
      const record = answer.ok ? parseLine(text) : null;
      if (record?.is !== "body") throw new Error(answer.statusText);
      this.left -= text.length;
      this.model.verifier.takeBody(hash, record.bytes);
    } catch {
      this.failed.add(hash); // its messages were pruned, or the server has ended
      this.left = 0;
    }
  }
}
