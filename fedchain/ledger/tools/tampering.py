"""Tampering: damages a copy of a ledger on purpose, for teaching and for tests."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np

from fedchain.errors import RunError, RunRefused, cannot
from fedchain.files import copy_files
from fedchain.ledger.chain.block import Block, Header, address_of, encode_header, messages_parts
from fedchain.ledger.chain.crypto import InclusionProof
from fedchain.ledger.chain.message import Declaration, Message
from fedchain.ledger.storage import database
from fedchain.ledger.storage.blobs import Blobs, read_block
from fedchain.ledger.storage.connection import connect_to_write
from fedchain.ledger.storage.database import BlockRow
from fedchain.ledger.storage.store import Store
from fedchain.registry import suggest

HEADER_FIELDS = tuple(field.name for field in fields(Header))
"""Fields of the block's header that can be changed."""
MESSAGE_FIELDS = (
    *(f"message.{f.name}" for f in fields(Message) if f.name != "declaration"),
    *(f"message.{f.name}" for f in fields(Declaration)),
)
"""Fields of the block's first message that can be changed."""
BLOB_FIELDS = ("weights", "memory", "messages")
"""Blobs of the block in which one bit can be flipped."""
COLUMN_FIELDS = tuple(f"column.{f.name}" for f in fields(BlockRow) if f.name != "header")
"""Columns of the block's database row that can be changed."""
INDEX_FIELDS = ("index.id", "index.parent", "index.identity")
"""Columns of the database row of the block's first message that can be changed."""
DAMAGEABLE = (
    *HEADER_FIELDS,
    *MESSAGE_FIELDS,
    *BLOB_FIELDS,
    *COLUMN_FIELDS,
    *INDEX_FIELDS,
    "head",
)
"""Everything that can be damaged."""


def tamper(source: Path, copy: Path, height: int, field: str) -> None:
    """Copy a ledger and change one thing in the copy.

    Args:
        source: folder of the ledger.
        copy: folder of the damaged copy; it must not exist yet.
        height: height of the block to damage; of several blocks, the first that arrived.
        field: what to change, one of ``DAMAGEABLE``.

    Raises:
        RunError: the copy exists or cannot be written, or the source has no ledger.
        ValueError: the field is unknown, no block has this height, or the block has no message to
            change.
    """
    if field not in DAMAGEABLE:
        raise ValueError(f"field: there is no {field!r}; {suggest(field, DAMAGEABLE)}")
    if copy.exists():
        raise RunRefused(f"{copy}: is there already; a damaged copy goes into a new folder")
    with Store.open(source, writable=False) as store:
        row = _row_of(store, height)
        block = read_block(store.blobs, store.rules, row)
        if field.startswith(("message.", "index.")) and not block.messages:
            allowed = f"one from 1 to {store.highest} that has"
            raise ValueError(f"block: block {height} has no messages; allowed: {allowed}")
    try:
        _copy(source, copy)
        with closing(connect_to_write(copy / database.LEDGER_FILE)) as connection:
            _damage(connection, Blobs(copy / "blobs"), row, block, field)
    except OSError as error:
        raise cannot(copy, "be written", error) from error
    except sqlite3.Error as error:
        raise RunError(f"{copy}: cannot be written: {error}") from error


def _row_of(store: Store, height: int) -> BlockRow:
    try:
        return database.find_row(store.connection, "height = ?", height)
    except KeyError as error:
        told = f"block: there is no block {height}; allowed: 0 to {store.highest}"
        raise ValueError(told) from error


def _copy(source: Path, copy: Path) -> None:
    # SQLite can rebuild the index of its log, and Windows lets nobody read it during a run.
    index = f"{database.LEDGER_FILE}-shm"
    files = [path for path in source.rglob("*") if path.is_file() and path.name != index]
    copy_files({file: copy / file.relative_to(source) for file in files})


def _damage(
    connection: sqlite3.Connection, blobs: Blobs, row: BlockRow, block: Block, field: str
) -> None:
    family, _, name = field.rpartition(".")
    if field in HEADER_FIELDS:
        value = _change(getattr(block.header, field))
        header = encode_header(replace(block.header, **{field: value}))
        _update(connection, "block", "header", header, row.sequence)
    elif family == "message":
        first = _change_message(block.messages[0], name)
        messages = (first, *block.messages[1:])
        blobs.put({address_of(messages): messages_parts(messages)})
        _update(connection, "block", "messages", address_of(messages), row.sequence)
    elif field in BLOB_FIELDS:
        _flip(blobs.path(_address(field, row, block)))
    elif family == "column":
        value = row.sequence + 10**6 if name == "sequence" else _change(getattr(row, name))
        _update(connection, "block", name, value, row.sequence)
    elif family == "index":
        first_row = dict(zip(INDEX_FIELDS, database.message_rows(0, block)[0][2:], strict=True))
        _update(connection, "message", name, _change(first_row[field]), row.sequence)
    else:
        database.write_meta(connection, head=_change(row.hash))


def _change_message(message: Message, name: str) -> Message:
    if name in {field.name for field in fields(Declaration)}:
        said = replace(message.declaration, **{name: _change(getattr(message.declaration, name))})
        return replace(message, declaration=said)
    return replace(message, **{name: _change(getattr(message, name))})


def _change(value: Any) -> Any:
    """Return a different value of the same type; for None, return an inclusion proof."""
    match value:
        case bytes():
            return bytes([value[0] ^ 1]) + value[1:]
        case str():
            return value + "x"
        case int():
            return value + 1
        case float():
            return float(np.nextafter(value, 0 if value else 1))
        case InclusionProof():
            return replace(value, index=value.index ^ 1)
        case None:
            return InclusionProof(0, 1, ())
        case _:
            return np.concatenate([value[:1] ^ 1, value[1:]])


def _address(field: str, row: BlockRow, block: Block) -> bytes:
    header = block.header
    addresses = {"weights": header.weights_hash, "memory": header.memory_hash}
    return {**addresses, "messages": row.messages}[field]


def _flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def _update(
    connection: sqlite3.Connection, table: str, column: str, value: bytes | int, sequence: int
) -> None:
    first = "" if table == "block" else "AND position = 0"
    # Table and column come from the lists above, so no outside text gets into the query.
    query = f"UPDATE {table} SET {column} = ? WHERE sequence = ? {first}"
    connection.execute(query, (value, sequence))
