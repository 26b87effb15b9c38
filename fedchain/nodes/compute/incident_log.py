"""Incident log: it records what a compute node refused, and evidence of equivocation."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from fedchain.errors import EncodingError
from fedchain.ledger.chain.block import Block, Header
from fedchain.ledger.chain.message import Message

KEPT_REFUSALS = 1_000
"""A node keeps its first refusals and first pieces of evidence, at most this number of each."""
KEPT_NAMES = 1_024
"""Largest number of refused blocks, and of accepted blocks, that a node remembers."""


@dataclass(frozen=True, kw_only=True)
class Refusal:
    """A message or block that a node did not accept, and why."""

    time_s: float
    """Simulated seconds since genesis."""
    what: str
    """``block`` or ``message``."""
    id: bytes
    """Hash of the block, or id of the message, 32 bytes; empty if the item cannot be encoded."""
    height: int
    """Height in the block's header, or round of the message."""
    maker: bytes
    """Address of the block's maker, 32 bytes; empty for a message or an unsigned block."""
    reason: str
    """The rule that the message or block breaks."""


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """Evidence of equivocation: two blocks on one parent, both signed by the same maker.

    An honest node makes only one block on a parent.
    """

    time_s: float
    """Time at which the second block was accepted, simulated seconds since genesis."""
    first: Block
    """The block that was accepted first, without messages."""
    second: Block
    """The block that was accepted second, without messages."""

    @property
    def holds(self) -> bool:
        """Whether the two blocks and their signatures prove equivocation."""
        one, two = self.first.header, self.second.header
        same = (one.parent, one.address) == (two.parent, two.address)
        return same and one.hash != two.hash and not (self.first.forgery or self.second.forgery)


class IncidentLog:
    """The incidents of one compute node; the log has a bounded size."""

    def __init__(self) -> None:
        self.refusals: list[Refusal] = []
        """The first refusals, at most ``KEPT_REFUSALS``."""
        self.refused = 0
        """Number of all refusals."""
        self.evidence: list[Evidence] = []
        """The first pieces of evidence, at most ``KEPT_REFUSALS``."""
        self.ignored: OrderedDict[bytes, None] = OrderedDict()
        """Hashes of recently refused blocks, which are not checked again."""
        self._made: OrderedDict[tuple[bytes, bytes], Block] = OrderedDict()

    def refuse_message(self, time_s: float, message: Message, reason: str) -> None:
        """Log that a message was refused."""
        refusal = Refusal(
            time_s=time_s,
            what="message",
            id=_name_of(lambda: message.id),
            height=message.round,
            maker=b"",
            reason=reason,
        )
        self._log(refusal)

    def refuse_block(self, time_s: float, block: Block, reason: str) -> None:
        """Log that a block was refused; the maker is named only if the maker signed the block."""
        header = block.header
        refusal = Refusal(
            time_s=time_s,
            what="block",
            id=_name_of(lambda: header.hash),
            height=header.height,
            maker=header.address if _is_signed(block) else b"",
            reason=reason,
        )
        self._log(refusal)

    def ignore(self, header: Header) -> None:
        """Remember a block as refused."""
        name = _name_of(lambda: header.hash)
        if name:  # a block that cannot be encoded has no hash
            self.ignored[name] = None
            _drop_oldest(self.ignored)

    def saw(self, time_s: float, block: Block) -> None:
        """Log evidence if an accepted block is the maker's second block on the same parent.

        ``block`` is the accepted block without messages.
        """
        first = self._made.setdefault((block.header.parent, block.header.address), block)
        if first is block:
            _drop_oldest(self._made)
            return
        evidence = Evidence(time_s=time_s, first=first, second=block)
        if evidence.holds and len(self.evidence) < KEPT_REFUSALS:
            self.evidence.append(evidence)

    def _log(self, refusal: Refusal) -> None:
        self.refused += 1
        if len(self.refusals) < KEPT_REFUSALS:
            self.refusals.append(refusal)


def _name_of(hash_of: Callable[[], bytes]) -> bytes:
    """Return the hash of a message or header; empty if there is no encoding."""
    try:
        return hash_of()
    except EncodingError:
        return b""


def _is_signed(block: Block) -> bool:
    try:
        return not block.forgery
    except EncodingError:
        return False


def _drop_oldest(table: OrderedDict[Any, Any]) -> None:
    """Drop the oldest entry of a table that has more than ``KEPT_NAMES``."""
    # An OrderedDict finds its first entry at once. A dict passes over all entries dropped before.
    if len(table) > KEPT_NAMES:
        table.popitem(last=False)
