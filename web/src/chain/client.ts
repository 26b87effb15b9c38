// The page's side of the verifier: gives the worker what comes of a chain, and keeps what it says.
import { effect, signal } from "@preact/signals";
import { ownText } from "../own";
import type { Story } from "../story";
import type { Marks } from "./light";
import type { Asked, Told } from "./worker";

/** A worker of this page; what it tells goes to a function. */
export function startWorker(hear: (told: Told) => void): { ask(asked: Asked): void; stop(): void } {
  const url = URL.createObjectURL(new Blob([ownText], { type: "text/javascript" }));
  const worker = new Worker(url);
  worker.addEventListener("message", ({ data }: MessageEvent<Told>) => hear(data));
  return {
    ask: (asked) => worker.postMessage(asked),
    stop() {
      worker.terminate();
      URL.revokeObjectURL(url);
    },
  };
}

/** What the browser has found out about the chain of a run. */
export class Verifier {
  marks = signal<ReadonlyMap<string, Marks>>(new Map());
  /** Blocks whose messages are here or were asked for. */
  bodies = signal<ReadonlySet<string>>(new Set());
  /** Rules and updates that are defined by code which is not here. */
  unknown = signal<readonly string[]>([]);
  /** Why the chain could not be read; empty if it could. */
  refusal = signal("");
  private readonly sent = new Set<string>();
  private readonly worker = startWorker((told) => this.hear(told));

  constructor(story: Story) {
    effect(() => {
      const first = story.genesis.value;
      if (!first || this.sent.has(first.hash)) return;
      this.sent.add(first.hash);
      this.worker.ask({ is: "agreed", record: first });
    });
    effect(() => {
      if (!story.genesis.value) return;
      const fresh = [...story.headers.value.values()].filter(({ hash }) => !this.sent.has(hash));
      for (const { hash } of fresh) this.sent.add(hash);
      if (fresh.length) this.worker.ask({ is: "headers", records: fresh });
    });
    effect(() => {
      const headers = story.headers.value;
      const fresh = [...story.bodies.value].filter(([hash]) => headers.has(hash) && !this.bodies.peek().has(hash));
      for (const [hash, body] of fresh) this.takeBody(hash, body);
    });
  }

  /** Take the messages of a block whose header has been told. */
  takeBody(hash: string, base64: string): void {
    this.bodies.value = new Set([...this.bodies.peek(), hash]);
    this.worker.ask({ is: "body", hash, base64 });
  }

  private hear(told: Told): void {
    if (told.is === "marks") this.marks.value = new Map([...this.marks.value, ...told.marks]);
    else if (told.is === "unknown") this.unknown.value = told.parts;
    else if (told.is === "refused") this.refusal.value ||= told.reason;
  }
}
