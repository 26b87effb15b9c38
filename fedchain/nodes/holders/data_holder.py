"""Data holder: it follows the head of the chain, and wants to speak once at each head it sees.

Where holders form groups it stands for a group: to the chain a group is one participant.

It sits on a slot of the network. Where everybody is asked in every round, a slot belongs to one
participant for good; where cohorts are sampled, another participant sits there in each round.
"""

from __future__ import annotations

from dataclasses import dataclass

from fedchain.ledger.chain.block import Block, block_hash
from fedchain.nodes.compute.incident_log import Objection
from fedchain.nodes.holders.light_client import LightClient

BUDGET_SPENT = "privacy budget spent"
NO_DIRECTION = "gradient is zero or not finite"
TOO_FEW = "too few members of the group"
KEPT_OBJECTIONS = 64
"""Objections of one full node that count, its latest: it pushes out nobody's but its own."""
GRADIENT_S = 1.0
"""Simulated seconds that a holder takes to compute its gradient."""


@dataclass(frozen=True)
class Speak:
    """An intent: the holder wants to release its gradient at a block, when it is computed."""

    parent: bytes
    """Hash of the block whose weights the gradient is computed at."""
    round: int
    """Height of the block that may carry the message."""
    attempt: int = 1
    """Number of the attempt to send it; only a group may need more than one."""


class DataHolder:
    """The holder on one slot. It wants to speak once at each head."""

    def __init__(self, *, node: int, client: LightClient, rounds: int, judges: int) -> None:
        """Start at the beginning of the chain.

        Args:
            node: the slot's number in the network.
            client: its view of the chain.
            rounds: height of the last block; after it a holder rests.
            judges: full nodes that can object to a block: all but its maker. A header that most
                of them have refused is not followed.
        """
        self.node = node
        """The slot's number in the network."""
        self.client = client
        """Its view of the chain."""
        self._rounds, self._judges = rounds, judges
        self._objections: dict[int, dict[bytes, None]] = {}

    def start(self) -> Speak | None:
        """Return the intent to speak at the head; None after the last round."""
        if self.client.height >= self._rounds:
            return None
        return Speak(self.client.head, self.client.height + 1)

    def receive(self, payload: object) -> Speak | None:
        """Take in a block or an objection; return an intent where that changed the head."""
        match payload:
            case Block(header=header) if self.client.add(header):
                return self.start()
            case Objection() if self._refuse(payload):
                return self.start()
            case _:
                return None

    def still_wants(self, intent: Speak) -> bool:
        """Return whether the block of an earlier intent is still the head."""
        return intent.parent == self.client.head

    def _refuse(self, objection: Objection) -> bool:
        """Count an objection; return whether it was the last that it took to move the head."""
        name = block_hash(objection.block.header)
        latest = self._objections.setdefault(objection.node, {})
        latest[name] = None
        if len(latest) > KEPT_OBJECTIONS:
            del latest[next(iter(latest))]
        objectors = sum(name in said for said in self._objections.values())
        return 2 * objectors > self._judges and self.client.refuse(name)
