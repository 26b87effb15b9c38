// Mining in the panel: one block again, or all above it, in a worker that can be stopped.
import { signal } from "@preact/signals";
import { fromHex } from "../../chain/bytes";
import { startWorker } from "../../chain/client";
import { type Block, claimed, editOf, hashIn, sealedBy, withEdit, withField } from "./copy";
import { type LedgerModel, READER } from "./model";

interface Mined {
  /** Nonces tried so far, over all blocks. */
  tries: number;
  /** Height of the block that is mined; of the last one when all is done. */
  height: number;
  first: number;
  state: "running" | "done" | "stopped";
}

export class Miner {
  readonly mined = signal<Mined | null>(null);
  private stopWorker: (() => void) | null = null;

  constructor(private readonly model: LedgerModel) {}

  get running(): boolean {
    return this.mined.value?.state === "running";
  }

  /** Mine blocks again, each on the one below; the copy changes once, when all are done. */
  async mine(blocks: Block[], relink: boolean): Promise<void> {
    const first = blocks[0]!.height, { model } = this;
    let copy = model.copy.value, tries = 0;
    for (const block of blocks) {
      let { bytes } = editOf(copy, block);
      const below = model.blocks.value.get(block.parent);
      if (relink && below) bytes = withField(bytes, "parent", fromHex(hashIn(copy, below)));
      const header = claimed(bytes, READER);
      const tell = (now: number) => (this.mined.value = { tries: tries + now, height: block.height, first, state: "running" });
      tell(0);
      const nonce = await this.nonceOf(header, block, tell);
      if (nonce === null) {
        this.mined.value = { ...this.mined.value!, state: "stopped" };
        return;
      }
      if (!model.ground.value!.rules.sampled) tries += nonce + 1;
      copy = withEdit(copy, block, sealedBy(header, nonce, READER));
    }
    this.mined.value = { tries, height: blocks.at(-1)!.height, first, state: "done" };
    model.change(copy);
  }

  stop(): void {
    this.stopWorker?.();
  }

  /** Nobody searches where work is sampled: the nonce is 0. Null if the search was stopped. */
  private nonceOf(header: Uint8Array, block: Block, tell: (tries: number) => void): Promise<number | null> {
    const target = this.model.targetIn(block);
    if (this.model.ground.value!.rules.sampled || !target) return Promise.resolve(0);
    return new Promise((resolve) => {
      const end = (nonce: number | null) => {
        worker.stop();
        this.stopWorker = null;
        resolve(nonce);
      };
      const worker = startWorker((told) => {
        if (told.is === "tries") tell(told.tries);
        else if (told.is === "mined") end(told.nonce);
      });
      this.stopWorker = () => end(null);
      worker.ask({ is: "mine", header, target });
    });
  }
}
