"""Database of the store: writes and reads one row for each block and one for each message.

Each block's row has a seal: the hash of the row and of the previous row's seal. Verification
therefore finds every row that was changed, removed or moved.
"""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields
from pathlib import Path

from fedchain.errors import OLD_FORMAT, LedgerError
from fedchain.ledger.chain.block import Block, address_of
from fedchain.ledger.chain.encoding import blob, unsigned
from fedchain.ledger.chain.message import identity_of
from fedchain.ledger.chain.rules import ZERO
from fedchain.ledger.storage.connection import connect_to_write
from fedchain.ledger.storage.tables import SCHEMA
from fedchain.ledger.storage.tables import ask as ask  # of this module too

LEDGER_FILE = "ledger.sqlite"
"""Name of the database in the ledger's folder."""
TABLES_VERSION = b"2"
"""Version of the tables."""
NEWEST = "sequence = (SELECT max(sequence) FROM block)"
"""SQL condition for ``find_row`` that selects the block that arrived last."""
WORK_BYTES = 40
"""Number of bytes of the ``work`` column."""

META_KEYS = ("format", "head", "keeping", "rules", "seal")
"""Keys of the meta table; ``keeping`` is the retention policy."""


@dataclass(frozen=True)
class BlockRow:
    """One row of the block table."""

    sequence: int
    """The block's index in the order of arrival; genesis has 0."""
    hash: bytes
    """The block's hash, 32 bytes."""
    height: int
    """The block's height."""
    parent: bytes
    """Hash of the parent, 32 bytes."""
    address: bytes
    """Address of the compute node that made the block, 32 bytes."""
    work: bytes
    """Cumulative work of the block and all blocks below, big-endian, 40 bytes."""
    header: bytes
    """The header's canonical bytes."""
    messages: bytes
    """Address of the blob with the block's messages, 32 bytes."""
    public_key: bytes
    """Public key of the compute node that made the block, 32 bytes."""
    signature: bytes
    """The compute node's signature of the header, 64 bytes."""
    arrived_ms: int
    """Time at which a node accepted the block, on that node's clock, simulated milliseconds."""
    seal: bytes
    """Hash of the previous row's seal and of all other columns of this row, 32 bytes."""


MessageRow = tuple[int, int, bytes, bytes, bytes]
"""One row of the message table: the block's sequence, the message's index in the block, the
message's id, the hash of the parent, and the sender's identity P*."""


def create(path: Path, genesis: Block, rules: bytes, keeping: bytes) -> sqlite3.Connection:
    """Create a database with its tables and the genesis block; return the connection.

    The rules and the retention policy (``keeping``) are given as encoded bytes.

    Raises:
        sqlite3.Error: the database has tables already, or the file cannot be written.
    """
    row = make_row(0, genesis, 0, 0, ZERO)
    meta = {"format": TABLES_VERSION, "rules": rules, "keeping": keeping, "head": row.hash}
    connection = connect_to_write(path)
    try:
        with transaction(connection):
            for statement in SCHEMA:
                connection.execute(statement)
            write_block(connection, row, [])
            write_meta(connection, **meta, seal=journal_seal(row.seal, row.hash, keeping))
    except BaseException:
        connection.close()
        raise
    return connection


def read_blocks(connection: sqlite3.Connection) -> Iterator[BlockRow]:
    """Yield the rows of all blocks in order of arrival.

    Raises:
        LedgerError: the database is damaged, or a column has the wrong type.
    """
    return map(checked_row, ask(connection, "SELECT * FROM block ORDER BY sequence"))


def read_all_blocks(connection: sqlite3.Connection) -> Iterator[BlockRow]:
    """Yield the rows of all blocks in order of arrival, and check that no row is missing.

    Raises:
        LedgerError: the database is damaged, a column has the wrong type, or a row is missing.
    """
    for place, row in enumerate(read_blocks(connection)):
        if row.sequence != place:
            raise LedgerError(f"database: block number {place} was removed")
        yield row


def find_row(connection: sqlite3.Connection, where: str, *values: bytes | int) -> BlockRow:
    """Return the row of the first block, in order of arrival, that fulfils an SQL condition.

    The ``values`` replace the question marks in the condition.

    Raises:
        KeyError: no block fulfils the condition.
        LedgerError: the database is damaged.
    """
    query = f"SELECT * FROM block WHERE {where} ORDER BY sequence LIMIT 1"
    found = next(ask(connection, query, *values), None)
    if found is None:
        named = ", ".join(v.hex()[:8] if isinstance(v, bytes) else str(v) for v in values)
        raise KeyError(f"no block with {where} in the store: {named}")
    return checked_row(found)


def count_blocks(connection: sqlite3.Connection) -> int:
    """Return the number of blocks, genesis included, assuming that no row is missing."""
    # Not count(*): SQLite would go through the whole table without a limit on its steps.
    ((last,),) = tuple(ask(connection, "SELECT max(sequence) FROM block"))
    return last + 1 if isinstance(last, int) else 0


def highest(connection: sqlite3.Connection) -> int:
    """Return the greatest height of all blocks; 0 if there is no block."""
    query = "SELECT height FROM block WHERE typeof(height) = 'integer' ORDER BY height DESC LIMIT 1"
    ((height,),) = tuple(ask(connection, query)) or ((0,),)
    return int(str(height))


def checked_row(values: tuple[object, ...]) -> BlockRow:
    """Return the columns of a block's row as a BlockRow.

    Raises:
        LedgerError: a column has the wrong type.
    """
    for field, value in zip(fields(BlockRow), values, strict=True):
        if type(value).__name__ != field.type:
            kind = type(value).__name__
            raise LedgerError(f"column {field.name}: is {kind}; must be {field.type}")
    return BlockRow(*values)  # type: ignore[arg-type]


def read_messages(
    connection: sqlite3.Connection, sequence: int, most: int
) -> list[tuple[object, ...]]:
    """Return the message rows of one block in order of index, but at most ``most`` rows."""
    query = "SELECT * FROM message WHERE sequence = ? ORDER BY position LIMIT ?"
    return list(ask(connection, query, sequence, most))


def read_meta(connection: sqlite3.Connection) -> dict[str, bytes]:
    """Return the values of the meta table, by key.

    Raises:
        LedgerError: a key is unknown or missing, a value is not bytes, or the version is wrong.
    """
    rows = ask(connection, f"SELECT key, value FROM meta ORDER BY key LIMIT {2 * len(META_KEYS)}")
    meta = {str(key): value for key, value in rows if isinstance(value, bytes)}
    if tuple(meta) != META_KEYS:
        raise LedgerError(f"meta: has {list(meta)} as bytes; must have {list(META_KEYS)}")
    if meta["format"] == b"1":
        raise LedgerError(f"ledger: {OLD_FORMAT}")
    if meta["format"] != TABLES_VERSION:
        raise LedgerError(f"meta: format is {meta['format']!r}; must be {TABLES_VERSION!r}")
    return meta


def append(
    connection: sqlite3.Connection,
    blocks: list[tuple[BlockRow, list[MessageRow]]],
    head: bytes,
    keeping: bytes,
) -> None:
    """Insert the rows of blocks and of their messages, and set the head, in one transaction.

    Raises:
        sqlite3.Error: the disk is full or cannot be written; the database is unchanged.
    """
    with transaction(connection):
        for row, messages in blocks:
            write_block(connection, row, messages)
        seal = journal_seal(blocks[-1][0].seal, head, keeping)
        write_meta(connection, head=head, seal=seal)


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """Run the body of the ``with`` statement in one transaction: all changes are made, or none."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except sqlite3.Error:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def write_block(connection: sqlite3.Connection, row: BlockRow, messages: list[MessageRow]) -> None:
    """Insert the rows of one block, in the caller's transaction."""
    columns = tuple(vars(row).values())  # ``astuple`` copies them, and takes ten times as long
    connection.execute("INSERT INTO block VALUES (?,?,?,?,?,?,?,?,?,?,?,?)", columns)
    connection.executemany("INSERT INTO message VALUES (?,?,?,?,?)", messages)


def write_meta(connection: sqlite3.Connection, **values: bytes) -> None:
    """Set values of the meta table by key, in the caller's transaction."""
    connection.executemany("INSERT OR REPLACE INTO meta VALUES (?,?)", values.items())


def make_row(sequence: int, block: Block, work: int, arrived_ms: int, previous: bytes) -> BlockRow:
    """Return the row of a block, with its seal.

    Args:
        sequence: the block's index in the order of arrival.
        block: the block.
        work: cumulative work of the block and all blocks below.
        arrived_ms: time at which a node accepted the block, simulated milliseconds.
        previous: seal of the previous row, 32 bytes.
    """
    header = block.header
    columns = (
        sequence,
        header.hash,
        header.height,
        header.parent,
        header.address,
        unsigned(work, WORK_BYTES),
        header.encoded,
        address_of(block.messages),
        block.public_key,
        block.signature,
        arrived_ms,
    )
    written = [blob(v if isinstance(v, bytes) else unsigned(v, 8)) for v in columns]
    return BlockRow(*columns, seal=hashlib.sha256(previous + b"".join(written)).digest())


def message_rows(sequence: int, block: Block) -> list[MessageRow]:
    """Return the rows of a block's messages."""
    return [
        (sequence, position, m.id, m.parent, identity_of(m.public_key))
        for position, m in enumerate(block.messages)
    ]


def journal_seal(last: bytes, head: bytes, keeping: bytes) -> bytes:
    """Return the meta table's seal: a hash of the last row's seal, the head and the policy."""
    return hashlib.sha256(b"fedchain:j" + last + head + keeping).digest()


def damage(connection: sqlite3.Connection) -> str | None:
    """Return an error text if the structure of the database is damaged, else None."""
    ((verdict,),) = tuple(ask(connection, "PRAGMA integrity_check(1)"))
    if verdict != "ok":
        return f"database: {verdict}"
    stray = "SELECT count(*) FROM message WHERE sequence NOT IN (SELECT sequence FROM block)"
    ((rows,),) = tuple(ask(connection, stray))
    return f"database: {rows} rows of messages belong to no block" if rows else None
