"""What a compute node found wrong: refusals with their reasons, and evidence against makers."""

from __future__ import annotations

import contextlib
from collections import OrderedDict
from dataclasses import dataclass
from typing import TypeVar

from fedchain.errors import EncodingError
from fedchain.ledger.chain.block import Block, Header, block_hash
from fedchain.ledger.chain.message import Message, message_id

Key = TypeVar("Key")
Value = TypeVar("Value")

KEPT_REFUSALS = 1_000
"""Refusals that a node remembers, the first ones of a run; the others are only counted."""
KEPT_NAMES = 1_024
"""Refused blocks that a node knows again, and makers and parents that it has seen lately."""


@dataclass(frozen=True, kw_only=True)
class Refusal:
    """A message or block that a node did not accept, and why."""

    time_s: float
    """Simulated seconds since genesis."""
    what: str
    """``block`` or ``message``."""
    id: bytes
    """Hash of the block or id of the message, 32 bytes; empty if it has no encoding."""
    height: int
    """Height that the block claims, or round of the message."""
    maker: bytes
    """Address that the block claims, 32 bytes; empty for a message."""
    reason: str
    """The broken rule."""


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """Two blocks of one maker on one parent; no honest node makes a second one."""

    time_s: float
    """Simulated seconds since genesis, when the second one came."""
    height: int
    """Height of both."""
    maker: bytes
    """Address that both name, 32 bytes."""
    first: bytes
    """Hash of the one that was accepted first, 32 bytes."""
    second: bytes
    """Hash of the other."""


@dataclass(frozen=True)
class Objection:
    """A full node tells that it has refused a block whose work is done.

    Light clients see headers only, and work is all that they can judge. Whoever hears of the
    block checks it too, and objects in turn. The number stands for the objector's signature.
    """

    block: Block
    """The refused block, whole, so that other full nodes can judge it."""
    node: int
    """Who objects."""


class IncidentLog:
    """The notebook of one compute node; of bounded size whatever is sent to it."""

    def __init__(self) -> None:
        self.refusals: list[Refusal] = []
        """What it did not accept, and why; the first ones only."""
        self.refused = 0
        """How many that were in all."""
        self.evidence: list[Evidence] = []
        """Pairs of blocks that their maker should not have made; the first ones only."""
        self._refused: OrderedDict[bytes, None] = OrderedDict()
        self._made: OrderedDict[tuple[bytes, bytes], bytes] = OrderedDict()

    def knows(self, name: bytes) -> bool:
        """Say whether a block of this hash was refused lately."""
        return name in self._refused

    def refuse_message(self, time_s: float, message: Message, reason: str) -> None:
        """Note that a message was not accepted."""
        try:
            name = message_id(message)
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
        """Note that a block was not accepted."""
        try:
            name = block_hash(header)
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
        """Have a block count as refused for good, so that it is not looked at again."""
        with contextlib.suppress(EncodingError):  # what has no encoding has no name to know
            _keep(self._refused, block_hash(header), None)

    def saw(self, time_s: float, name: bytes, header: Header) -> None:
        """Note who made an accepted block, and whether it is a second one on the same parent."""
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
    known[key] = value
    if len(known) > KEPT_NAMES:
        known.popitem(last=False)
