/** Where nodes stand in the picture of the network. */

import type { PlaceRecord } from "../../records";

export interface Spot {
  readonly x: number;
  readonly y: number;
}

/** More holders than this become a ring of ticks. */
const MOST_CIRCLES = 60;
const INNER = 0.18;
const OUTER = 0.45;

export interface Layout {
  /** The spot of each node by its name, `c0` or `h5`, in pixels. */
  readonly spots: ReadonlyMap<string, Spot>;
  readonly ticks: boolean;
}

/** Spots as the records have them; without any, two circles in the order of the numbers. */
export function layoutOf(
  places: ReadonlyMap<string, PlaceRecord>,
  compute: number,
  holders: number,
  size: number,
): Layout {
  const known = places.size > 0 ? places : circles(compute, holders);
  const spots = new Map<string, Spot>();
  let [outside, reach] = [0, 0];
  for (const [name, { x, y }] of known) {
    if (name.startsWith("h")) outside += 1;
    reach = Math.max(reach, Math.hypot(x - 0.5, y - 0.5));
  }
  // Compute nodes alone take the room of the holders.
  const wide = reach > 0 ? OUTER / reach : 1;
  for (const [name, { x, y }] of known) {
    spots.set(name, { x: (0.5 + (x - 0.5) * wide) * size, y: (0.5 + (y - 0.5) * wide) * size });
  }
  return { spots, ticks: outside > MOST_CIRCLES };
}

function circles(compute: number, holders: number): Map<string, Spot> {
  const made = new Map<string, Spot>();
  for (let node = 0; node < compute; node += 1) {
    made.set(`c${node}`, onCircle(node, compute, compute > 1 ? INNER : 0));
  }
  for (let node = 0; node < holders; node += 1) made.set(`h${node}`, onCircle(node, holders, OUTER));
  return made;
}

function onCircle(place: number, count: number, radius: number): Spot {
  const angle = (2 * Math.PI * place) / count - Math.PI / 2;
  return { x: 0.5 + radius * Math.cos(angle), y: 0.5 + radius * Math.sin(angle) };
}

/** A tick at a node's spot that points to the centre. */
export function tick(spot: Spot, size: number, long: number): string {
  const [dx, dy] = [spot.x - size / 2, spot.y - size / 2];
  const far = Math.hypot(dx, dy) || 1;
  return `M${spot.x.toFixed(1)} ${spot.y.toFixed(1)}l${((dx / far) * long).toFixed(1)} ${((dy / far) * long).toFixed(1)}`;
}

/** The spot between two others at a share of the way. */
export function between(from: Spot, to: Spot, share: number): Spot {
  return { x: from.x + (to.x - from.x) * share, y: from.y + (to.y - from.y) * share };
}
