"""Trees of hashes (RFC 6962): a root stands for all leaves, and a path shows that one is there."""

from .encoding import need, sha


def tree_root(leaves):
    """Return the root over all leaves; that of none is the SHA-256 of nothing."""
    level = [sha(b"\0", leaf) for leaf in leaves]
    while len(level) > 1:
        pairs = [
            sha(b"\1", left, right) for left, right in zip(level[::2], level[1::2], strict=False)
        ]
        level = pairs + level[len(pairs) * 2 :]
    return level[0] if level else sha()


def root_of_proof(leaf, index, size, path):
    """Return the root that an inclusion proof leads to (RFC 9162, 2.1.3.2)."""
    last, node, path = size - 1, sha(b"\0", leaf), list(path)
    need(0 <= index <= last, f"proof: leaf {index} of a tree with {size}")
    while last:
        if index % 2 or index != last:
            need(path, "proof: has too few hashes")
            sides = (path.pop(0), node) if index % 2 else (node, path.pop(0))
            node = sha(b"\1", *sides)
        index, last = index // 2, last // 2
    need(not path, f"proof: has {len(path)} hashes too many")
    return node
