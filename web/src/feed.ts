// Where records come from: a script in this file, or the server's stream of events.
import { effect } from "@preact/signals";
import { follow } from "./moves";
import { parseLine, type PageRecord } from "./records";
import { followEvents, type ServerEvent } from "./sse";
import { connection, overlaid, overlay, story } from "./state";
import { Story } from "./story";

/** The records of lines; lines that say nothing are counted in a record of their own. */
export function recordsOf(lines: Iterable<string>): PageRecord[] {
  const records: PageRecord[] = [];
  let lost = 0;
  for (const line of lines) {
    if (!line.trim()) continue;
    const record = parseLine(line);
    if (record) records.push(record);
    else lost += 1;
  }
  if (lost) records.push({ is: "lost", count: lost });
  return records;
}

/** The text behind gzip and base64. */
export async function unpack(base64: string): Promise<string> {
  const bytes = Uint8Array.from(atob(base64.trim()), (letter) => letter.charCodeAt(0));
  const plain = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Response(plain).text();
}

/** The scripts with records in this file, by the name of their run. */
function recordScripts(): Map<string, HTMLScriptElement> {
  const found = document.querySelectorAll<HTMLScriptElement>(
    'script[type="application/x-fedchain-records"]',
  );
  return new Map([...found].map((script) => [script.dataset["run"] ?? script.id, script]));
}

async function takeScript(story: Story, script: HTMLScriptElement): Promise<void> {
  const text = script.textContent ?? "";
  const plain = script.dataset["encoding"] === "gzip+base64" ? await unpack(text) : text;
  story.take(recordsOf(plain.split("\n")));
}

/** A text of the page's head; null where it has none. */
export function meta(name: string): string | null {
  return document.querySelector<HTMLMetaElement>(`meta[name="${name}"]`)?.content ?? null;
}

/** Begin to read the run of this page. */
export async function startFeed(): Promise<void> {
  const [first] = recordScripts().values();
  if (meta("fedchain-source") === "events") {
    connection.value = "open";
    void takeEvents(story, "events", (state) => (connection.value = state));
  } else if (first) {
    await takeScript(story, first);
    follow();
  }
  effect(() => void readOverlay(overlay.value));
}

async function takeEvents(
  into: Story, url: string, onState: (state: "open" | "lost" | "closed") => void,
): Promise<void> {
  const queue: PageRecord[] = [];
  let over = false;
  const flush = () => {
    into.take(queue.splice(0));
    if (into === story) follow();
  };
  await followEvents(url, {
    onEvents: (events: ServerEvent[]) => {
      // What comes within 30 ms is taken at once, so that a burst of records draws the page once.
      if (!queue.length) setTimeout(flush, 30);
      const records = recordsOf(events.map((event) => event.data));
      queue.push(...records);
      // An interrupted run may be resumed: the server then ends the stream, which is read anew.
      over ||= records.some((record) => record.is === "end" && record.status !== "interrupted");
    },
    onState,
    over: () => over,
    wait: (seconds) => new Promise((resolve) => setTimeout(resolve, seconds * 1000)),
  });
  onState("closed");
}

/** Names of the runs that can be laid over this one: in this file, or beside it on the server. */
export function otherRuns(): string[] {
  const listed = meta("fedchain-runs");
  if (listed !== null) return JSON.parse(listed) as string[];
  return [...recordScripts().keys()].slice(1).filter((name) => !name.startsWith("lesson-"));
}

async function readOverlay(name: string | null): Promise<void> {
  overlaid.value = null;
  if (name === null || !otherRuns().includes(name)) return;
  const other = new Story();
  const script = recordScripts().get(name);
  overlaid.value = other;
  if (script) await takeScript(other, script);
  else await takeEvents(other, `../${encodeURIComponent(name)}/events`, () => undefined);
}
