// Arithmetic of the learning curve: which values it has, what its axis shows, where labels stand.
import { extent, ticks } from "d3-array";
import type { RoundRecord } from "../../records";
import type { Baseline } from "../../summary";

export interface Point {
  round: number;
  value: number;
}

/** The rounds in which a metric was measured. */
export function curveOf(
  rounds: ReadonlyMap<number, RoundRecord>, told: readonly number[], metric: string,
): Point[] {
  return told.flatMap((round) => {
    const value = rounds.get(round)?.metrics[metric];
    return value == null ? [] : [{ round, value }];
  });
}

export interface Axis {
  low: number;
  high: number;
  ticks: number[];
}

/** How far from the data a baseline may lie, as a share of their extent, to be on the axis. */
const NEAR = 0.6;
const ROOM = 0.06;

/** An axis that fits the data: baselines that are far away do not press the curve flat. */
export function axisOf(curves: readonly (readonly Point[])[], baselines: readonly Baseline[]): Axis {
  const values = curves.flat().map((point) => point.value);
  const [least = 0, greatest = 1] = extent(values.length ? values : baselines.map((it) => it.value));
  const size = greatest - least || Math.abs(greatest) * 0.1 || 1;
  const near = baselines
    .map((baseline) => baseline.value)
    .filter((value) => value > least - NEAR * size && value < greatest + NEAR * size);
  const [low = least, high = greatest] = extent([least, greatest, ...near]);
  const room = (high - low || size) * ROOM;
  return { low: low - room, high: high + room, ticks: ticks(low - room, high + room, 5) };
}

/** Where a value lies on the axis: within it, or beyond one of its edges. */
export function placeOn(axis: Axis, value: number): "within" | "above" | "below" {
  if (value > axis.high) return "above";
  return value < axis.low ? "below" : "within";
}

/**
 * Heights of labels, moved apart until no two are closer than `gap`, in the order that they had.
 * The first height is that of the most important label, and stays.
 */
export function apart(heights: readonly number[], gap: number, least: number, greatest: number): number[] {
  const order = heights.map((_, at) => at).sort((one, other) => heights[one]! - heights[other]!);
  const placed = [...heights];
  const fixed = order.indexOf(0);
  for (let at = fixed + 1; at < order.length; at += 1) {
    placed[order[at]!] = Math.max(placed[order[at]!]!, placed[order[at - 1]!]! + gap);
  }
  for (let at = fixed - 1; at >= 0; at -= 1) {
    placed[order[at]!] = Math.min(placed[order[at]!]!, placed[order[at + 1]!]! - gap);
  }
  return within(placed, order, gap, least, greatest);
}

/** Push labels that left the picture back into it, and the others out of their way. */
function within(
  placed: number[], order: readonly number[], gap: number, least: number, greatest: number,
): number[] {
  let limit = greatest;
  for (const at of [...order].reverse()) {
    placed[at] = Math.min(placed[at]!, limit);
    limit = placed[at]! - gap;
  }
  limit = least;
  for (const at of order) {
    placed[at] = Math.max(placed[at]!, limit);
    limit = placed[at]! + gap;
  }
  return placed;
}

/** Whole rounds for the axis below, few enough to stand apart. */
export function roundTicks(first: number, last: number, count: number): number[] {
  return ticks(first, last, count).filter((at) => Number.isInteger(at));
}
