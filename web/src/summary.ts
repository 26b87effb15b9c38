// What the header and the finding say of a run, as far as it is told. No DOM, so that tests run it.
import { bisectRight } from "d3-array";
import { epsilon, plain, share, three } from "./format";
import type { Metrics, Privacy, RoundRecord, RunRecord } from "./records";
import { say, type Key } from "./words";
import strings from "../strings/en.json";

/** The readable name of a metric. */
export function metricWords(name: string): string {
  return name in strings.metric ? say(`metric.${name}` as Key) : name.replaceAll("_", " ");
}

/** A metric's value: shares without a leading zero, losses with three digits that count. */
export function metricValue(value: number | null | undefined): string {
  return value != null && Math.abs(value) <= 1 ? share(value) : three(value);
}

/** The privacy statement; null until the run has ended. */
export function statementOf(run: RunRecord): Privacy | null {
  return run.privacy.guarantee ? (run.privacy as Privacy) : null;
}

export interface Baseline {
  name: string;
  value: number;
}

/** Baselines that have a metric, the best one first; a lower loss is better. */
export function baselinesOf(run: RunRecord, metric: string): Baseline[] {
  const value = (metrics: Metrics) => metrics[metric];
  const known = Object.entries(run.baselines).flatMap(([name, metrics]) => {
    const found = value(metrics);
    return found == null ? [] : [{ name: name.replaceAll("_", " "), value: found }];
  });
  const sign = metric === "loss" ? 1 : -1;
  return known.sort((one, other) => sign * (one.value - other.value));
}

/** The last told round up to `round` that has a metric; null where none has. */
export function measured(
  rounds: ReadonlyMap<number, RoundRecord>, told: readonly number[], round: number, metric: string,
): RoundRecord | null {
  for (let at = bisectRight(told, round) - 1; at >= 0; at -= 1) {
    const record = rounds.get(told[at]!)!;
    if (record.metrics[metric] != null) return record;
  }
  return null;
}

/** `ε 5.30 of 8`, `ε 5.30` without a budget, and words where there is no guarantee. */
export function epsilonWords(run: RunRecord, record: RoundRecord | null): string {
  if (!record || record.epsilon === null) return say("header.no_guarantee");
  const so = { so: epsilon(record.epsilon) };
  if (run.epsilon_budget === null) return say("header.epsilon", so);
  return say("header.epsilon_of", { ...so, budget: plain(run.epsilon_budget) });
}

/** `IoU .539 (keep everything: .199)`. */
export function scoreWords(run: RunRecord, record: RoundRecord | null): string {
  if (!run.score) return "";
  const name = metricWords(run.score);
  const [best] = baselinesOf(run, run.score);
  const value = record?.metrics[run.score];
  if (value == null) return say("header.measuring", { name });
  const words = { name, value: metricValue(value) };
  return best
    ? say("header.score_beside", { ...words, baseline: best.name, other: metricValue(best.value) })
    : say("header.score", words);
}

/** Whether a run trains a model. A chain alone has neither scores nor releases. */
export function learns(run: RunRecord): boolean {
  return run.task !== "none";
}

/** One sentence on a round, for those who hear the page. */
export function roundWords(run: RunRecord, record: RoundRecord | null, score: RoundRecord | null): string {
  if (!record) return say("page.no_round");
  const place = { round: record.round, rounds: run.rounds };
  if (!learns(run)) return say("page.block_words", place);
  return say("page.round_words", {
    ...place,
    score: scoreWords(run, score),
    epsilon: epsilonWords(run, record),
  });
}
