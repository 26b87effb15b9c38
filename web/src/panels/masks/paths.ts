/** Pixels as paths: runs of equal pixels in a row become one rectangle. */

/** One path for each value that occurs, in units of a pixel. Pixels of `nothing` are not drawn. */
export function pathsOf(
  values: ArrayLike<number>,
  width: number,
  nothing: number,
): Map<number, string> {
  const paths = new Map<number, string[]>();
  for (let start = 0; start < values.length; ) {
    const value = values[start]!;
    const rowEnd = start - (start % width) + width;
    let end = start + 1;
    while (end < rowEnd && values[end] === value) end += 1;
    if (value !== nothing) {
      const rectangle = `M${start % width} ${Math.floor(start / width)}h${end - start}v1h-${end - start}z`;
      const path = paths.get(value);
      if (path) path.push(rectangle);
      else paths.set(value, [rectangle]);
    }
    start = end;
  }
  return new Map([...paths].map(([value, path]) => [value, path.join("")]));
}

/** Number of greys of an intensity picture. */
export const GREYS = 24;
/** Value of a pixel without a point. */
export const NOTHING = -1;

/** Grey levels from 0 to GREYS - 1, stretched from the darkest to the brightest pixel with a point. */
export function greys(values: Uint8Array, valid: Uint8Array): Int8Array {
  let [low, high] = [255, 0];
  values.forEach((value, at) => {
    if (!valid[at]) return;
    low = Math.min(low, value);
    high = Math.max(high, value);
  });
  const span = Math.max(1, high - low);
  return Int8Array.from(values, (value, at) =>
    valid[at] ? Math.round(((value - low) / span) * (GREYS - 1)) : NOTHING,
  );
}

/** The brightness of a grey level, 0 to 255. */
export function brightness(level: number): number {
  return Math.round(24 + (level / (GREYS - 1)) * 224);
}
