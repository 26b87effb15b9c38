"""Trail: it finds the last message of each participant on a branch of the chain."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from fedchain.ledger.chain.block import Block
from fedchain.ledger.chain.message import Message
from fedchain.ledger.chain.verdict_cache import LruCache
from fedchain.nodes.holders.momentum import LastMessage

REMEMBERED_ROUNDS = 16
"""A message is a participant's last one if it is in one of this many blocks, counted down from the
block whose weights the participant uses. Without such a message its mean starts anew."""


class Trail:
    """Finds the last message of each participant on the branch that ends with a given block.

    What it returns depends on the blocks of that branch alone. The tables of a few blocks are kept,
    so that a new block is read once; a table that was dropped is made again from the blocks.
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
            block_of: returns a block, given its hash.
            sender_of: returns the participant that sent a message; None: the message is nobody's
                mean.
            keep: number of blocks whose tables are kept.
        """
        self._block_of, self._sender_of = block_of, sender_of
        self._genesis = genesis
        self._tables: LruCache[Mapping[int, LastMessage]] = LruCache(keep)

    def at(self, block: bytes) -> Mapping[int, LastMessage]:
        """Return the last message of each participant in this block and those below it."""
        missing = []
        while (table := {} if block == self._genesis else self._tables.get(block)) is None:
            missing.append(block)
            block = self._block_of(block).header.parent
        for name in reversed(missing):
            table = self._above(table, self._block_of(name))
            self._tables.put(name, table)
        return table

    def _above(self, below: Mapping[int, LastMessage], block: Block) -> Mapping[int, LastMessage]:
        """Return the table after a block, given the table after its parent."""
        oldest = block.header.height - REMEMBERED_ROUNDS + 1
        table = {who: last for who, last in below.items() if last.message.round >= oldest}
        for message in block.messages:
            who = self._sender_of(message)
            if who is not None:
                count = below[who].count if who in below else 0
                table[who] = LastMessage(message, count + 1)
        return table
