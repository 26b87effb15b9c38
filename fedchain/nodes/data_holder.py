"""The data holder: follows the head, and releases one private gradient for each head it sees.

Where holders form groups it is a group that does so: to the chain a group is a holder.

It listens through a seat of the network. Where everybody is asked in every round a seat is one
holder for good; where cohorts are sampled another holder sits there in every round.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from fedchain.events import Send
from fedchain.ledger.block import Block, block_hash
from fedchain.ledger.message import Message
from fedchain.nodes.attendance import Attendance
from fedchain.nodes.findings import Objection
from fedchain.nodes.light_client import LightClient
from fedchain.privacy.budget import Budget

BUDGET_SPENT = "privacy budget spent"
NO_DIRECTION = "gradient is zero or not finite"
TOO_FEW = "too few members of the group"
KEPT_OBJECTIONS = 64
"""Objections of one full node that count, its latest: it pushes out nobody's but its own."""
GRADIENT_S = 1.0
"""Simulated seconds that a holder takes to compute its gradient."""

Begin = Callable[[int, bytes, int], None]
"""Told of (holder, parent, round) whose gradient will be asked for."""
Attend = Callable[[int, bytes, int, int], Attendance]
"""(holder, parent, round, number of the attempt) to how the attempt at a message goes."""
Release = Callable[[int, bytes, int], Sequence[Message]]
"""(holder, parent, round) to the signed message, of a Sybil to several; none if there is no
direction to send."""


@dataclass(frozen=True)
class GradientDone:
    """A note to oneself: the gradient at this block is ready."""

    parent: bytes
    """Hash of the block whose weights it was computed at."""
    attempt: int = 1
    """Number of the attempt to send it, which only a group may have to repeat."""


class DataHolder:
    """Whoever sits on one seat. It speaks once for each head, as long as its budget lasts."""

    def __init__(
        self,
        node: int,
        client: LightClient,
        holder_at: Callable[[int], int],
        budget_of: Callable[[int], Budget],
        begin: Begin,
        attend: Attend,
        release: Release,
        rounds: int,
        judges: int,
    ) -> None:
        """Sit down at the chain's beginning.

        Args:
            node: the seat's number in the network.
            client: its view of the chain.
            holder_at: round to the holder that sits here.
            budget_of: holder to its releases, each counted, on whatever seat it made them.
            begin: told when a gradient will be asked for.
            attend: tells how an attempt goes.
            release: makes the message.
            rounds: highest block.
            judges: full nodes that can object to a block: all but its maker. A header that most
                of them have refused is not followed.
        """
        self._node = node
        self.client = client
        """Its view of the chain."""
        self.silent: dict[int, str] = {}
        """Who did not speak here when it should have, and the last reason why."""
        self._holder_at, self._budget_of = holder_at, budget_of
        self._begin, self._attend, self._release = begin, attend, release
        self._rounds = rounds
        self._judges = judges
        self._objections: dict[int, dict[bytes, None]] = {}

    @property
    def node(self) -> int:
        """The seat's number in the network."""
        return self._node

    def start(self) -> list[Send]:
        """Begin to work at the head: genesis, or the block that just arrived."""
        if self.client.height >= self._rounds:
            return []
        round_ = self.client.height + 1
        self._begin(self._holder_at(round_), self.client.head, round_)
        return [Send(GradientDone(self.client.head), self.node, GRADIENT_S)]

    def receive(self, payload: object, now_s: float) -> list[Send]:
        """Act on a block, or on the own gradient when it is ready; stale work is ignored."""
        del now_s
        match payload:
            case Block(header=header) if self.client.add(header):
                return self.start()
            case Objection() if self._refuse(payload):
                return self.start()
            case GradientDone(parent=parent, attempt=attempt) if parent == self.client.head:
                return self._speak(parent, attempt)
            case _:
                return []

    def _refuse(self, objection: Objection) -> bool:
        """Count an objection; say whether it was the last that it took, and the head changed."""
        name = block_hash(objection.block.header)
        latest = self._objections.setdefault(objection.node, {})
        latest[name] = None
        if len(latest) > KEPT_OBJECTIONS:
            del latest[next(iter(latest))]
        objectors = sum(name in said for said in self._objections.values())
        return 2 * objectors > self._judges and self.client.refuse(name)

    def _speak(self, parent: bytes, attempt: int) -> list[Send]:
        round_ = self.client.height + 1
        holder = self._holder_at(round_)
        budget = self._budget_of(holder)
        if not budget.allows(parent):
            self.silent[holder] = BUDGET_SPENT
            return []
        attendance = self._attend(holder, parent, round_, attempt)
        if not attendance.opens:
            return self._repeat(holder, parent, budget, attendance)
        messages = self._release(holder, parent, round_)
        if not messages:
            self.silent[holder] = NO_DIRECTION
            return []
        budget.spend(parent)
        return [Send(message, "compute") for message in messages]

    def _repeat(self, holder: int, parent: bytes, budget: Budget, failed: Attendance) -> list[Send]:
        """Count an attempt that failed after its members had said their shares; try again."""
        if failed.counts:
            budget.spend(parent + bytes([failed.number]))
        if failed.again_s is None:
            self.silent[holder] = TOO_FEW
            return []
        return [Send(GradientDone(parent, failed.number + 1), self.node, failed.again_s)]
