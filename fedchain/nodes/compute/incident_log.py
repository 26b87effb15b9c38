"""Incident log: what one compute node refused and why, and its evidence of equivocation."""

from __future__ import annotations

import contextlib
from collections import OrderedDict
from dataclasses import dataclass
from typing import TypeVar

from fedchain.errors import EncodingError
from fedchain.ledger.chain.block import Block, Header
from fedchain.ledger.chain.message import Message

Key = TypeVar("Key")
Value = TypeVar("Value")

KEPT_REFUSALS = 1_000
"""Most refusals, and most pieces of evidence, that a node keeps: the first ones of a run. It counts
all refusals."""
KEPT_NAMES = 1_024
"""Most refused blocks whose hashes a node remembers, and most pairs of parent and maker; the oldest
are forgotten."""


@dataclass(frozen=True, kw_only=True)
class Refusal:
    """A message or block that a node did not accept, and why."""

    time_s: float
    """Simulated seconds since genesis."""
    what: str
    """``block`` or ``message``."""
    id: bytes
    """Hash of the block, or id of the message, 32 bytes; empty if it cannot be encoded."""
    height: int
    """Height that the header states, or round of the message."""
    maker: bytes
    """Address that the header states, 32 bytes; empty for a message."""
    reason: str
    """The rule that it breaks."""


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """Evidence of equivocation: two blocks of one maker on one parent.

    An honest node makes only one.
    """

    time_s: float
    """When the second block was accepted, simulated seconds since genesis."""
    height: int
    """Height of both blocks."""
    maker: bytes
    """Address of the maker, which both headers state, 32 bytes."""
    first: bytes
    """Hash of the block that was accepted first, 32 bytes."""
    second: bytes
    """Hash of the other block, 32 bytes."""


@dataclass(frozen=True)
class Objection:
    """A full node's statement that it has refused a block whose work is done.

    Light clients see only headers, so the work is all that they can check themselves. A full node
    that receives an objection checks the block itself, and objects as well if it refuses it. The
    node's number stands in for its signature.
    """

    block: Block
    """The refused block with its messages, so that other full nodes can check it."""
    node: int
    """Number of the node that objects."""


class IncidentLog:
    """The incidents of one compute node. Its size is bounded, whatever other nodes send."""

    def __init__(self) -> None:
        self.refusals: list[Refusal] = []
        """The first refusals, at most ``KEPT_REFUSALS``."""
        self.refused = 0
        """Number of all refusals."""
        self.evidence: list[Evidence] = []
        """The first pieces of evidence, at most ``KEPT_REFUSALS``."""
        self._refused: OrderedDict[bytes, None] = OrderedDict()
        self._made: OrderedDict[tuple[bytes, bytes], bytes] = OrderedDict()

    def knows(self, name: bytes) -> bool:
        """Return whether the block with this hash was refused recently."""
        return name in self._refused

    def refuse_message(self, time_s: float, message: Message, reason: str) -> None:
        """Log that a message was refused."""
        try:
            name = message.id
        except EncodingError:
            name = b""
        self._refuse(
            Refusal(
                time_s=time_s,
                what="message",
                id=name,
                height=message.round,
                maker=b"",
                reason=reason,
            )
        )

    def refuse_block(self, time_s: float, header: Header, reason: str) -> None:
        """Log that a block was refused."""
        try:
            name = header.hash
        except EncodingError:
            name = b""
        self._refuse(
            Refusal(
                time_s=time_s,
                what="block",
                id=name,
                height=header.height,
                maker=header.address,
                reason=reason,
            )
        )

    def ignore(self, header: Header) -> None:
        """Remember a block as refused, so that it is not checked again."""
        with contextlib.suppress(EncodingError):  # without an encoding it has no hash
            _keep(self._refused, header.hash, None)

    def saw(self, time_s: float, name: bytes, header: Header) -> None:
        """Note the maker of an accepted block; log evidence if it is the second on this parent."""
        first = self._made.get((header.parent, header.address))
        if first is None:
            _keep(self._made, (header.parent, header.address), name)
        elif len(self.evidence) < KEPT_REFUSALS:
            self.evidence.append(
                Evidence(
                    time_s=time_s,
                    height=header.height,
                    maker=header.address,
                    first=first,
                    second=name,
                )
            )

    def _refuse(self, refusal: Refusal) -> None:
        self.refused += 1
        if len(self.refusals) < KEPT_REFUSALS:
            self.refusals.append(refusal)


def _keep(known: OrderedDict[Key, Value], key: Key, value: Value) -> None:
    """Add an entry to a table, and drop the oldest one if there are more than ``KEPT_NAMES``."""
    known[key] = value
    if len(known) > KEPT_NAMES:
        known.popitem(last=False)
