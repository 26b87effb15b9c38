// When the steps of a round happen, in simulated seconds.
import { bisectLeft } from "d3-array";
import type { RoundRecord, TripRecord } from "./records";

type Rounds = ReadonlyMap<number, RoundRecord>;

/** Start and end of a round: the block before, and its own block. */
export function span(rounds: Rounds, told: readonly number[], round: number): [number, number] {
  const before = rounds.get(told[bisectLeft(told, round) - 1] ?? 0)?.time_s ?? 0;
  const end = rounds.get(round)?.time_s ?? before;
  return [Math.min(before, end), end];
}

/**
 * The times at which the six steps of a round end. Without trips, which only some runs record, the
 * steps share the round in equal parts: then their order is true and their length is not.
 */
export function stepEnds([start, end]: [number, number], trips: readonly TripRecord[]): number[] {
  const sent = trips.filter((trip) => trip.what === "message");
  const blocks = trips.filter((trip) => trip.what === "block");
  if (!sent.length || !blocks.length) {
    return [1, 2, 3, 4, 5, 6].map((part) => start + ((end - start) * part) / 6);
  }
  const released = most(sent.map((trip) => trip.left_s), start);
  const found = Math.max(released, most(blocks.map((trip) => trip.left_s), end));
  const arrived = Math.min(most(sent.flatMap(arrivals), released), found);
  const left = found - arrived;
  const appended = Math.max(found, most(blocks.flatMap(arrivals), end));
  return [released, arrived, arrived + left / 3, arrived + (2 * left) / 3, found, appended];
}

function arrivals(trip: TripRecord): number[] {
  return trip.arrivals.map(([, time]) => time);
}

function most(times: readonly number[], otherwise: number): number {
  return times.reduce((one, other) => Math.max(one, other), times[0] ?? otherwise);
}

/** The step that goes on at a time. */
export function stepAt(ends: readonly number[], time: number): number {
  const at = ends.findIndex((end) => time < end);
  return at < 0 ? ends.length - 1 : at;
}

/** The told round that is nearest to the asked one. */
export function nearestRound(told: readonly number[], asked: number): number {
  const at = Math.min(bisectLeft(told, asked), told.length - 1);
  const above = told[at] ?? 0;
  const below = told[at - 1] ?? above;
  return asked - below < above - asked ? below : above;
}
