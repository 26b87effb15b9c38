// How much of the chain has been checked.
import { CHECKS, type Marks } from "../../chain/light";
import type { Block } from "./copy";

function isBroken(marks: Marks | undefined): boolean {
  return !!marks && CHECKS.some((name) => marks[name].holds === false);
}

interface Tally {
  /** Blocks without genesis. */
  blocks: number;
  checked: number;
  stale: number;
  models: number;
  /** Blocks whose messages are known by their root alone. */
  rootsOnly: number;
  /** Blocks of which too few blocks below are here to check height, time and target. */
  loose: number;
  broken: Block[];
}

export function tallyOf(blocks: Iterable<Block>, marks: ReadonlyMap<string, Marks>): Tally {
  const tally: Tally = { blocks: 0, checked: 0, stale: 0, models: 0, rootsOnly: 0, loose: 0, broken: [] };
  for (const block of blocks) {
    if (!block.height) continue;
    tally.blocks++;
    if (!block.main) tally.stale++;
    const found = marks.get(block.hash);
    if (!found) continue;
    tally.checked++;
    if (found.model.holds) tally.models++;
    if (block.messages && !found.messages.whole) tally.rootsOnly++;
    if (!found.parent.whole || !found.work.whole) tally.loose++;
    if (isBroken(found)) tally.broken.push(block);
  }
  return tally;
}
