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

/** One mark of a kind for each pixel, however many rounds there are. */
export function thinned(marks: readonly Mark[], place: (round: number) => number): Mark[] {
  const taken = new Set<string>();
  return marks.filter(({ kind, round }) => {
    const key = `${kind} ${Math.round(place(round) / 4)}`;
    return !taken.has(key) && taken.add(key);
  });
}
