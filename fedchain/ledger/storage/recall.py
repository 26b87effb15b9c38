"""Recall: finds the blocks and messages that an interrupted run has recorded in its ledger."""

from __future__ import annotations

import contextlib
import itertools

from fedchain.ledger.chain.block import Block
from fedchain.ledger.chain.message import Message, identity_of
from fedchain.ledger.storage import database
from fedchain.ledger.storage.store import Store


def recorded_block(store: Store, parent: bytes, address: bytes) -> Block | None:
    """Return the first recorded block that has this parent and was made by this compute node.

    Returns:
        The block, or None if there is no such block or its directions were pruned.
    """
    # Listed before the query, because the writing thread may move a block to the disk meanwhile.
    waiting = _waiting_children(store, parent)
    with contextlib.suppress(KeyError):
        row = database.find_row(store.connection, "parent = ? AND address = ?", parent, address)
        return store.shown(row.hash) if store.is_whole(row.height) else None
    return next((block for block in waiting if block.header.address == address), None)


def recorded_message(store: Store, parent: bytes, identity: bytes) -> Message | None:
    """Return the recorded message that an identity (P*) has sent for a parent.

    Returns:
        The message, or None if no block has such a message or its direction was pruned.
    """
    waiting = _waiting_children(store, parent)
    query = "SELECT sequence FROM message WHERE parent = ? AND identity = ? ORDER BY sequence"
    found = database.ask(store.connection, query, parent, identity)
    stored = (
        store.shown(database.find_row(store.connection, "sequence = ?", int(str(sequence))).hash)
        for (sequence,) in found
    )
    for block in itertools.chain(stored, waiting):
        for message in block.messages if store.is_whole(block.header.height) else ():
            if message.parent == parent and identity_of(message.public_key) == identity:
                return message
    return None


def _waiting_children(store: Store, parent: bytes) -> list[Block]:
    waiting = [waiting.block for waiting in tuple(store.writer.waiting.values())]
    return [block for block in waiting if block.header.parent == parent]
