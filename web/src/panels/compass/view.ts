/** What the compass shows of one round: the block's messages, their fate, and the step. */

import type { GramRecord, MessageRecord, RoundRecord, RunRecord } from "../../records";
import { cosineOf, degrees, type Gram, gramOf, noiseAlone } from "./gram";
import { type Reading, reading } from "./rules";
import {
  countsOf, cutOf, factorsOf, isCloseCut, keptOf, measured, median, ranking, sharesOf, type Step,
  stepOf,
} from "./selection";

export interface Row {
  readonly id: string;
  readonly holder: number;
  readonly members: number;
  readonly cosine: number;
  /** From the sum of all directions, in degrees. */
  readonly angle: number;
  readonly norm: number;
  /** Expected norm of the noise in the message; null where it is unknown. */
  readonly noise: number | null;
  readonly used: boolean;
  readonly share: number;
  readonly score: number | null;
  readonly reason: string;
  readonly attack: string;
}

export interface View {
  readonly reading: Reading;
  /** The messages of the block, in ascending order of their ids. */
  readonly rows: readonly Row[];
  /** Number of messages in the block, of which the page may have only some, and of those used. */
  readonly messages: number;
  readonly used: number;
  readonly thinned: boolean;
  /** Messages that came too late for any block of the main chain. */
  readonly late: readonly MessageRecord[];
  /** Places of the rows from the best to the worst, as the rule judges them. */
  readonly order: readonly number[];
  /** Cosines of all pairs; null where the page has none. */
  readonly gram: Gram | null;
  /** How many messages the chain kept, and how many are kept now; null for rules without a cone. */
  readonly chainKeep: number | null;
  readonly keep: number | null;
  /** Whether the reader can move the cut: the rule has one, and all that it needs is known. */
  readonly movable: boolean;
  readonly moved: boolean;
  /** Cosine at the edge of the cone. */
  readonly cut: number | null;
  /** Whether the message at the cut and the next one are too close to tell apart. */
  readonly close: boolean;
  readonly medianNorm: number;
  readonly noiseAlone: number | null;
  readonly step: Step | null;
  /** The mean of the honest messages, with the rule's own factors and counts. */
  readonly mean: Step | null;
  /** Cosine of the step with that mean. */
  readonly agreement: number | null;
  readonly attackers: number;
  readonly attackersUsed: number;
  readonly honest: number;
  readonly honestUsed: number;
}

/** The messages of a round's block, in ascending order of their ids. Others were told of a block that
 * a reorganisation has replaced, or came too late for any block. */
export function inBlockOf(messages: readonly MessageRecord[], block: string): MessageRecord[] {
  const found = messages.filter((one) => one.block === block && !one.late && one.cosine !== null);
  return found.sort((a, b) => (a.id < b.id ? -1 : 1));
}

/** The view of a round. `keep` is the reader's number of messages to keep, null for the chain's. */
export function viewOf(
  run: RunRecord,
  round: RoundRecord,
  messages: readonly MessageRecord[],
  record: GramRecord | undefined,
  keep: number | null,
): View {
  const inBlock = inBlockOf(messages, round.block);
  const rule = reading(run.rule);
  const gram = gramFor(record, inBlock);
  const withSum = inBlock.map((one) => one.cosine!);
  const ranked = ranking(withSum);
  const counts = gram && countsOf(record!.records, rule.weights);
  const thinned = inBlock.length < round.messages;
  const chainKeep = chainKeepOf(rule, inBlock, thinned);
  const movable = chainKeep !== null && gram !== null && inBlock.length > 1;
  const kept = movable && keep !== null ? Math.min(Math.max(1, keep), inBlock.length) : chainKeep;
  const moved = kept !== chainKeep;
  const chosen = moved ? keptOf(ranked, kept!) : inBlock.map((one) => one.used);
  const shares = moved ? sharesOf(chosen, counts!) : inBlock.map((one) => one.share);
  const rows = inBlock.map((one, place) => rowOf(run, one, chosen[place]!, shares[place]!, moved));
  return {
    reading: rule,
    rows,
    thinned,
    late: messages.filter((one) => one.late),
    order: rule.as === "score" ? byScore(rows) : ranked,
    gram,
    chainKeep,
    keep: kept,
    movable,
    moved,
    cut: kept === null || rows.length === 0 ? null : cutOf(withSum, ranked, kept),
    close: kept !== null && isCloseCut(withSum, ranked, kept),
    medianNorm: rows.length ? median(rows.map((row) => row.norm)) : 0,
    noiseAlone: gram && noiseAlone(gram),
    ...stepsOf(rule, rows, gram, counts),
    ...numbersOf(round, rows, thinned),
  };
}

/** The rule's number of messages to keep; of a thinned block, those that the page has of them. */
function chainKeepOf(rule: Reading, inBlock: readonly MessageRecord[], thinned: boolean): number | null {
  const most = thinned ? inBlock.filter((one) => one.used).length : inBlock.length;
  return rule.keep === null ? null : Math.min(rule.keep, most);
}

type Steps = Pick<View, "step" | "mean" | "agreement">;

/** The step of the shown messages, and the mean of the honest ones, where cosines are known. */
function stepsOf(
  rule: Reading,
  rows: readonly Row[],
  gram: Gram | null,
  counts: readonly number[] | null,
): Steps {
  if (!gram || !counts) return { step: null, mean: null, agreement: null };
  const factors = factorsOf(rows.map((row) => row.norm), rule.scale);
  // A public root is neither honest nor an attacker: it has no members.
  const honest = rows.map((row) => row.attack === "" && row.members > 0);
  const shares = rows.map((row) => row.share);
  const step = rule.linear ? measured(gram, stepOf(shares, factors)) : null;
  const evenly = sharesOf(honest, counts);
  const mean = honest.includes(true) ? measured(gram, stepOf(evenly, factors)) : null;
  return { step, mean, agreement: step && mean && cosineOf(gram, step.parts, mean.parts) };
}

type Numbers = Pick<
  View,
  "messages" | "used" | "attackers" | "attackersUsed" | "honest" | "honestUsed"
>;

function numbersOf(round: RoundRecord, rows: readonly Row[], thinned: boolean): Numbers {
  const usedRows = rows.filter((row) => row.used);
  const used = thinned ? round.used : usedRows.length;
  const attackersUsed = usedRows.filter((row) => row.attack !== "").length;
  const rootsUsed = usedRows.filter((row) => row.members === 0).length;
  return {
    messages: round.messages,
    used,
    attackers: round.byzantine,
    attackersUsed,
    honest: round.messages - round.byzantine - round.root,
    honestUsed: used - attackersUsed - rootsUsed,
  };
}

/** The cosines of a block, if they are those of exactly these messages. */
function gramFor(record: GramRecord | undefined, inBlock: readonly MessageRecord[]): Gram | null {
  const same =
    record?.ids.length === inBlock.length &&
    inBlock.every((one, place) => one.id === record.ids[place]);
  return same ? gramOf(record) : null;
}

function rowOf(
  run: RunRecord,
  one: MessageRecord,
  used: boolean,
  share: number,
  moved: boolean,
): Row {
  const { id, holder, members, norm, score, attack } = one;
  const cosine = one.cosine!;
  const noise = run.noise_norm[holder] ?? null;
  const reason = moved ? "" : one.reason;
  return {
    id, holder, members, cosine, angle: degrees(cosine), norm, noise, used, share, score, reason, attack,
  };
}

/** The rows by the rule's own score, from the side where it uses messages; by cosine without one. */
function byScore(rows: readonly Row[]): number[] {
  if (rows.some((row) => row.score === null)) return ranking(rows.map((row) => row.cosine));
  const meanOf = (some: readonly Row[]) =>
    some.reduce((total, row) => total + row.score!, 0) / some.length;
  const [used, left] = [rows.filter((row) => row.used), rows.filter((row) => !row.used)];
  const sign = used.length && left.length && meanOf(used) > meanOf(left) ? -1 : 1;
  const places = rows.map((_, place) => place);
  return places.sort((a, b) => sign * (rows[a]!.score! - rows[b]!.score!) || a - b);
}
