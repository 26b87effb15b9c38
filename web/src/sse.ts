// Server-sent events over fetch. EventSource would do, but it gives up for good on an error status,
// and a new one could not say where the last one ended.

export interface ServerEvent {
  id: string | null;
  data: string;
}

/** Cuts a stream of text into events. Comments and fields that the page does not use are passed over. */
export class EventParser {
  private rest = "";
  private id: string | null = null;
  private data: string[] = [];

  push(text: string): ServerEvent[] {
    const lines = (this.rest + text).split(/\r\n|\n|\r(?!$)/);
    this.rest = lines.pop()!;
    return lines.flatMap((line) => this.line(line));
  }

  private line(line: string): ServerEvent[] {
    if (line === "") return this.dispatch();
    const [, name, value] = /^(\w+): ?(.*)$/.exec(line) ?? [];
    if (name === "id") this.id = value!;
    if (name === "data") this.data.push(value!);
    return [];
  }

  private dispatch(): ServerEvent[] {
    if (!this.data.length) return [];
    const event = { id: this.id, data: this.data.join("\n") };
    this.data = [];
    return [event];
  }
}

interface Follower {
  onEvents: (events: ServerEvent[]) => void;
  /** The stream is open, or it is lost and tried again. */
  onState: (state: "open" | "lost") => void;
  /** Whether the stream has told its end. */
  over: () => boolean;
  /** Waits so many seconds; tests wait less. */
  wait: (seconds: number) => Promise<void>;
}

const LONGEST_WAIT_S = 10;

/** Read a stream of events to its end, from where it was lost if it is lost. */
export async function followEvents(url: string, to: Follower): Promise<void> {
  let last: string | null = null;
  for (let wait = 1; !to.over(); wait = Math.min(LONGEST_WAIT_S, wait * 2)) {
    try {
      const headers: Record<string, string> = last === null ? {} : { "Last-Event-ID": last };
      const answer = await fetch(url, { headers, cache: "no-store" });
      if (!answer.ok || !answer.body) throw new Error(`status ${answer.status}`);
      to.onState("open");
      for await (const events of eventsOf(answer.body)) {
        wait = 1;
        last = events.at(-1)?.id ?? last;
        to.onEvents(events);
        if (to.over()) return;
      }
    } catch {
      // A lost connection, an error status and a server that is gone are met in the same way.
    }
    if (to.over()) return;
    to.onState("lost");
    await to.wait(wait);
  }
}

async function* eventsOf(body: ReadableStream<Uint8Array<ArrayBuffer>>): AsyncGenerator<ServerEvent[]> {
  const parser = new EventParser();
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      const events = parser.push(value);
      if (events.length) yield events;
    }
  } finally {
    void reader.cancel().catch(() => undefined);
  }
}
