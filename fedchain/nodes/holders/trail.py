"""Trail: it finds the last message of each participant on a branch of the chain."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from fedchain.ledger.chain.block import Block
from fedchain.ledger.chain.message import Message
from fedchain.ledger.chain.verdict_cache import LruCache
from fedchain.nodes.holders.momentum import LastMessage

REMEMBERED_ROUNDS = 16
"""Number of latest blocks that may contain a participant's last message. Without a message in these
blocks, the participant's mean starts anew."""


@dataclass(frozen=True)
class MessagePlace:
    """The place of a participant's last message in the chain."""

    block: bytes
    """Hash of the block."""
    height: int
    """Height of the block."""
    index: int
    """Index of the message in the block, from 0."""
    count: int
    """Number of releases in the mean that the message contains."""


class Trail:
    """Finds the last message of each participant on the branch that ends with a given block.

    The last message must be in one of the upper ``REMEMBERED_ROUNDS`` blocks of the branch.
    """

    def __init__(
        self,
        genesis: bytes,
        block_of: Callable[[bytes], Block],
        sender_of: Callable[[Message], int | None],
        keep: int,
    ) -> None:
        """Start at genesis.

        Args:
            genesis: hash of the genesis block, 32 bytes.
            block_of: returns a block, given the block's hash.
            sender_of: returns the id of the participant that sent a message; None: the message
                does not count.
            keep: number of blocks for which the places of last messages are cached.
        """
        self._block_of, self._sender_of = block_of, sender_of
        self._genesis = genesis
        self._tables: LruCache[Mapping[int, MessagePlace]] = LruCache(keep)

    def at(self, block: bytes) -> Mapping[int, LastMessage]:
        """Return the last message of each participant at a block, by participant id.

        ``block`` is the block's hash. Messages in the block itself count, too.
        """
        places = self._places(block)
        blocks = {name: self._block_of(name) for name in {each.block for each in places.values()}}
        return {
            who: LastMessage(blocks[each.block].messages[each.index], each.count)
            for who, each in places.items()
        }

    def _places(self, block: bytes) -> Mapping[int, MessagePlace]:
        missing = []
        while (table := {} if block == self._genesis else self._tables.get(block)) is None:
            missing.append(block)
            block = self._block_of(block).header.parent
        for name in reversed(missing):
            table = self._above(table, name)
            self._tables.put(name, table)
        return table

    def _above(self, below: Mapping[int, MessagePlace], name: bytes) -> Mapping[int, MessagePlace]:
        """Return the places of last messages at a block, given the places at its parent."""
        block = self._block_of(name)
        height = block.header.height
        table = {k: each for k, each in below.items() if each.height > height - REMEMBERED_ROUNDS}
        for index, message in enumerate(block.messages):
            who = self._sender_of(message)
            if who is not None:
                count = below[who].count if who in below else 0
                table[who] = MessagePlace(name, height, index, count + 1)
        return table
