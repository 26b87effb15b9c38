// Paths of SVG from points on the picture, with one decimal: a tenth of a pixel is not seen.

export type Place = readonly [x: number, y: number];

/** A line through the points; empty without points. */
export function linePath(points: readonly Place[]): string {
  return points.length ? `M${points.map(([x, y]) => `${x.toFixed(1)} ${y.toFixed(1)}`).join("L")}` : "";
}

/** The area between two lines. */
export function areaPath(upper: readonly Place[], lower: readonly Place[]): string {
  return upper.length ? `${linePath([...upper, ...lower.toReversed()])}Z` : "";
}
