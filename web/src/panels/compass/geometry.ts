/** Where the parts of the wheel and the strip lie, in pixels. */

export const DOT = 6;
const GAP = 14;
const MOST_LEVELS = 5;

export interface Placed {
  /** Index of the message. */
  readonly index: number;
  readonly x: number;
  readonly y: number;
}

export interface More {
  /** How many messages have no dot of their own here. */
  readonly count: number;
  readonly x: number;
  readonly y: number;
}

export interface Stacks {
  readonly dots: Placed[];
  readonly more: More[];
}

export interface Mark {
  readonly index: number;
  /** Signed angle from the sum in degrees: to the right above 0; or the x of a dot on the strip. */
  readonly at: number;
}

/** A point of the wheel, from its centre: `angle` in degrees from straight up, to the right. */
export function polar(angle: number, radius: number): { x: number; y: number } {
  const radians = (angle * Math.PI) / 180;
  return { x: radius * Math.sin(radians), y: -radius * Math.cos(radians) };
}

/** Put dots side by side, at most five levels deep; those that find no place are counted. Marks that
 * come first are placed first. `where` gives the point of a mark on a level. */
function stacked(
  marks: readonly Mark[],
  where: (at: number, level: number) => { x: number; y: number },
  levels = MOST_LEVELS,
): Stacks {
  const dots: Placed[] = [];
  const hidden: { x: number; y: number; count: number }[] = [];
  for (const { index, at } of marks) {
    const free = [...Array(levels).keys()]
      .map((level) => where(at, level))
      .find((point) => dots.every((dot) => Math.hypot(dot.x - point.x, dot.y - point.y) >= 2 * DOT + 1));
    if (free) {
      dots.push({ index, ...free });
      continue;
    }
    const top = where(at, levels);
    const near = hidden.find((one) => Math.hypot(one.x - top.x, one.y - top.y) < 3 * GAP);
    if (near) near.count += 1;
    else hidden.push({ ...top, count: 1 });
  }
  return { dots, more: hidden };
}

/** Dots outside the rim of a wheel: each at its exact angle. */
export function onRim(marks: readonly Mark[], radius: number): Stacks {
  return stacked(marks, (angle, level) => polar(angle, radius + DOT + 4 + level * GAP));
}

/** Dots above the axis of a strip: each at its exact x. */
export function onStrip(marks: readonly Mark[], baseline: number, levels = MOST_LEVELS): Stacks {
  return stacked(marks, (x, level) => ({ x, y: baseline - DOT - 4 - level * GAP }), levels);
}

export interface Label {
  readonly index: number;
  readonly text: string;
  /** The dot that the label names. */
  readonly from: { readonly x: number; readonly y: number };
  /** Middle of the text at its inner end. */
  readonly x: number;
  readonly y: number;
  readonly side: -1 | 1;
}

const LINE = 16;

/** Labels in two columns beside the wheel, none over another. Dots that come first keep their label
 * where not all find room. `edge` is the distance of the columns from the centre. */
export function labelled(
  dots: readonly (Placed & { readonly text: string })[],
  edge: number,
  top: number,
  bottom: number,
): Label[] {
  const made: Label[] = [];
  const room = Math.max(0, Math.floor((bottom - top) / LINE) + 1);
  for (const side of [-1, 1] as const) {
    const here = dots.filter((dot) => (dot.x < 0 ? -1 : 1) === side).slice(0, room);
    const heights = spread(
      here.map((dot) => dot.y),
      top,
      bottom,
    );
    here.forEach((dot, place) => {
      const { index, text } = dot;
      made.push({ index, text, from: { x: dot.x, y: dot.y }, x: side * edge, y: heights[place]!, side });
    });
  }
  return made;
}

/** Move heights apart to at least a line, within bounds, and keep their order. */
export function spread(heights: readonly number[], top: number, bottom: number): number[] {
  const order = heights.map((_, place) => place).sort((a, b) => heights[a]! - heights[b]! || a - b);
  const made = heights.map((height) => Math.min(bottom, Math.max(top, height)));
  let least = top;
  for (const place of order) {
    made[place] = Math.max(made[place]!, least);
    least = made[place]! + LINE;
  }
  let most = bottom;
  for (const place of [...order].reverse()) {
    made[place] = Math.min(made[place]!, most);
    most = made[place]! - LINE;
  }
  return made;
}

/** The wheel is drawn down to this angle where no message points further away from the sum. */
export const UPPER = 104.5;

/** Whether all messages lie in the upper part of the wheel: no cosine is below -.25. */
export function isUpper(cosines: readonly number[]): boolean {
  return cosines.every((cosine) => cosine >= -0.25);
}

/** The outline of a cone from the centre: a sector of `angle` degrees to both sides. */
export function sector(angle: number, radius: number): string {
  if (angle >= 180) {
    return `M0 ${-radius}A${radius} ${radius} 0 1 1 0 ${radius}A${radius} ${radius} 0 1 1 0 ${-radius}Z`;
  }
  const [left, right] = [polar(-angle, radius), polar(angle, radius)];
  const large = angle > 90 ? 1 : 0;
  return `M0 0L${short(left)}A${radius} ${radius} 0 ${large} 1 ${short(right)}Z`;
}

/** The part of the rim that is drawn: all of it, or the upper part. */
export function rim(upper: boolean, radius: number): string {
  if (!upper) return sector(180, radius);
  const [left, right] = [polar(-UPPER, radius), polar(UPPER, radius)];
  return `M${short(left)}A${radius} ${radius} 0 1 1 ${short(right)}`;
}

function short(point: { x: number; y: number }): string {
  return `${point.x.toFixed(2)} ${point.y.toFixed(2)}`;
}

interface Shaft {
  /** How far the solid part reaches, and the dotted one beyond the median circle. */
  readonly solid: number;
  readonly dotted: number;
}

/** Lengths of a shaft in pixels. The median norm lies at seven tenths of the radius; what reaches
 * beyond the rim ends there. */
export function shaft(norm: number, median: number, radius: number): Shaft {
  const circle = 0.7 * radius;
  if (!(median > 0)) return { solid: 0, dotted: 0 };
  const whole = Math.min(radius, (norm / median) * circle);
  return { solid: Math.min(whole, circle), dotted: Math.max(0, whole - circle) };
}

/** Round numbers for an axis from `low` to `high`: at most `most` of them. */
export function ticksOf(low: number, high: number, most = 6): number[] {
  const span = high - low;
  if (!(span > 0)) return [low];
  const rough = span / most;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((times) => times * power).find((one) => span / one <= most)!;
  const first = Math.ceil(low / step - 1e-9);
  const last = Math.floor(high / step + 1e-9);
  return Array.from({ length: last - first + 1 }, (_, place) => (first + place) * step);
}
