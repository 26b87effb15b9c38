// Where records come from: a script in this file, or the server's stream of events.
import { parseLine, type PageRecord } from "./records";
import type { Story } from "./state";

/** Give the records of a text to the story; lines that say nothing are counted. */
export function takeText(story: Story, text: string): void {
  const records: PageRecord[] = [];
  let lost = 0;
  for (const line of text.split("\n")) {
    if (!line.trim()) continue;
    const record = parseLine(line);
    if (record) records.push(record);
    else lost += 1;
  }
  if (lost) records.push({ is: "lost", count: lost });
  story.take(records);
}

/** The text of a script element whose content is gzip, base64. */
export async function unpack(base64: string): Promise<string> {
  const bytes = Uint8Array.from(atob(base64.trim()), (letter) => letter.charCodeAt(0));
  const plain = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Response(plain).text();
}

/** The scripts with records in this file, by the name of their run. */
export function recordScripts(): Map<string, HTMLScriptElement> {
  const found = document.querySelectorAll<HTMLScriptElement>(
    'script[type="application/x-fedchain-records"]',
  );
  return new Map([...found].map((script) => [script.dataset["run"] ?? script.id, script]));
}

export async function takeScript(story: Story, script: HTMLScriptElement): Promise<void> {
  const text = script.textContent ?? "";
  takeText(story, script.dataset["encoding"] === "gzip+base64" ? await unpack(text) : text);
}
