// Arrows in a plane: how a round of l-nearest goes, step by step. Angles are in degrees, from the x
// axis against the clock.

export type Arrow = readonly [number, number];

export interface Round {
  /** The sum of all directions. */
  sum: Arrow;
  /** Cosine of each arrow with the sum. */
  cosines: number[];
  used: boolean[];
  /** Median of all lengths, to which longer arrows are cut. */
  median: number;
  /** Mean of the arrows that are used, each at most as long as the median. */
  step: Arrow;
}

export const long = ([x, y]: Arrow): number => Math.hypot(x, y);

export function angleOf([x, y]: Arrow): number {
  return (Math.atan2(y, x) * 180) / Math.PI;
}

/** The angle between two directions, 0 to 180. */
export function between(one: number, other: number): number {
  const apart = Math.abs(one - other) % 360;
  return Math.min(apart, 360 - apart);
}

export function playRound(arrows: readonly Arrow[], keep: number): Round {
  const directions = arrows.map((arrow) => [arrow[0] / long(arrow), arrow[1] / long(arrow)] as const);
  const sum = directions.reduce<Arrow>(([x, y], [a, b]) => [x + a, y + b], [0, 0]);
  const cosines = directions.map(([x, y]) => (x * sum[0] + y * sum[1]) / long(sum));
  const order = arrows.map((_, place) => place).sort((a, b) => cosines[b]! - cosines[a]!);
  const used = arrows.map((_, place) => order.indexOf(place) < keep);
  const median = medianOf(arrows.map(long));
  const cut = arrows.map((arrow) => scaled(arrow, Math.min(1, median / long(arrow))));
  const kept = cut.filter((_, place) => used[place]);
  const step = scaled(kept.reduce<Arrow>(([x, y], [a, b]) => [x + a, y + b], [0, 0]), 1 / kept.length);
  return { sum, cosines, used, median, step };
}

export function scaled([x, y]: Arrow, factor: number): Arrow {
  return [x * factor, y * factor];
}

function medianOf(values: number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}
