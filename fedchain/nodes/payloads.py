"""Payloads: what nodes send to each other, and the timers that they send to themselves."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from fedchain.ledger.chain.block import Block
from fedchain.network.spreading import Group


@dataclass(frozen=True)
class Send:
    """A payload that a node sends, with its receivers.

    Nodes return ``Send`` objects; they hold no clock and no reference to another node.
    """

    payload: Any
    """A frozen record: a message, a block, or a note of the node to itself."""
    to: Group | int
    """The receivers: a group (all its nodes except the sender) or the id of one node. A payload to
    the sender itself is a timer. A payload to one other node goes to it directly, without the
    delays of the network; only attackers can do this."""
    after_s: float = 0.0
    """Simulated seconds until the payload leaves the sender."""
    relayed: bool = True
    """Whether other nodes pass the payload on. Honest nodes do not pass on a payload that they
    refuse, so a refused payload reaches only the sender's neighbours."""


@dataclass(frozen=True)
class Objection:
    """A full node's statement that it has refused a block whose work is done.

    Light clients see only headers, so the work is all that they can check themselves. A full node
    that receives an objection checks the block itself, and objects as well if it refuses the block.
    The node's id takes the place of a signature.
    """

    block: Block
    """The refused block with its messages, so that other full nodes can check it."""
    node: int
    """Id of the node that objects."""


@dataclass(frozen=True)
class DeadlinePassed:
    """A timer of a compute node: the node may now start its work with the quorum of messages."""

    parent: bytes
    """Hash of the block at which the node has waited for messages."""


@dataclass(frozen=True)
class Searching:
    """A timer of a compute node: it is time to try the next nonces for this header."""

    block: Block
    """The unfinished block; its nonce is 0."""
    first_nonce: int
    """The nonce at which the search continues."""


@dataclass(frozen=True)
class NonceFound:
    """A timer of a compute node: the work on this block is done."""

    block: Block
    """The finished block."""


@dataclass(frozen=True)
class Drawn:
    """A timer of a compute node: its work, whose duration was drawn at random, is done."""

    due_s: float
    """Simulated time at which the work is done, seconds. If the node now expects another time, this
    timer is stale."""
