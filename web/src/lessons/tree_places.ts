// Where the blocks of a tree are drawn: the main chain in the top lane, branches below.

export interface Placed {
  height: number;
  /** Place of the parent in the list, or -1. */
  parent: number;
  main: boolean;
  lane: number;
}

/** Give every block a lane: the lowest number that is free at its height and is not above its parent's. */
export function placedTree(blocks: readonly Omit<Placed, "lane">[]): { places: Placed[]; lanes: number } {
  const taken = new Set<string>();
  const places: Placed[] = [];
  let lanes = 1;
  const mainHeights = new Set(blocks.filter((block) => block.main).map((block) => block.height));
  for (const height of mainHeights) taken.add(`${height}:0`);
  for (const block of blocks) {
    let lane = block.main ? 0 : Math.max(1, places[block.parent]?.lane ?? 1);
    while (!block.main && taken.has(`${block.height}:${lane}`)) lane += 1;
    taken.add(`${block.height}:${lane}`);
    lanes = Math.max(lanes, lane + 1);
    places.push({ ...block, lane });
  }
  return { places, lanes };
}
