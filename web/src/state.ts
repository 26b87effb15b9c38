// What the page shows and what the reader has chosen. Panels read these signals, never the feed.
import { computed, signal } from "@preact/signals";
import { Story } from "./story";

/** The run on the page. */
export const story = new Story();
export const {
  run, rounds, messages, grams, headers, bodies, genesis, heads, masks, pictures, clouds, links,
  places, trips, refusals, evidence, retold, ended, lost, told, lastRound,
} = story;

/** Steps of a round, in their order. */
export const STEPS = ["release", "arrive", "select", "step", "work", "append"] as const;
/** Index of the last step: the round is whole. */
export const WHOLE = STEPS.length - 1;
export const PANELS = [
  "network", "compass", "learning", "privacy", "masks", "points", "ledger",
] as const;
export type PanelName = (typeof PANELS)[number];

/** The round that the page shows; 0 before the first is told. Set it by moves.ts. */
export const round = signal(0);
/** Index in STEPS; the last unless the reader steps through the round. Set it by moves.ts. */
export const step = signal<number>(WHOLE);
/** Simulated seconds since genesis that the page shows. Set it by moves.ts. */
export const clock = signal(0);
/** Whether the page goes to each new round of a run that goes on. */
export const following = signal(true);
export const playing = signal(false);
/** Simulated seconds a second, from 0.25 to 16. */
export const speed = signal(1);
/** Whether the page shows what only the simulator knows: who attacks. */
export const truth = signal(true);
/** The maximised panel. */
export const panel = signal<PanelName | null>(null);
export const presenter = signal(false);
/** How much larger type is than usual; pictures with text in them take it into account. */
export const scale = computed(() => (presenter.value ? 1.4 : 1));
/** How many messages the reader keeps instead of the chain; null for the chain's number. */
export const keep = signal<number | null>(null);
/** Name of the run that is laid over this one, and its story once it is read. */
export const overlay = signal<string | null>(null);
export const overlaid = signal<Story | null>(null);
export const theme = signal<"light" | "dark" | null>(null);
/** Whether single keys move the page. */
export const keysOn = signal(true);
export const helpOpen = signal(false);
/** Whether the page is being printed, with its tables open. */
export const printing = signal(false);

/** The way to the records: a file, a stream that is open, lost or at its end. */
type Connection = "file" | "open" | "lost" | "closed";
export const connection = signal<Connection>("file");

/** What the browser's own check of the chain has found; null before it has begun. */
interface Checked {
  state: "running" | "held" | "broken" | "partly";
  /** The finding in a few words, for the header. */
  words: string;
}
export const checked = signal<Checked | null>(null);

/** Whether the reader has changed blocks of the page's copy of the chain. */
export const changed = signal(false);

export const roundRecord = computed(() => rounds.value.get(round.value) ?? null);
export const roundMessages = computed(() => messages.value.get(round.value) ?? []);
