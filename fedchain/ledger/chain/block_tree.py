"""Tree of blocks: the facts about accepted blocks that are the same for every node.

Work, median time and the next target follow from a block and those below it. They are computed
once, and the chains of all nodes of one simulation read them from the same tree.
"""

from __future__ import annotations

from dataclasses import dataclass

from fedchain.ledger.chain.block import Block, Header, without_messages
from fedchain.ledger.chain.rules import Rules
from fedchain.ledger.chain.work import retarget, work_of

MEDIAN_OF = 11
"""A block's time must be later than the median time of at most this number of blocks below it."""


@dataclass(frozen=True, slots=True)
class ChainLink:
    """An accepted block: its header, and values that follow from it and the blocks below it."""

    signed: Block
    """The block without its messages: header, key and signature."""
    work: int
    """Cumulative work: the expected number of tries for this block and all below it."""
    median_ms: int
    """Median time of this block and the 10 blocks below it, milliseconds. The time of the next
    block must be later."""
    bits: int
    """Target that the next block must have, in compact form."""

    @property
    def header(self) -> Header:
        """The block's header."""
        return self.signed.header


class BlockTree:
    """The blocks that any chain of the simulation has accepted and some chain still needs."""

    def __init__(self, genesis: Block, rules: Rules) -> None:
        """Start with the genesis block.

        Args:
            genesis: the genesis block, made by ``rules.genesis``.
            rules: rules of the chain.
        """
        self._rules = rules
        self.links = {genesis.header.hash: ChainLink(genesis, 0, 0, rules.bits)}
        """The accepted blocks, by hash."""
        self.lowest = 0
        """Height below which the tree has forgotten all blocks but genesis."""
        self._needed: dict[int, int] = {}

    def put(self, name: bytes, block: Block) -> None:
        """Add a valid block (hash ``name``, 32 bytes) whose parent is in the tree."""
        if name not in self.links:
            header, signed = block.header, without_messages(block)
            work = self.links[header.parent].work + work_of(header.bits)
            self.links[name] = ChainLink(signed, work, self._median(header), self._bits(header))

    def need(self, chain: int, lowest: int) -> None:
        """Note which blocks one chain still needs, and forget those that no chain needs.

        Args:
            chain: a number that identifies the chain.
            lowest: height below which the chain needs no block any more.
        """
        self._needed[chain] = lowest
        after = min(self._needed.values())
        if after > self.lowest:  # blocks of forks may come late, so links are in no order of height
            links = self.links.items()
            self.links = {name: link for name, link in links if link.header.height >= after}
            self.lowest = after

    def _median(self, header: Header) -> int:
        times = [header.time_ms]
        while len(times) < MEDIAN_OF and (below := self.links.get(header.parent)) is not None:
            header = below.header
            times.append(header.time_ms)
        return sorted(times)[len(times) // 2]

    def _bits(self, last: Header) -> int:
        """Return the compact target of the next block on this one.

        Every ``retarget_window`` blocks the target is adapted to the time that the window took.

        Reference:
            Bitcoin, ``GetNextWorkRequired``, with its off-by-one error (see ``work.retarget``).
        """
        window = self._rules.retarget_window
        if not window or (last.height + 1) % window:
            return last.bits
        first = last
        for _ in range(window - 1):
            first = self.links[first.parent].header
        expected = window * self._rules.interval_ms
        return retarget(first.time_ms, last.time_ms, last.bits, expected, self._rules.bits)


MOST_ORPHANS = 64
"""Most blocks that may wait in ``Orphans``; the oldest is dropped first."""


class Orphans:
    """A bounded number of blocks that wait for their parent, or until their time has come."""

    def __init__(self) -> None:
        self.blocks: dict[bytes, Block] = {}
        """The waiting blocks by hash, oldest first."""

    def add(self, name: bytes, block: Block) -> None:
        """Keep a block; if too many blocks wait, drop the oldest."""
        self.blocks[name] = block
        if len(self.blocks) > MOST_ORPHANS:
            del self.blocks[next(iter(self.blocks))]

    def take_lowest(self, name: bytes) -> Block:
        """Remove and return a waiting block, or the lowest of its ancestors if they wait too."""
        while (parent := self.blocks[name].header.parent) in self.blocks:
            name = parent
        return self.blocks.pop(name)

    def take_children(self, parent: bytes) -> list[tuple[bytes, Block]]:
        """Remove and return the blocks that wait for a parent, with their hashes, oldest first."""
        found = [(n, b) for n, b in self.blocks.items() if b.header.parent == parent]
        for name, _ in found:
            del self.blocks[name]
        return found
