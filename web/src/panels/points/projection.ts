/** Points in space: how they are turned, projected and selected. Axes: x right, y up, z to the reader. */

export interface Turn {
  /** Radians around the upright axis, then around the horizontal one. */
  readonly yaw: number;
  readonly pitch: number;
}

export const VIEWS = {
  front: { yaw: 0, pitch: 0 },
  top: { yaw: 0, pitch: Math.PI / 2 },
  side: { yaw: -Math.PI / 2, pitch: 0 },
} as const;
export type ViewName = keyof typeof VIEWS;

export interface Cloud {
  readonly count: number;
  /** x, y, z of each point, interleaved, centred and scaled: the farthest point has the length 1. */
  readonly places: Float32Array;
  /** Metres in a length of 1. */
  readonly radius_m: number;
}

/** Read int16 little-endian x, y, z, and move the cloud's middle to 0. Scans have y down and z away
 * from the scanner; here y is up and z to the reader. */
export function readCloud(bytes: Uint8Array, scale_m: number): Cloud {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const count = Math.floor(bytes.length / 6);
  const places = new Float32Array(3 * count);
  const middle = [0, 1, 2].map((axis) => middleOf(view, count, axis));
  let farthest = 0;
  for (let at = 0; at < count; at += 1) {
    for (let axis = 0; axis < 3; axis += 1) {
      const value = view.getInt16(6 * at + 2 * axis, true) - middle[axis]!;
      places[3 * at + axis] = axis === 0 ? value : -value;
    }
    farthest = Math.max(farthest, Math.hypot(...places.subarray(3 * at, 3 * at + 3)));
  }
  if (farthest > 0) for (let at = 0; at < places.length; at += 1) places[at]! /= farthest;
  return { count, places, radius_m: farthest * scale_m };
}

function middleOf(view: DataView, count: number, axis: number): number {
  let [least, most] = [Infinity, -Infinity];
  for (let at = 0; at < count; at += 1) {
    const value = view.getInt16(6 * at + 2 * axis, true);
    least = Math.min(least, value);
    most = Math.max(most, value);
  }
  return count ? (least + most) / 2 : 0;
}

/** The rotation of a turn, as the three rows of its matrix. */
export function rotation({ yaw, pitch }: Turn): number[] {
  const [c, s, d, t] = [Math.cos(yaw), Math.sin(yaw), Math.cos(pitch), Math.sin(pitch)];
  return [c, 0, s, t * s, d, -t * c, -d * s, t, d * c];
}

/** Where all points lie in a square of `size` pixels, x and y interleaved, looked at along z. */
export function projected(places: Float32Array, turn: Turn, size: number): Float32Array {
  const [a, b, c, d, e, f] = rotation(turn) as [number, number, number, number, number, number];
  const made = new Float32Array((places.length / 3) * 2);
  for (let at = 0, to = 0; at < places.length; at += 3, to += 2) {
    const [x, y, z] = [places[at]!, places[at + 1]!, places[at + 2]!];
    made[to] = (size / 2) * (1 + FILL * (a * x + b * y + c * z));
    made[to + 1] = (size / 2) * (1 - FILL * (d * x + e * y + f * z));
  }
  return made;
}

/** How much of the square a cloud fills. */
export const FILL = 0.94;

/** Which points lie inside a polygon, by the even-odd rule. `lasso` is a list of x, y. */
export function inside(lasso: readonly (readonly [number, number])[], flat: Float32Array): Uint8Array {
  const found = new Uint8Array(flat.length / 2);
  for (let at = 0; at < found.length; at += 1) {
    const [x, y] = [flat[2 * at]!, flat[2 * at + 1]!];
    lasso.forEach(([px, py], corner) => {
      const [qx, qy] = lasso[(corner + 1) % lasso.length]!;
      if (py > y !== qy > y && x < ((qx - px) * (y - py)) / (qy - py) + px) found[at]! ^= 1;
    });
  }
  return found;
}

export interface Selection {
  readonly chosen: number;
  /** Chosen points that are outliers. */
  readonly outliers: number;
  /** Of all outliers, the share that is chosen; of all chosen ones, the share that is one. */
  readonly recall: number;
  readonly precision: number;
  /** Outliers that are chosen over points that are chosen or outliers; 1 if there are none. */
  readonly iou: number;
}

/** How well a selection finds the outliers: the points that should not be kept. */
export function scored(chosen: Uint8Array, truth: Uint8Array): Selection {
  let [picked, right, all] = [0, 0, 0];
  for (let at = 0; at < truth.length; at += 1) {
    const outlier = truth[at] ? 0 : 1;
    all += outlier;
    picked += chosen[at]!;
    right += chosen[at]! & outlier;
  }
  const either = all + picked - right;
  return {
    chosen: picked,
    outliers: right,
    recall: all > 0 ? right / all : 1,
    precision: picked > 0 ? right / picked : 1,
    iou: either > 0 ? right / either : 1,
  };
}
