"""Pruning: deletes directions from a ledger; the rest of each message stays on disk."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from dataclasses import replace

from fedchain.ledger.chain.block import address_of
from fedchain.ledger.chain.rules import Rules
from fedchain.ledger.storage import database
from fedchain.ledger.storage.blobs import Blobs, bare_address, bare_body, read_block
from fedchain.ledger.storage.database import NEWEST, BlockRow, checked_row
from fedchain.ledger.storage.writer import RetentionPolicy

TOGETHER = 64
"""Number of blocks whose messages are rewritten together, with one sync of the disk."""
NO_MESSAGES = address_of(())
"""Address of the blob that all blocks without messages share; this blob is never deleted."""


def prune(
    connection: sqlite3.Connection, blobs: Blobs, rules: Rules, keeping: RetentionPolicy, below: int
) -> RetentionPolicy:
    """Delete the directions of all blocks below a height; return the new retention policy.

    No other process may write to the database. If this process is killed, ``finish`` deletes the
    remaining directions.

    Raises:
        OSError: the disk is full or cannot be written.
        sqlite3.Error: the disk is full or cannot be written.
        LedgerError: a block is damaged.
    """
    fresh = [row for row in _read_rows(connection, keeping.below, below) if row.sequence]
    for start in range(0, len(fresh), TOGETHER):
        several = fresh[start : start + TOGETHER]
        whole = [(row, read_block(blobs, rules, row)) for row in several]
        blobs.put({bare_address(row.messages): bare_body(block) for row, block in whole})
    kept = replace(keeping, below=below)
    head, last = database.read_meta(connection)["head"], database.find_row(connection, NEWEST)
    seal = database.journal_seal(last.seal, head, kept.encode())
    # The transaction must be on disk before files are deleted: a loss of power could undo it, but
    # would not bring the files back.
    connection.execute("PRAGMA synchronous = FULL")
    with database.transaction(connection):
        database.write_meta(connection, keeping=kept.encode(), seal=seal)
    for row in sorted(fresh, key=lambda row: row.height):  # ``finish`` relies on this order
        blobs.remove({row.messages} - {NO_MESSAGES})
    return kept


def finish(connection: sqlite3.Connection, blobs: Blobs, below: int) -> None:
    """Delete the directions that an interrupted ``prune`` left behind below a height.

    Raises:
        OSError: the folder cannot be written.
        LedgerError: the database is damaged.
    """
    # ``prune`` deletes the lowest first, so the search from above ends where nothing is left.
    for height in reversed(range(1, below)):
        addresses = {row.messages for row in _read_rows(connection, height, height + 1)}
        left = set(filter(blobs.has, addresses - {NO_MESSAGES}))
        if not left:
            return
        blobs.remove(left)


def _read_rows(connection: sqlite3.Connection, least: int, below: int) -> Iterator[BlockRow]:
    query = "SELECT * FROM block WHERE height >= ? AND height < ? ORDER BY sequence"
    return map(checked_row, database.ask(connection, query, least, below))
