"""Tree of blocks: accepted blocks, each with its cumulative work, median time and next target.

The chains of all nodes of a simulation share one tree.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from fedchain.ledger.chain.block import Block, Header, without_messages
from fedchain.ledger.chain.rules import Rules
from fedchain.ledger.chain.work import retarget, work_of

MEDIAN_OF = 11
"""Number of blocks over which the median time is taken."""


@dataclass(frozen=True, slots=True)
class ChainLink:
    """An accepted block without its messages, with values for the check of the next block."""

    signed: Block
    """The block without its messages: header, public key and signature."""
    work: int
    """Cumulative work: the expected number of tries for this block and all blocks below."""
    median_ms: int
    """Median time of this block and the 10 blocks below, simulated milliseconds. The next block
    must have a later time."""
    bits: int
    """Target that the next block must have, in Bitcoin's compact form."""
    header: Header = field(init=False)
    """The block's header."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "header", self.signed.header)


class BlockTree:
    """The blocks that at least one chain of the simulation still needs."""

    def __init__(self, genesis: Block, rules: Rules) -> None:
        """Start with the genesis block, which was made from these rules."""
        self._rules = rules
        self.links = {genesis.header.hash: ChainLink(genesis, 0, 0, rules.bits)}
        """The accepted blocks, by hash."""
        self.lowest = 0
        """Height below which the tree has forgotten all blocks."""
        self._needed: dict[int, int] = {}

    def put(self, name: bytes, block: Block) -> None:
        """Add a valid block with the hash ``name``; its parent must be in the tree."""
        if name not in self.links:
            header, signed = block.header, without_messages(block)
            work = self.links[header.parent].work + work_of(header.bits)
            self.links[name] = ChainLink(signed, work, self._median(header), self._bits(header))

    def need(self, chain: int, lowest: int) -> None:
        """Store the lowest height that a chain needs; forget blocks that no chain needs.

        Args:
            chain: a number that identifies the chain.
            lowest: lowest height of the blocks that the chain still needs.
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
        """Return the target of the block after ``last``, in compact form.

        Reference:
            Bitcoin, ``GetNextWorkRequired``.
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
"""Most blocks that ``Orphans`` keeps; the oldest block is dropped first."""


class Orphans:
    """Blocks that wait for their parent, or whose time is too far ahead of the node's clock."""

    def __init__(self) -> None:
        self.blocks: dict[bytes, Block] = {}
        """The waiting blocks by hash, in order of arrival."""

    def add(self, name: bytes, block: Block) -> None:
        """Keep a block; if too many blocks wait, drop the oldest block."""
        self.blocks[name] = block
        if len(self.blocks) > MOST_ORPHANS:
            del self.blocks[next(iter(self.blocks))]

    def take_lowest(self, name: bytes) -> Block:
        """Remove and return the lowest waiting ancestor of a waiting block, or the block itself."""
        while (parent := self.blocks[name].header.parent) in self.blocks:
            name = parent
        return self.blocks.pop(name)

    def take_children(self, parent: bytes) -> list[tuple[bytes, Block]]:
        """Remove and return the waiting children of a parent: pairs (hash, block), oldest first."""
        found = [(n, b) for n, b in self.blocks.items() if b.header.parent == parent]
        for name, _ in found:
            del self.blocks[name]
        return found
