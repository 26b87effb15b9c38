"""A light client: it follows the most work by headers alone, as every data holder does.

Equal work is broken by hash. After a fork all holders therefore meet at one of its tips, so that
a quorum comes together; and since blocks of a fork arrive close together, most holders have
changed over before their gradient is done, and release only once.
"""

from __future__ import annotations

import functools
from typing import NamedTuple

from fedchain.ledger.chain.block import Header, block_hash
from fedchain.ledger.chain.work import WorkKind, is_paid, target_from_compact, work_of

KEPT_HEIGHTS = 64
"""Headers this far below the head are forgotten: while no link breaks, no honest reorganisation is
that deep."""
MOST_OF_A_HEIGHT = 16
"""Headers that are remembered for each height that is, on average; those with the least work make
room: a branch that is cheaper than the chain pushes out nothing but itself and what is old."""


class Above(NamedTuple):
    """Where a block stands."""

    height: int
    """Number of blocks below."""
    work: int
    """Expected number of tries behind it."""
    parent: bytes
    """Hash of the block below."""


class LightClient:
    """The head of the chain with the most work, from the headers that have arrived."""

    def __init__(
        self, genesis: Header, work: WorkKind = "hashcash", keep: int = KEPT_HEIGHTS
    ) -> None:
        """Start at genesis.

        Args:
            genesis: the chain's first header.
            work: of the chain's rules.
            keep: heights below the head that are remembered, and headers that may wait for their
                parent; the oldest makes room.
        """
        self.head = block_hash(genesis)
        """Hash of the head."""
        self.height = 0
        """Height of the head."""
        self._kind = work
        self._keep = keep
        self._easiest = target_from_compact(genesis.bits)
        self._work = {self.head: Above(0, 0, b"")}
        self._refused: dict[bytes, None] = {}
        self._waiting: dict[bytes, Header] = {}

    def add(self, header: Header) -> bool:
        """Take a header in, and the headers that waited for it.

        Args:
            header: any header; one without its work done, or with an easier target than any
                block of the chain can have, is ignored: a head that costs nothing would draw
                releases out of the holder's budget.

        Returns:
            Whether the head changed.
        """
        name = block_hash(header)
        if name in self._work or name in self._refused or not self._worked(header):
            return False
        if header.parent not in self._work:
            self._waiting[name] = header
            if len(self._waiting) > self._keep:
                del self._waiting[next(iter(self._waiting))]
            return False
        before = self.head
        self._connect(header)
        if self.head != before:
            self._forget()
        while len(self._work) > MOST_OF_A_HEIGHT * self._keep:
            del self._work[max(self._work, key=self._rank)]
        return self.head != before

    def refuse(self, name: bytes) -> bool:
        """Forget a header and all above it, and never take it in again.

        Args:
            name: hash of a block that full nodes have refused, 32 bytes.

        Returns:
            Whether the head changed.
        """
        self._refused[name] = None
        if len(self._refused) > self._keep:
            self._refused.pop(next(iter(self._refused)))
        if name not in self._work:
            return False
        dropped: set[bytes] = set()
        for other in list(self._work)[list(self._work).index(name) :]:  # children came later
            if other == name or self._work[other].parent in dropped:
                dropped.add(other)
                del self._work[other]
        before, self.head = self.head, min(self._work, key=self._rank)
        self.height = self._work[self.head].height
        return self.head != before

    def _worked(self, header: Header) -> bool:
        try:
            target = target_from_compact(header.bits)
        except ValueError:
            return False
        return target <= self._easiest and is_paid(self._kind, block_hash(header), target)

    def _connect(self, header: Header) -> None:
        for above in (ready := [header]):  # grows as headers that waited connect
            name, below = block_hash(above), self._work[above.parent]
            if above.height != below.height + 1 or name in self._refused:
                continue
            self._work[name] = _above(below, above.bits, above.parent)
            if self._rank(name) < self._rank(self.head):
                self.head, self.height = name, above.height
            children = [child for child, it in self._waiting.items() if it.parent == name]
            ready += [self._waiting.pop(child) for child in children]

    def _rank(self, name: bytes) -> tuple[int, bytes]:
        return -self._work[name].work, name

    def _forget(self) -> None:
        oldest = self.height - self._keep
        while self._work[first := next(iter(self._work))].height < oldest:
            del self._work[first]


@functools.lru_cache(4 * KEPT_HEIGHTS)
def _above(below: Above, bits: int, parent: bytes) -> Above:
    """Return the place of a block; remembered, so that many clients share one record."""
    return Above(below.height + 1, below.work + work_of(bits), parent)
