// Marks on the timeline: where an attack begins, a block is lost, the chain is reorganised, and a
// node refuses. No DOM, so that tests run it.
import type { RefusalRecord, RoundRecord } from "./records";

export type MarkKind = "attack" | "stale" | "reorganised" | "refused";

export interface Mark {
  kind: MarkKind;
  round: number;
}

/** Rounds with messages of attackers, as spans from the first to the last of each. */
export function attackSpans(rounds: readonly RoundRecord[]): [number, number][] {
  const spans: [number, number][] = [];
  let open = false;
  for (const { round, byzantine } of rounds) {
    if (byzantine > 0 && open) spans.at(-1)![1] = round;
    else if (byzantine > 0) spans.push([round, round]);
    open = byzantine > 0;
  }
  return spans;
}

/**
 * All marks of a run, in the order of rounds.
 *
 * `truth`: whether to tell where attacks begin, which only the simulator knows.
 */
export function marksOf(
  rounds: readonly RoundRecord[], refusals: readonly RefusalRecord[], retold: ReadonlySet<number>,
  truth: boolean,
): Mark[] {
  const marks: Mark[] = truth
    ? attackSpans(rounds).map(([round]) => ({ kind: "attack", round }))
    : [];
  let stale = 0;
  let reorganised = 0;
  for (const record of rounds) {
    const { round } = record;
    if (record.stale_blocks > stale) marks.push({ kind: "stale", round });
    if (record.reorganisations > reorganised || retold.has(round)) {
      marks.push({ kind: "reorganised", round });
    }
    stale = record.stale_blocks;
    reorganised = record.reorganisations;
  }
  for (const round of new Set(refusals.map((refusal) => refusal.round))) {
    marks.push({ kind: "refused", round });
  }
  return marks.sort((one, other) => one.round - other.round);
}

/** Width that a mark takes on the timeline, pixels. */
const WIDE = 10;

/**
 * Marks with their places. Of marks of one kind that would cover each other, however many rounds
 * there are, one stays; marks of several kinds at one place stand beside each other.
 */
export function placed(
  marks: readonly Mark[], place: (round: number) => number,
): (Mark & { x: number })[] {
  const slots = new Map<number, MarkKind[]>();
  return marks.flatMap((mark) => {
    const slot = Math.round(place(mark.round) / WIDE);
    const kinds = slots.get(slot) ?? [];
    if (kinds.includes(mark.kind)) return [];
    slots.set(slot, [...kinds, mark.kind]);
    return [{ ...mark, x: place(mark.round) + WIDE * kinds.length }];
  });
}
