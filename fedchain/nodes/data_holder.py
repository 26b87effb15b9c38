"""The data holder: follows the head, and releases one private gradient for each head it sees."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from fedchain.events import Send
from fedchain.ledger.block import Block
from fedchain.ledger.message import Message
from fedchain.nodes.light_client import LightClient
from fedchain.privacy.budget import Budget

BUDGET_SPENT = "privacy budget spent"
NO_DIRECTION = "gradient is zero or not finite"
GRADIENT_S = 1.0
"""Simulated seconds that a holder takes to compute its gradient."""

Release = Callable[[bytes, int], Message | None]
"""(parent, round) to the signed message; None if there is no direction to send."""


@dataclass(frozen=True)
class GradientDone:
    """A note to oneself: the gradient at this block is ready."""

    parent: bytes
    """Hash of the block whose weights it was computed at."""


class DataHolder:
    """A holder of records. It speaks once for each head, as long as its budget lasts."""

    def __init__(
        self,
        node: int,
        client: LightClient,
        budget: Budget,
        begin: Callable[[bytes, int], None],
        release: Release,
        rounds: int,
    ) -> None:
        self._node = node
        self.client = client
        """Its view of the chain."""
        self.budget = budget
        """Its releases, each counted."""
        self.silent: str = ""
        """Why it did not speak when it should have: empty, or the last reason."""
        self._begin, self._release, self._rounds = begin, release, rounds

    @property
    def node(self) -> int:
        """The node's number in the network."""
        return self._node

    def start(self) -> list[Send]:
        """Begin to work at the head: genesis, or the block that just arrived."""
        if self.client.height >= self._rounds:
            return []
        self._begin(self.client.head, self.client.height + 1)
        return [Send(GradientDone(self.client.head), self.node, GRADIENT_S)]

    def receive(self, payload: object, now_s: float) -> list[Send]:
        """Act on a block, or on the own gradient when it is ready; stale work is ignored."""
        del now_s
        match payload:
            case Block(header=header) if self.client.add(header):
                return self.start()
            case GradientDone(parent=parent) if parent == self.client.head:
                return self._speak(parent)
            case _:
                return []

    def _speak(self, parent: bytes) -> list[Send]:
        if not self.budget.allows(parent):
            self.silent = BUDGET_SPENT
            return []
        message = self._release(parent, self.client.height + 1)
        if message is None:
            self.silent = NO_DIRECTION
            return []
        self.budget.spend(parent)
        return [Send(message, "compute")]
