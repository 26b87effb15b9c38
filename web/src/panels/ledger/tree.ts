// The tree of blocks: height goes to the right, the main chain is the first lane, stale branches
// stand below it.
export const BLOCK = { width: 92, height: 58, gap: 26, between: 18 } as const;
const COLUMN = BLOCK.width + BLOCK.gap;
const ROW = BLOCK.height + BLOCK.between;

/** What the tree needs of a block. */
export interface Leaf {
  hash: string;
  parent: string;
  height: number;
  main: boolean;
}

export interface Placed<B extends Leaf> {
  block: B;
  lane: number;
}

export interface Grown<B extends Leaf> {
  /** By hash, in ascending order of heights. */
  places: ReadonlyMap<string, Placed<B>>;
  /** Hashes of the blocks of each height, main chain first; heights without blocks are empty. */
  columns: readonly (readonly string[])[];
  lanes: number;
}

/** Give every block a lane: a stale branch takes the first lane that is free at its heights. */
export function grow<B extends Leaf>(blocks: Iterable<B>): Grown<B> {
  const sorted = [...blocks].sort((a, b) => a.height - b.height || Number(b.main) - Number(a.main));
  const places = new Map<string, Placed<B>>(), columns: string[][] = [], taken: number[] = [];
  for (const block of sorted) {
    const below = places.get(block.parent);
    let lane = 0;
    if (!block.main) {
      const goesOn = below && below.lane > 0 && taken[below.lane] === below.block.height;
      lane = goesOn ? below.lane : 1;
      while (!goesOn && taken[lane] !== undefined && taken[lane]! >= block.height) lane++;
      taken[lane] = block.height;
    }
    places.set(block.hash, { block, lane });
    (columns[block.height] ??= []).push(block.hash);
  }
  for (let height = 0; height < columns.length; height++) columns[height] ??= [];
  return { places, columns, lanes: Math.max(taken.length, 1) };
}

export function leftOf(height: number): number {
  return height * COLUMN;
}

export function topOf(lane: number): number {
  return lane * ROW;
}

export function widthOf(columns: number): number {
  return columns * COLUMN - BLOCK.gap;
}

export function heightOf(lanes: number): number {
  return lanes * ROW - BLOCK.between;
}

/** The first and the last height of which something is seen. */
export function seen(scrolled: number, width: number, columns: number): [number, number] {
  const first = Math.max(0, Math.floor((scrolled - BLOCK.gap) / COLUMN));
  return [first, Math.min(columns - 1, Math.ceil((scrolled + width) / COLUMN))];
}

/** The line from a block back to the one below it. */
export function linkPath(from: { height: number; lane: number }, to: { height: number; lane: number }): string {
  const x = leftOf(from.height), y = topOf(from.lane) + BLOCK.height / 2;
  const end = leftOf(to.height) + BLOCK.width, floor = topOf(to.lane) + BLOCK.height / 2;
  if (from.lane === to.lane) return `M${x} ${y}H${end}`;
  const middle = end + BLOCK.gap / 2;
  return `M${x} ${y}C${middle} ${y} ${middle} ${y} ${middle} ${(y + floor) / 2}S${middle} ${floor} ${end} ${floor}`;
}

/** The block to which an arrow key goes from one; the block itself where there is none. */
export function neighbour<B extends Leaf>(grown: Grown<B>, hash: string, key: string): string {
  const place = grown.places.get(hash);
  if (!place) return hash;
  const { block } = place, column = grown.columns[block.height]!;
  if (key === "ArrowLeft") return grown.places.has(block.parent) ? block.parent : hash;
  if (key === "ArrowRight") return (grown.columns[block.height + 1] ?? []).find((above) => grown.places.get(above)!.block.parent === hash) ?? hash;
  if (key === "Home") return grown.columns.find((each) => each.length)?.[0] ?? hash;
  if (key === "End") return grown.columns.at(-1)?.[0] ?? hash;
  const step = key === "ArrowDown" ? 1 : key === "ArrowUp" ? -1 : 0;
  return column[column.indexOf(hash) + step] ?? hash;
}
