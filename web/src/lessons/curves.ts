// Measured curves: the last IoU of each run, by epsilon.

export interface Curve {
  /** A number, or "inf" for no noise. */
  epsilon: number | string;
  seed: number;
  /** After each round. */
  iou: number[];
}

/** All epsilons as texts, ascending; the last is "inf". */
export function epsilonsOf(curves: readonly Curve[]): string[] {
  const found = new Set(curves.map((curve) => nameOf(curve)));
  return [...found].sort((a, b) => sizeOf(a) - sizeOf(b));
}

/** The last IoU of every run at an epsilon. */
export function iousAt(curves: readonly Curve[], epsilon: string): number[] {
  return curves.filter((curve) => nameOf(curve) === epsilon).map((curve) => curve.iou.at(-1)!);
}

export function meanOf(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

/** As the data file names it: Python writes 8.0, JavaScript reads 8. */
function nameOf({ epsilon }: Curve): string {
  return String(epsilon);
}

function sizeOf(name: string): number {
  return name === "inf" ? Infinity : Number(name);
}
