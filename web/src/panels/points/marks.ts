/** Which mark each point of a cloud has before and after the model has cleaned it. */

import { bitsOf, type CloudRecord, type MaskRecord, type PictureRecord } from "../../records";
import { type Judged, judgedBits } from "../masks/pixels";
import type { Cloud } from "./projection";

export const MARK = { none: 0, dot: 1, cross: 2, ring: 3, chosen: 4 } as const;

export interface Cleaned extends Judged {
  readonly cloud: Cloud;
  /** 1 for each point that should stay. */
  readonly truth: Uint8Array;
  readonly kept: Uint8Array;
  /** The round whose model kept these points. */
  readonly round: number;
}

/** A cloud as the model of a mask's round cleans it; as its own record says without a mask. The
 * points are those pixels of the scan that hold one, one in `every`. */
export function cleaned(
  record: CloudRecord,
  cloud: Cloud,
  picture?: PictureRecord,
  mask?: MaskRecord,
): Cleaned {
  const truth = bitsOf(record.truth, cloud.count);
  const later = picture && mask && keptOf(record, picture, mask, cloud.count);
  const kept = later ?? bitsOf(record.kept, cloud.count);
  const round = later ? mask.round : record.round;
  return { cloud, truth, kept, round, ...judgedBits(truth, kept) };
}

function keptOf(
  { every }: CloudRecord,
  picture: PictureRecord,
  mask: MaskRecord,
  count: number,
): Uint8Array | null {
  const size = mask.height * mask.width;
  const [valid, kept] = [bitsOf(picture.valid, size), bitsOf(mask.kept, size)];
  const points = [...kept.keys()].filter((at) => valid[at]);
  const taken = points.filter((_, place) => place % every === 0);
  return taken.length === count ? Uint8Array.from(taken, (at) => kept[at]!) : null;
}

/** Before: all points; those that should go are crosses. */
export function before(truth: Uint8Array, chosen: Uint8Array | null): Uint8Array {
  return Uint8Array.from(truth, (stays, at) => (stays ? MARK.dot : MARK.cross) + (chosen?.[at] ? MARK.chosen : 0));
}

/** After: what the model keeps; crosses are left that should go, rings were removed and should stay. */
export function after({ states }: Judged, chosen: Uint8Array | null): Uint8Array {
  return Uint8Array.from(states, (state, at) => {
    const mark = AFTER[state]!;
    return mark && chosen?.[at] ? mark + MARK.chosen : mark;
  });
}

/** The mark of each state, in the order of STATE: nothing, kept, removed, wrongly kept, wrongly removed. */
const AFTER = [MARK.none, MARK.dot, MARK.none, MARK.cross, MARK.ring] as const;
