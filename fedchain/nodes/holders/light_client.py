"""Light client: it follows the chain with the most work from headers alone.

Every data holder has one. Between heads of equal work the smaller hash wins. Therefore after a
fork all holders choose the same head, and their messages reach the quorum there. The blocks of a
fork arrive shortly after each other, so most holders have changed to the common head before their
gradient is computed, and they release only once.
"""

from __future__ import annotations

import functools
from typing import NamedTuple

from fedchain.ledger.chain.block import Header
from fedchain.ledger.chain.work import WorkKind, is_paid, target_from_compact, work_of

KEPT_HEADERS = 64
"""Headers more than this many blocks below the head are forgotten. While no link breaks, honest
nodes do not reorganise their chains that deep."""
MOST_OF_A_HEIGHT = 16
"""Largest number of remembered headers for each remembered height, on average. If there are more,
the headers with the least work are forgotten. So a branch with less work than the chain displaces
only its own and old headers."""


class Above(NamedTuple):
    """The place of a block in the chain."""

    height: int
    """Number of blocks below it."""
    work: int
    """Expected number of tries for all blocks up to this one; genesis counts as 0."""
    parent: bytes
    """Hash of its parent."""


class LightClient:
    """Finds the head of the chain with the most work, from the headers that have arrived."""

    def __init__(
        self, genesis: Header, work: WorkKind = "hashcash", keep: int = KEPT_HEADERS
    ) -> None:
        """Start at genesis.

        Args:
            genesis: header of the genesis block.
            work: the kind of work that the rules of the chain name.
            keep: largest number of remembered heights below the head, and of headers that wait for
                their parent. The oldest are dropped.
        """
        self.head = genesis.hash
        """Hash of the head."""
        self.height = 0
        """Height of the head."""
        self._kind = work
        self._keep = keep
        self._genesis, self._easiest = genesis, target_from_compact(genesis.bits)
        self._work = {self.head: Above(0, 0, b"")}
        self._refused: dict[bytes, None] = {}
        self._waiting: dict[bytes, Header] = {}

    def add(self, header: Header) -> bool:
        """Add a header, and the headers that waited for it.

        Args:
            header: any header. It is ignored if its work is not done, or if its target is easier
                than that of genesis, the easiest on the chain. Otherwise an attacker could make
                the holder spend its privacy budget on heads that cost nothing.

        Returns:
            Whether the head changed.
        """
        name = header.hash
        if name in self._work or name in self._refused or not self.has_work(header):
            return False
        if header.parent not in self._work:
            self._waiting[name] = header
            if len(self._waiting) > self._keep:
                del self._waiting[next(iter(self._waiting))]
            return False
        before = self.head
        self._connect(header)
        if self.head != before:  # forget the headers that are too far below
            oldest = self.height - self._keep
            while self._work[first := next(iter(self._work))].height < oldest:
                del self._work[first]
        while len(self._work) > MOST_OF_A_HEIGHT * self._keep:
            del self._work[max(self._work, key=self._rank)]
        return self.head != before

    def refuse(self, name: bytes) -> bool:
        """Forget a refused block and all its descendants; return whether the head changed.

        A header with this hash is not added again.
        """
        self._refused[name] = None
        if len(self._refused) > self._keep:
            self._refused.pop(next(iter(self._refused)))
        if name not in self._work:
            return False
        dropped: set[bytes] = set()
        for other in list(self._work)[list(self._work).index(name) :]:  # children were added later
            if other == name or self._work[other].parent in dropped:
                dropped.add(other)
                del self._work[other]
        before, self.head = self.head, min(self._work, key=self._rank)
        self.height = self._work[self.head].height
        return self.head != before

    def has_work(self, header: Header) -> bool:
        """Return whether a header is of this chain, its target allowed and its work done."""
        first = self._genesis
        if (header.version, header.chain_id) != (first.version, first.hash):
            return False
        if header.rules_hash != first.rules_hash:
            return False
        try:
            target = target_from_compact(header.bits)
        except ValueError:
            return False
        return target <= self._easiest and is_paid(self._kind, header.hash, target)

    def _connect(self, header: Header) -> None:
        """Add a header whose parent is known, then the headers that waited for it."""
        for above in (ready := [header]):  # the list grows as waiting headers connect
            name, below = above.hash, self._work[above.parent]
            if above.height != below.height + 1 or name in self._refused:
                continue
            self._work[name] = _above(below, above.bits, above.parent)
            if self._rank(name) < self._rank(self.head):
                self.head, self.height = name, above.height
            children = [child for child, it in self._waiting.items() if it.parent == name]
            ready += [self._waiting.pop(child) for child in children]

    def _rank(self, name: bytes) -> tuple[int, bytes]:
        """Return the sort key of a block: the head has the smallest key."""
        return -self._work[name].work, name


@functools.lru_cache(4 * KEPT_HEADERS)
def _above(below: Above, bits: int, parent: bytes) -> Above:
    """Return the place of a block; it is cached, so that many clients share one record."""
    return Above(below.height + 1, below.work + work_of(bits), parent)
