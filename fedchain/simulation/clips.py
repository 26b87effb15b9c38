"""Clips: it finds the clip of each holder at each block, if clips follow a quantile."""

from __future__ import annotations

from fedchain.ledger.chain.block import Block
from fedchain.ledger.chain.message import Message


class Clips:
    """The clips of holders. A holder's clip changes when a block carries the holder's message.

    Only messages on the same branch count. In the example, holder 3 uses clip 1.0 at genesis and
    clip 0.9 at a block with its message.

    >>> from types import SimpleNamespace as Record
    >>> message, header = Record(id=b"m", round=1), Record(hash=b"1", parent=b"0", height=1)
    >>> clips = Clips(1.0, keep=16)
    >>> clips.lead(message, 3, 0.9)
    >>> clips.carry(Record(header=header, messages=[message]))
    >>> clips.at(3, b"0"), clips.at(3, b"1"), clips.at(4, b"1")
    (1.0, 0.9, 1.0)
    """

    def __init__(self, first: float, keep: int) -> None:
        """Start all holders with the clip ``first``. Forks are at most ``keep`` blocks deep."""
        self._first, self._keep = first, keep
        self._leads: dict[bytes, tuple[int, int, float]] = {}
        self._after: dict[bytes, tuple[int, dict[int, float]]] = {}

    def at(self, holder: int, parent: bytes) -> float:
        """Return the clip for a holder's release at a block, given the block's hash."""
        return self._clips_after(parent).get(holder, self._first)

    def lead(self, message: Message, holder: int, clip: float) -> None:
        """Store the holder's next clip. It counts once a block of the chain has this message."""
        self._leads[message.id] = message.round, holder, clip

    def carry(self, block: Block) -> None:
        """Update the clips of holders with messages in a block. Call this for its parent first."""
        name, height = block.header.hash, block.header.height
        if name in self._after:
            return
        led = [self._leads[each.id] for each in block.messages if each.id in self._leads]
        clips = {holder: clip for _, holder, clip in led}
        self._after[name] = height, {**self._clips_after(block.header.parent), **clips}
        oldest = height - self._keep
        while self._after[first := next(iter(self._after))][0] < oldest:
            del self._after[first]
        while self._leads and self._leads[first := next(iter(self._leads))][0] < oldest:
            del self._leads[first]

    def _clips_after(self, block: bytes) -> dict[int, float]:
        return self._after[block][1] if block in self._after else {}
