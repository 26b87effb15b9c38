"""Data holder: it follows the head of the chain, and plans one release at each new head.

A slot is a place in the network for one participant (a holder or a group of holders). If cohorts
are sampled, the participants on the slots change in every round.
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
"""Largest number of objections of each full node that a holder remembers. The oldest are
forgotten."""
GRADIENT_S = 1.0
"""Time that a holder needs to compute its gradient, simulated seconds."""


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
