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
  column: number;
  lane: number;
}

interface Grown<B extends Leaf> {
  /** By hash, in ascending order of heights. */
  places: ReadonlyMap<string, Placed<B>>;
  /** Hashes of the blocks of each height, main chain first. An empty one stands for heights that are not here. */
  columns: readonly (readonly string[])[];
  lanes: number;
}

/** Give every block its column and lane: a stale branch takes the first lane that is free there. */
export function grow<B extends Leaf>(blocks: Iterable<B>): Grown<B> {
  const sorted = [...blocks].sort((a, b) => a.height - b.height || Number(b.main) - Number(a.main));
  const places = new Map<string, Placed<B>>(), columns: string[][] = [], taken: number[] = [];
  let height = -1;
  for (const block of sorted) {
    if (block.height > height + 1 && columns.length) columns.push([]);
    if (block.height > height) columns.push([]);
    height = block.height;
    const column = columns.length - 1, lane = block.main ? 0 : laneOf(places.get(block.parent), column, taken);
    if (lane) taken[lane] = column;
    places.set(block.hash, { block, column, lane });
    columns[column]!.push(block.hash);
  }
  return { places, columns, lanes: Math.max(taken.length, 1) };
}

/** The lane of a stale block: that of its branch, or the first one that is free. */
function laneOf(below: { lane: number; column: number } | undefined, column: number, taken: number[]): number {
  if (below && below.lane > 0 && taken[below.lane] === below.column) return below.lane;
  let lane = 1;
  while (taken[lane] !== undefined && taken[lane]! >= column) lane++;
  return lane;
}

export function leftOf(column: number): number {
  return column * COLUMN;
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

/** The first and the last column of which something is seen. */
export function seen(scrolled: number, width: number, columns: number): [number, number] {
  const first = Math.max(0, Math.floor((scrolled - BLOCK.gap) / COLUMN));
  return [first, Math.min(columns - 1, Math.ceil((scrolled + width) / COLUMN))];
}

type Spot = { column: number; lane: number };

/** The line from a block back to the one below it. */
export function linkPath(from: Spot, to: Spot): string {
  const x = leftOf(from.column), y = topOf(from.lane) + BLOCK.height / 2;
  const end = leftOf(to.column) + BLOCK.width, floor = topOf(to.lane) + BLOCK.height / 2;
  if (from.lane === to.lane) return `M${x} ${y}H${end}`;
  const middle = end + BLOCK.gap / 2;
  return `M${x} ${y}C${middle} ${y} ${middle} ${y} ${middle} ${(y + floor) / 2}S${middle} ${floor} ${end} ${floor}`;
}

/** The block to which an arrow key goes from one; the block itself where there is none. */
export function neighbour<B extends Leaf>(grown: Grown<B>, hash: string, key: string): string {
  const { places, columns } = grown, place = places.get(hash);
  if (!place) return hash;
  const { block, column } = place, beside = columns[column]!;
  if (key === "ArrowLeft") return places.has(block.parent) ? block.parent : hash;
  if (key === "ArrowRight") return columns[column + 1]?.find((above) => places.get(above)!.block.parent === hash) ?? hash;
  if (key === "Home") return columns[0]![0]!;
  if (key === "End") return columns.at(-1)![0]!;
  const step = key === "ArrowDown" ? 1 : key === "ArrowUp" ? -1 : 0;
  return beside[beside.indexOf(hash) + step] ?? hash;
}
