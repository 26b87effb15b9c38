"""Payloads: the records that nodes send to each other, and the timers that they set."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from fedchain.ledger.chain.block import Block
from fedchain.network.spreading import Group


@dataclass(frozen=True)
class Send:
    """A payload that a node sends, with its receivers."""

    payload: Any
    """A message, a block, an objection or a timer."""
    to: Group | int
    """The receivers: a group of nodes, which never includes the sender, or the id of one node. A
    payload to the sender's own id is a timer. Only attackers send to one other node, and such a
    payload has no latency."""
    after_s: float = 0.0
    """Simulated seconds until the payload leaves the sender."""
    relayed: bool = True
    """Whether other nodes pass the payload on. Otherwise the payload reaches only the sender's
    neighbours."""
    at_s: float | None = None
    """Time at which the payload leaves the sender, simulated seconds since genesis; None: after
    ``after_s``."""


@dataclass(frozen=True)
class Objection:
    """A full node's statement that it has refused a block whose work is done.

    Light clients need objections, since they see only headers and can check only the work.
    """

    block: Block
    """The refused block, with its messages."""
    node: int
    """Id of the objecting node, in place of a signature."""


@dataclass(frozen=True)
class DeadlinePassed:
    """A timer of a compute node: from now on, a quorum of messages is enough to start the work."""

    parent: bytes
    """Hash of the block on which the node builds."""


@dataclass(frozen=True)
class Searching:
    """A timer of a compute node: the node now tries the next nonces for a block."""

    block: Block
    """The unfinished block, with nonce 0."""
    first_nonce: int
    """The first nonce to try."""
    prefix: bytes
    """The bytes of the unfinished header before the nonce."""
    began_s: float
    """Time at which the node began with the current ``TRIES`` nonces, simulated seconds."""


@dataclass(frozen=True)
class NonceFound:
    """A timer of a compute node: the work on a block is done."""

    block: Block
    """The finished block."""


@dataclass(frozen=True)
class Drawn:
    """A timer of a compute node: sampled work, whose duration was drawn at random, is done."""

    due_s: float
    """Time at which the work is done, simulated seconds. The timer is stale if the node now expects
    another time."""
