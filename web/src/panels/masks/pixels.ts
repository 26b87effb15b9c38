/** Masks of scans: what the model keeps beside what it should keep. */

import { bitsOf, type MaskRecord, type PictureRecord } from "../../records";

/** What became of a pixel. */
export const STATE = { nothing: 0, kept: 1, removed: 2, wronglyKept: 3, wronglyRemoved: 4 } as const;

interface Counts {
  readonly points: number;
  readonly kept: number;
  readonly wronglyKept: number;
  readonly wronglyRemoved: number;
  /** Points kept by both masks over points kept by either; 1 if neither keeps one. */
  readonly iou: number;
}

export interface Judged {
  /** A state for each pixel, row by row. */
  readonly states: Uint8Array;
  readonly counts: Counts;
}

const known = new WeakMap<MaskRecord, Judged>();

/** Compare the model's mask with the truth, where the scan has points; once for each mask. */
export function judged(mask: MaskRecord, picture: PictureRecord): Judged {
  const before = known.get(mask);
  if (before) return before;
  const made = compared(mask, picture);
  known.set(mask, made);
  return made;
}

function compared(mask: MaskRecord, picture: PictureRecord): Judged {
  const size = mask.height * mask.width;
  const [truth, kept, valid] = [mask.truth, mask.kept, picture.valid].map((bits) => bitsOf(bits, size));
  return judgedBits(truth!, kept!, valid!);
}

/** The same for plain lists of flags: of pixels, or of the points of a cloud. */
export function judgedBits(truth: Uint8Array, kept: Uint8Array, valid?: Uint8Array): Judged {
  const states = new Uint8Array(truth.length);
  const found = [0, 0, 0, 0, 0];
  for (let at = 0; at < states.length; at += 1) {
    if (valid && !valid[at]) continue;
    const state = kept[at]
      ? truth[at] ? STATE.kept : STATE.wronglyKept
      : truth[at] ? STATE.wronglyRemoved : STATE.removed;
    states[at] = state;
    found[state]! += 1;
  }
  const [, both, neither, wronglyKept, wronglyRemoved] = found as [number, number, number, number, number];
  const either = both + wronglyKept + wronglyRemoved;
  return {
    states,
    counts: {
      points: either + neither,
      kept: both + wronglyKept,
      wronglyKept,
      wronglyRemoved,
      iou: either > 0 ? both / either : 1,
    },
  };
}

/** The last round up to `round` for which a scan has a record; null without one. Keys are
 * `scan:round`. */
export function roundOf(keys: Iterable<string>, scan: number, round: number): number | null {
  let found: number | null = null;
  for (const key of keys) {
    const [of, at] = key.split(":").map(Number) as [number, number];
    if (of === scan && at <= round && (found === null || at > found)) found = at;
  }
  return found;
}

/** The scans that have records, ascending. */
export function scansOf(keys: Iterable<string>): number[] {
  const scans = new Set<number>();
  for (const key of keys) scans.add(Number(key.split(":")[0]));
  return [...scans].sort((a, b) => a - b);
}

/** Screen pixels for each pixel of a scan: a whole number, so that all have the same size. A scan
 * that is wider than its room is drawn one to one. */
export function zoom(width: number, room: number): number {
  return Math.max(1, Math.floor(room / width));
}
