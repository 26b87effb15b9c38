"""Data holder: it follows the head of the chain, and plans one release at each head it sees.

If holders form groups, a ``DataHolder`` stands for a whole group, since that is one participant.

Each data holder has a slot of the network. If all participants take part in every round, a slot
always belongs to the same participant. If cohorts are sampled, the participant of a slot changes
in each round.
"""

from __future__ import annotations

from dataclasses import dataclass

from fedchain.ledger.chain.block import Block
from fedchain.nodes.holders.light_client import LightClient
from fedchain.nodes.payloads import Objection

BUDGET_SPENT = "privacy budget spent"
NOT_FINITE = "gradient is not finite"
TOO_FEW = "too few members of the group"
KEPT_OBJECTIONS = 64
"""A holder remembers at most this many objections of each full node, the latest. Each node has its
own bound, so a node that floods a holder displaces only its own objections."""
GRADIENT_S = 1.0
"""Time that a holder takes to compute its gradient, simulated seconds."""


@dataclass(frozen=True)
class Speak:
    """A holder's intent to release its gradient at a block once the gradient is computed."""

    parent: bytes
    """Hash of the block at whose weights the gradient is computed."""
    round: int
    """Height of the block that may carry the message."""
    attempt: int = 1
    """Number of the attempt to send the message, from 1; only a group may need more than one."""


class DataHolder:
    """The data holder on one slot: it plans one release at each head."""

    def __init__(self, *, node: int, client: LightClient, rounds: int, judges: int) -> None:
        """Start at the head of the client's chain, without objections.

        Args:
            node: the slot's node id in the network.
            client: the holder's view of the chain.
            rounds: height of the last block; after it a holder plans no release.
            judges: number of full nodes that can object to a block: all but its maker. A header
                to which more than half of them object is not followed.
        """
        self.node = node
        """The slot's node id in the network."""
        self.client = client
        """The holder's view of the chain."""
        self._rounds, self._judges = rounds, judges
        self._objections: dict[int, dict[bytes, None]] = {}

    def start(self) -> Speak | None:
        """Return the intent to release a gradient at the head; None after the last round."""
        if self.client.height >= self._rounds:
            return None
        return Speak(self.client.head, self.client.height + 1)

    def receive(self, payload: object) -> Speak | None:
        """Take in a block or an objection; return an intent if the head has changed.

        The header of a block that its maker has not signed is not followed.
        """
        match payload:
            case Block(header=header) if self.client.has_work(header) and not payload.forgery:
                return self.start() if self.client.add(header) else None
            case Objection() if self._refuse(payload):
                return self.start()
            case _:
                return None

    def _refuse(self, objection: Objection) -> bool:
        """Count an objection; return whether the block is now refused and the head has changed."""
        name = objection.block.header.hash
        latest = self._objections.setdefault(objection.node, {})
        latest[name] = None
        if len(latest) > KEPT_OBJECTIONS:
            del latest[next(iter(latest))]
        objectors = sum(name in said for said in self._objections.values())
        return 2 * objectors > self._judges and self.client.refuse(name)
