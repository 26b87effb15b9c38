"""Merkle trees of RFC 6962: leaves and inner nodes are hashed with different prefixes.

Bitcoin's tree repeats the last leaf of an odd number, so that (a, b, c) and (a, b, c, c) have the
same root. Here no leaf is repeated: a node without a neighbour moves up a level unchanged.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

HASH = 32
"""Bytes of a hash."""


@dataclass(frozen=True)
class InclusionProof:
    """Proof that a leaf is in a tree whose root is known."""

    index: int
    """Index of the leaf, from 0."""
    size: int
    """Number of leaves of the tree."""
    path: tuple[bytes, ...]
    """Hashes of the neighbours from the leaf up to the root, 32 bytes each."""


class Tree:
    """A tree that keeps its levels, so that many proofs of one long list are cheap.

    It needs about 64 bytes of memory per leaf. The leaves may come from an iterator: their hashes
    are kept, not the leaves.

    >>> tree = Tree([b"a", b"b", b"c"])
    >>> proof = tree.proof(2)
    >>> root_from_path(b"c", proof) == tree.root
    True
    """

    def __init__(self, leaves: Iterable[bytes]) -> None:
        sha256, lowest = hashlib.sha256, bytearray()
        for leaf in leaves:
            lowest += sha256(b"\x00" + leaf).digest()
        levels = [bytes(lowest)]
        while len(levels[-1]) > HASH:
            levels.append(_level_above(levels[-1]))
        self.size = len(lowest) // HASH
        self._levels = levels

    @property
    def root(self) -> bytes:
        """The root, 32 bytes; for no leaves, the SHA-256 of no bytes."""
        return self._levels[-1] or hashlib.sha256().digest()

    def proof(self, index: int) -> InclusionProof:
        """Return the inclusion proof of the leaf at this index.

        Raises:
            ValueError: there is no such leaf.
        """
        if not 0 <= index < self.size:
            raise ValueError(f"index: no leaf {index}; the tree has {self.size}")
        path = []
        for height, level in enumerate(self._levels[:-1]):
            start = ((index >> height) ^ 1) * HASH
            if start < len(level):
                path.append(level[start : start + HASH])
        return InclusionProof(index, self.size, tuple(path))


def root(leaves: Sequence[bytes]) -> bytes:
    """Return the root of the leaves, 32 bytes.

    Reference:
        RFC 6962, section 2.1.

    >>> root([]).hex()[:8]
    'e3b0c442'
    """
    return Tree(leaves).root


def inclusion_path(leaves: Sequence[bytes], index: int) -> tuple[bytes, ...]:
    """Return the hashes of the neighbours from one leaf up to the root.

    For the paths of many leaves use one ``Tree``, which hashes the leaves only once.
    """
    return Tree(leaves).proof(index).path


def root_from_path(leaf: bytes, proof: InclusionProof) -> bytes:
    """Return the root that a proof leads to; the leaf is in the tree if the tree has that root.

    Args:
        leaf: the bytes of the leaf, not their hash.
        proof: index, size and neighbours.

    Returns:
        The root, 32 bytes.

    Raises:
        ValueError: the index is outside the tree, or the path is too short or too long for it.

    Reference:
        RFC 9162, section 2.1.3.2.
    """
    place, last = proof.index, proof.size - 1
    if not 0 <= place <= last:
        raise ValueError(f"index: no leaf {place}; the tree has {proof.size}")
    node = hashlib.sha256(b"\x00" + leaf).digest()
    neighbours = iter(proof.path)
    while last:
        # The last node of a level with an odd number of nodes has no neighbour, so it moves up.
        if place % 2 or place != last:
            neighbour = next(neighbours, None)
            if neighbour is None:
                raise ValueError(f"path: {len(proof.path)} hashes are too few")
            pair = neighbour + node if place % 2 else node + neighbour
            node = hashlib.sha256(b"\x01" + pair).digest()
        place, last = place >> 1, last >> 1
    if next(neighbours, None) is not None:
        raise ValueError(f"path: {len(proof.path)} hashes are too many")
    return node


def _level_above(level: bytes) -> bytes:
    sha256, above = hashlib.sha256, bytearray()
    whole = len(level) - len(level) % (2 * HASH)
    for i in range(0, whole, 2 * HASH):
        above += sha256(b"\x01" + level[i : i + 2 * HASH]).digest()
    return bytes(above + level[whole:])
