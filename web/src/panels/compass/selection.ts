/** Which messages l-nearest keeps, and the step that a selection makes. */

import type { Gram } from "./gram";
import { cosineOf, length } from "./gram";

export type Scale = "restore" | "unit" | "median_clip";
export type Weights = "equal" | "records" | "capped";

/** Cosines in the events are rounded to nine places: messages that lie closer may stand in either
 * order. */
const RESOLUTION = 1e-9;

/** The places of all messages, from the largest cosine with the sum down; of equal ones, the smaller
 * message id first. Messages are in ascending order of their ids. */
export function ranking(withSum: readonly number[]): number[] {
  const places = withSum.map((_, place) => place);
  return places.sort((a, b) => withSum[b]! - withSum[a]! || a - b);
}

/** Which messages are among the first `keep` of a ranking. */
export function keptOf(ranked: readonly number[], keep: number): boolean[] {
  const kept = ranked.map(() => false);
  for (const place of ranked.slice(0, keep)) kept[place] = true;
  return kept;
}

/** Whether the last message that is kept and the first that is left out are too close to tell apart. */
export function isCloseCut(
  withSum: readonly number[],
  ranked: readonly number[],
  keep: number,
): boolean {
  if (keep < 1 || keep >= ranked.length) return false;
  return withSum[ranked[keep - 1]!]! - withSum[ranked[keep]!]! <= RESOLUTION;
}

/** The cosine at the edge of the cone: that of the angle midway between the last message that is
 * kept and the next one; -1 if all are kept. */
export function cutOf(withSum: readonly number[], ranked: readonly number[], keep: number): number {
  if (keep >= ranked.length) return -1;
  const [last, next] = [keep - 1, keep].map((rank) => Math.acos(clamp(withSum[ranked[rank]!]!)));
  return Math.cos((last! + next!) / 2);
}

/** How many messages have at least this cosine with the sum; at least 1. */
export function keepAt(withSum: readonly number[], cosine: number): number {
  return Math.max(1, withSum.filter((one) => one >= cosine).length);
}

/** The median; of an even number of values, the mean of the middle two. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

/** The number that multiplies each direction. */
export function factorsOf(norms: readonly number[], scale: Scale): number[] {
  if (scale === "unit") return norms.map(() => 1);
  if (scale === "restore") return [...norms];
  const most = median(norms);
  return norms.map((norm) => Math.min(norm, most));
}

/** How much each message counts in a mean, before the rule has chosen. */
export function countsOf(records: readonly number[], weights: Weights): number[] {
  if (weights === "equal") return records.map(() => 1);
  const most = weights === "capped" ? median(records) : Infinity;
  return records.map((number) => Math.min(number, most));
}

/** The share of each message in the mean of the chosen ones; equal shares if no chosen message
 * counts. */
export function sharesOf(chosen: readonly boolean[], counts: readonly number[]): number[] {
  const parts = counts.map((count, place) => (chosen[place] ? count : 0));
  const whole = parts.reduce((total, part) => total + part, 0);
  if (whole > 0) return parts.map((part) => part / whole);
  const used = chosen.filter(Boolean).length;
  return chosen.map((one) => (one && used ? 1 / used : 0));
}

/** The coefficients of a step over the directions: the share of each message times its factor. */
export function stepOf(shares: readonly number[], factors: readonly number[]): number[] {
  return shares.map((share, place) => share * factors[place]!);
}

export interface Step {
  /** Coefficients over the directions of the messages. */
  readonly parts: readonly number[];
  /** Norm of the global gradient. */
  readonly length: number;
  /** Cosine with the sum of all directions; null if either is zero. */
  readonly withSum: number | null;
}

/** A step with its length and its cosine with the sum of all directions. */
export function measured(gram: Gram, parts: readonly number[]): Step {
  const sum = parts.map(() => 1);
  return { parts, length: length(gram, parts), withSum: cosineOf(gram, parts, sum) };
}

function clamp(cosine: number): number {
  return Math.min(1, Math.max(-1, cosine));
}
