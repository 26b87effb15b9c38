/** Which rows of a long ranking are shown beside the picture: the table has all. */

export const MOST_ROWS = 60;
const ENDS = 5;
const AROUND = 12;

/** Ranks from 0, or the number of rows that are left out in between. */
type Entry = { readonly rank: number } | { readonly more: number };

/** The first and the last rows, those around the cut, and those that must be seen. */
export function shownRows(count: number, cut: number | null, mustShow: (rank: number) => boolean): Entry[] {
  const entries: Entry[] = [];
  let more = 0;
  for (let rank = 0; rank < count; rank += 1) {
    const end = rank < ENDS || rank >= count - ENDS;
    const near = cut !== null && rank >= cut - AROUND && rank < cut + AROUND;
    if (count > MOST_ROWS && !end && !near && !mustShow(rank)) {
      more += 1;
      continue;
    }
    if (more > 0) entries.push({ more });
    more = 0;
    entries.push({ rank });
  }
  return entries;
}
