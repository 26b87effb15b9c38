/** Where messages and blocks are at a moment of simulated time. */

import type { RefusalRecord, TripRecord } from "../../records";

interface Flying {
  readonly what: "message" | "block";
  readonly id: string;
  readonly from: string;
  readonly to: string;
  /** How much of the way is done, 0 to 1. */
  readonly share: number;
}

/** What is on its way at a moment: it has left, and has not arrived. At most `most` of them. */
export function flying(trips: readonly TripRecord[], now: number, most = 2000): Flying[] {
  const made: Flying[] = [];
  for (const { what, id, sender, left_s: left, arrivals } of trips) {
    if (left > now) continue;
    for (const [to, arrived] of arrivals) {
      if (arrived <= now || made.length >= most) continue;
      made.push({ what, id, from: sender, to, share: (now - left) / (arrived - left) });
    }
  }
  return made;
}

interface Arrival {
  readonly node: string;
  readonly refused: boolean;
}

/** What has arrived within the last `within` simulated seconds, and whether it was refused. */
export function arrived(
  trips: readonly TripRecord[],
  refusals: readonly RefusalRecord[],
  now: number,
  within: number,
): Arrival[] {
  const refused = new Set(refusals.map(({ node, id }) => `c${node} ${id}`));
  return trips.flatMap(({ id, arrivals }) =>
    arrivals
      .filter(([, at]) => at <= now && now - at < within)
      .map(([node]) => ({ node, refused: refused.has(`${node} ${id}`) })),
  );
}

/** What was refused, when all is over. */
export function refused(refusals: readonly RefusalRecord[]): Arrival[] {
  return refusals.map(({ node }) => ({ node: `c${node}`, refused: true }));
}

interface Summary {
  readonly count: number;
  /** Simulated seconds from leaving to the last arrival of the slowest trip. */
  readonly slowest: number;
}

/** How long the trips of a kind took until their last arrival; null if there are none. */
export function summary(trips: readonly TripRecord[], what: TripRecord["what"]): Summary | null {
  const times = trips.filter((trip) => trip.what === what && trip.arrivals.length > 0).map(duration);
  if (times.length === 0) return null;
  return { count: times.length, slowest: Math.max(...times) };
}

/** Simulated seconds from leaving to the last arrival; 0 if it arrives nowhere. */
export function duration(trip: TripRecord): number {
  return trip.arrivals.reduce((most, [, at]) => Math.max(most, at - trip.left_s), 0);
}
