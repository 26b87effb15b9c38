"""Data holder: it follows the head of the chain, and plans one release at each new head.

A data holder has a light client, which knows only headers and follows the chain with the most work.
Among heads of equal work, the light client follows the head with the smallest hash. So after a fork
all data holders choose the same head.

A slot is a place in the network for one participant (a holder or a group of holders). If cohorts
are sampled, the participants on the slots change in every round.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import NamedTuple

from fedchain.ledger.chain.block import Block, Header
from fedchain.ledger.chain.work import WorkKind, is_paid, target_from_compact, work_of
from fedchain.nodes.payloads import Objection

BUDGET_SPENT = "privacy budget spent"
NOT_FINITE = "gradient is not finite"
TOO_FEW = "too few members of the group"
KEPT_OBJECTIONS = 64
"""Largest number of objections of each full node that a holder remembers. The oldest are
forgotten."""
GRADIENT_S = 1.0
"""Time that a holder needs to compute its gradient, simulated seconds."""
KEPT_HEADERS = 64
"""Default number of blocks below the head whose headers are remembered."""
MOST_OF_A_HEIGHT = 16
"""Largest average number of remembered headers for each height. Beyond this number, the headers
with the least work are forgotten."""


@dataclass(frozen=True)
class Speak:
    """A data holder's intent to release its gradient at a block."""

    parent: bytes
    """Hash of the block at whose weights the gradient is computed."""
    round: int
    """Height of the block that may carry the message."""
    attempt: int = 1
    """Number of the attempt to send the message, from 1. Only groups need further attempts."""


class DataHolder:
    """The data holder on one slot of the network."""

    def __init__(self, *, node: int, client: LightClient, rounds: int, judges: int) -> None:
        """Start at the head of the client's chain, without objections.

        Args:
            node: the slot's node id in the network.
            client: the holder's view of the chain.
            rounds: height of the last block. At the last block no release is planned.
            judges: number of full nodes, not counting the maker of a block. A block is refused if
                more than half of them object.
        """
        self.node = node
        """The slot's node id in the network."""
        self.client = client
        """The holder's view of the chain."""
        self._rounds, self._judges = rounds, judges
        self._objections: dict[int, dict[bytes, None]] = {}

    def start(self) -> Speak | None:
        """Return the intent to release a gradient at the head; None at the last block."""
        if self.client.height >= self._rounds:
            return None
        return Speak(self.client.head, self.client.height + 1)

    def receive(self, payload: object) -> Speak | None:
        """Process a block or an objection; return an intent if the head has changed.

        Blocks without work or without their maker's signature are ignored.
        """
        match payload:
            case Block(header=header) if self.client.has_work(header) and not payload.forgery:
                return self.start() if self.client.add(header) else None
            case Objection() if self._refuse(payload):
                return self.start()
            case _:
                return None

    def _refuse(self, objection: Objection) -> bool:
        """Count an objection; return whether the head has changed."""
        name = objection.block.header.hash
        latest = self._objections.setdefault(objection.node, {})
        latest[name] = None
        if len(latest) > KEPT_OBJECTIONS:
            del latest[next(iter(latest))]
        objectors = sum(name in said for said in self._objections.values())
        return 2 * objectors > self._judges and self.client.refuse(name)


class Above(NamedTuple):
    """The place of a block in the chain."""

    height: int
    """Height of the block; the genesis block has height 0."""
    work: int
    """Expected number of tries for all blocks from height 1 to the block."""
    parent: bytes
    """Hash of the block's parent."""


class LightClient:
    """Finds the head of the chain with the most work among the known headers."""

    def __init__(
        self, genesis: Header, work: WorkKind = "hashcash", keep: int = KEPT_HEADERS
    ) -> None:
        """Start at genesis.

        Args:
            genesis: header of the genesis block.
            work: the kind of work on the chain.
            keep: number of remembered heights below the head, and largest number of headers that
                wait for their parent.
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
        """Add a header, and the headers that waited for this header.

        A header without work, or with an easier target than the genesis block, is ignored.

        Returns:
            Whether the head changed.
        """
        # Otherwise an attacker could make a holder spend its privacy budget on heads without cost.
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
        """Forget a refused block and its descendants; return whether the head changed.

        ``name`` is the hash of the refused block, which is not added again.
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
        """Return whether a header belongs to this chain and meets an allowed target."""
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
        """Add a header with a known parent, then the headers that waited for this header."""
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
        """Return the sort key of a block. The head has the smallest key."""
        return -self._work[name].work, name


@functools.lru_cache(4 * KEPT_HEADERS)
def _above(below: Above, bits: int, parent: bytes) -> Above:
    """Return the place of a block on its parent ``below``. Many clients share one record."""
    return Above(below.height + 1, below.work + work_of(bits), parent)
