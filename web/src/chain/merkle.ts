// Trees of hashes (RFC 6962): a root stands for all leaves, and a path shows that a leaf is there.
import { type Bytes, need, sha } from "./bytes";

const LEAF = Uint8Array.of(0);
const NODE = Uint8Array.of(1);

export interface Proof {
  index: bigint;
  size: bigint;
  path: Bytes[];
}

/** The root over all leaves; that of none is the SHA-256 of nothing. */
export function treeRoot(leaves: Bytes[]): Bytes {
  let level = leaves.map((leaf) => sha(LEAF, leaf));
  while (level.length > 1) {
    const above: Bytes[] = [];
    for (let at = 0; at < level.length; at += 2) {
      const right = level[at + 1];
      above.push(right ? sha(NODE, level[at]!, right) : level[at]!);
    }
    level = above;
  }
  return level[0] ?? sha(new Uint8Array());
}

/** The root that an inclusion proof leads to (RFC 9162, 2.1.3.2). */
export function rootOfProof(leaf: Bytes, proof: Proof): Bytes {
  let { index } = proof;
  let last = proof.size - 1n;
  need(index <= last, `proof: index: no leaf ${index}; the tree has ${proof.size}`);
  const path = proof.path.values();
  let node = sha(LEAF, leaf);
  for (; last > 0n; index >>= 1n, last >>= 1n) {
    const odd = (index & 1n) === 1n;
    if (!odd && index === last) continue; // the last node of a level has no neighbour and moves up
    const next = path.next();
    need(!next.done, `proof: path: ${proof.path.length} hashes are too few`);
    node = odd ? sha(NODE, next.value!, node) : sha(NODE, node, next.value!);
  }
  need(path.next().done === true, `proof: path: ${proof.path.length} hashes are too many`);
  return node;
}
