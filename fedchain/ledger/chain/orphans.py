"""Orphans: blocks whose parent is unknown, or whose time has not come."""

from __future__ import annotations

from fedchain.ledger.chain.block import Block

MOST_ORPHANS = 64
"""Most blocks that may wait; the oldest is dropped first."""


class Orphans:
    """Waiting blocks by hash, oldest first; a bounded number of them."""

    def __init__(self) -> None:
        self._blocks: dict[bytes, Block] = {}

    def __contains__(self, name: bytes) -> bool:
        return name in self._blocks

    def __len__(self) -> int:
        return len(self._blocks)

    def add(self, name: bytes, block: Block) -> None:
        """Keep a block; if there are too many, drop the oldest."""
        self._blocks[name] = block
        if len(self._blocks) > MOST_ORPHANS:
            del self._blocks[next(iter(self._blocks))]

    def take_lowest(self, name: bytes) -> Block:
        """Remove and return the lowest waiting block at or below this one."""
        while (parent := self._blocks[name].header.parent) in self._blocks:
            name = parent
        return self._blocks.pop(name)

    def take_children(self, parent: bytes) -> list[tuple[bytes, Block]]:
        """Remove and return the blocks that wait for this one, oldest first, with their hashes."""
        found = [(n, b) for n, b in self._blocks.items() if b.header.parent == parent]
        for name, _ in found:
            del self._blocks[name]
        return found
