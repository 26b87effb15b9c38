// The worker of the page: it verifies blocks as they come, or searches for a nonce. It is started from
// a Blob of the page's own text (own.ts).
import { bytesOf, type GenesisRecord, type HeaderRecord } from "../records";
import { type Bytes, fromHex, Wrong } from "./bytes";
import { type HeaderGiven, Light, type Marks } from "./light";
import { search } from "./mine";

export type Asked =
  | { is: "agreed"; record: GenesisRecord }
  | { is: "headers"; records: HeaderRecord[] }
  | { is: "body"; hash: string; base64: string }
  | { is: "mine"; header: Bytes; target: Bytes };
export type Told =
  | { is: "unknown"; parts: string[] }
  | { is: "marks"; marks: [string, Marks][] }
  | { is: "refused"; reason: string }
  | { is: "tries"; tries: number }
  | { is: "mined"; nonce: number };

const TRIES = 4096; // between two words to the page
const EVERY_MS = 250;

let light: Light | null = null;
const waiting = new Set<string>();

function tell(told: Told): void {
  postMessage(told);
}

/** Answer what the page asks. */
export function answerPage(): void {
  addEventListener("message", ({ data }: MessageEvent<Asked>) => {
    try {
      take(data);
    } catch (error) {
      if (!(error instanceof Wrong)) throw error;
      tell({ is: "refused", reason: error.message });
    }
  });
}

function take(asked: Asked): void {
  switch (asked.is) {
    case "agreed":
      light = new Light(new TextEncoder().encode(asked.record.rules), bytesOf(asked.record.weights));
      tell({ is: "unknown", parts: light.agreed.unknown });
      break;
    case "headers":
      for (const record of asked.records) {
        light!.header(givenOf(record));
        wait(record.hash);
      }
      break;
    case "body":
      light!.body(asked.hash, bytesOf(asked.base64));
      for (const hash of light!.waitingFor(asked.hash)) wait(hash);
      break;
    case "mine":
      mine(asked.header, asked.target);
  }
}

function givenOf(record: HeaderRecord): HeaderGiven {
  return {
    hash: record.hash,
    bytes: bytesOf(record.bytes),
    key: bytesOf(record.key),
    signature: bytesOf(record.signature),
    arrivedMs: record.arrived_ms,
    contents: record.contents.length === record.messages ? record.contents.map(fromHex) : null,
  };
}

function wait(hash: string): void {
  if (!waiting.size) setTimeout(work); // after what has come already
  waiting.add(hash);
}

/** Check blocks for a while, tell what was found, and go on after what has come meanwhile. */
function work(): void {
  const marks: [string, Marks][] = [], end = performance.now() + EVERY_MS;
  for (const hash of waiting) {
    waiting.delete(hash);
    marks.push([hash, light!.marks(hash)]);
    if (performance.now() > end) break;
  }
  tell({ is: "marks", marks });
  if (waiting.size) setTimeout(work);
}

function mine(header: Bytes, target: Bytes): void {
  for (let tried = 0; ; tried += TRIES) {
    const nonce = search(header, target, tried, TRIES);
    if (nonce !== null) return tell({ is: "mined", nonce });
    tell({ is: "tries", tries: tried + TRIES });
  }
}
