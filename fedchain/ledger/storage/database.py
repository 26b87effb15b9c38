"""The tables of the store: one row a block, one row a message, both found by index.

Rows repeat nothing that headers and blobs do not say, except the time of arrival. Each block's
row carries a seal, the hash of the row and of the seal before it, and the last seal is kept with
the head: no row can be changed, dropped or moved without notice.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, fields
from pathlib import Path
from urllib.parse import quote_from_bytes

from fedchain.errors import LedgerError
from fedchain.ledger.chain.block import Block, block_hash, encode_header
from fedchain.ledger.chain.encoding import blob, unsigned
from fedchain.ledger.chain.message import identity_of, message_id

FILE = "ledger.sqlite"
"""Name of the database in the ledger's folder."""
FORMAT = b"1"
"""Version of the tables."""
WORK_BYTES = 40
"""Cumulative work is written on this many bytes."""

_SCHEMA = (
    "CREATE TABLE block (sequence INTEGER PRIMARY KEY, hash BLOB NOT NULL UNIQUE,"
    " height INTEGER NOT NULL, parent BLOB NOT NULL, address BLOB NOT NULL,"
    " work BLOB NOT NULL, header BLOB NOT NULL, messages BLOB NOT NULL,"
    " arrived_ms INTEGER NOT NULL, seal BLOB NOT NULL)",
    "CREATE INDEX block_of_address ON block (parent, address)",
    "CREATE TABLE message (sequence INTEGER NOT NULL, position INTEGER NOT NULL,"
    " id BLOB NOT NULL, parent BLOB NOT NULL, identity BLOB NOT NULL,"
    " PRIMARY KEY (sequence, position)) WITHOUT ROWID",
    "CREATE INDEX message_of_identity ON message (parent, identity)",
    "CREATE TABLE meta (key TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID",
)
META_KEYS = ("format", "head", "keeping", "rules", "seal")
"""What the meta table holds."""


@dataclass(frozen=True)
class BlockRow:
    """One row of the block table."""

    sequence: int
    """Place in the order of arrival; genesis is 0."""
    hash: bytes
    """The block's name, 32 bytes."""
    height: int
    """As in the header."""
    parent: bytes
    """As in the header."""
    address: bytes
    """As in the header."""
    work: bytes
    """Cumulative work, big-endian, 40 bytes."""
    header: bytes
    """The header's canonical bytes."""
    messages: bytes
    """Address of the blob with the block's messages."""
    arrived_ms: int
    """Clock of the node that accepted it, milliseconds."""
    seal: bytes
    """Hash of the seal before and of this row."""


MessageRow = tuple[int, int, bytes, bytes, bytes]
"""sequence, position, id, parent, identity."""


def create(path: Path, genesis: BlockRow, meta: dict[str, bytes]) -> sqlite3.Connection:
    """Make a database with its tables and its first block, in one transaction.

    Raises:
        sqlite3.Error: there are tables already, or the file cannot be written.
    """
    connection = connect_to_write(path)
    try:
        with transaction(connection):
            for statement in _SCHEMA:
                connection.execute(statement)
            write_block(connection, genesis, [])
            write_meta(connection, **meta)
    except BaseException:
        connection.close()
        raise
    return connection


def connect_to_write(path: Path) -> sqlite3.Connection:
    """Open the database; what a killed process left in the log is taken in.

    The log is synced when it is folded in, not at every block: a loss of power may take the
    newest blocks, never a part of one, and the run makes them again.
    """
    # The thread that writes has a connection of its own; the one that began it closes it.
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    try:
        connection.execute("PRAGMA fullfsync = ON")  # as ``sync_open`` on macOS; nothing elsewhere
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
    except BaseException:
        connection.close()
        raise
    return connection


def connect_to_read(path: Path) -> sqlite3.Connection:
    """Open the database without writing a byte into its folder.

    SQLite wants to write beside a database that has a log; so where a killed process left a
    log, a copy of both is read into memory.

    Raises:
        sqlite3.Error: it is no database.
        OSError: it cannot be read.
    """
    log = path.with_name(path.name + "-wal")
    if not (log.exists() and log.stat().st_size):
        place = os.fsencode(path.resolve().as_posix())
        return sqlite3.connect(f"{uri_of(place)}?immutable=1", uri=True)
    with tempfile.TemporaryDirectory() as folder:
        for file in (path, log):
            shutil.copyfile(file, Path(folder) / file.name)
        with closing(sqlite3.connect(Path(folder) / path.name)) as copy:
            copy.execute("SELECT count(*) FROM block")  # fails before anything is made
            memory = sqlite3.connect(":memory:")
            try:
                copy.backup(memory)
            except BaseException:
                memory.close()
                raise
    return memory


def uri_of(place: bytes) -> str:
    """Return the URI by which SQLite finds a file.

    Of a network share of Windows it wants the name of the machine in the path, where
    ``Path.as_uri`` has it in front of the path.

    Args:
        place: absolute, with slashes alone.

    >>> uri_of(b"/home/a b/x"), uri_of(b"C:/x"), uri_of(b"//machine/share/x")
    ('file:///home/a%20b/x', 'file:///C:/x', 'file:////machine/share/x')
    """
    above = "" if place.startswith(b"/") else "/"
    return f"file://{above}{quote_from_bytes(place, safe='/:')}"


def ask(
    connection: sqlite3.Connection, query: str, *values: bytes | int
) -> Iterator[tuple[object, ...]]:
    """Yield what a query finds.

    Raises:
        LedgerError: the database is damaged.
    """
    try:
        # No ``yield from``: whoever stops early would close the cursor, of a closed database too.
        for row in connection.execute(query, values):  # noqa: UP028
            yield row
    except sqlite3.Error as error:
        raise LedgerError(f"database: cannot be read: {error}") from error


def read_blocks(connection: sqlite3.Connection) -> Iterator[BlockRow]:
    """Yield the rows of all blocks in order of arrival, genesis first.

    Raises:
        LedgerError: the database is damaged, or a column has another type.
    """
    return map(checked_row, ask(connection, "SELECT * FROM block ORDER BY sequence"))


def count_blocks(connection: sqlite3.Connection) -> int:
    """Return the number of blocks, genesis included."""
    ((rows,),) = ask(connection, "SELECT count(*) FROM block")
    return int(str(rows))


def highest(connection: sqlite3.Connection) -> int:
    """Return the greatest height of a block, 0 if there is none."""
    query = "SELECT height FROM block WHERE typeof(height) = 'integer' ORDER BY height DESC LIMIT 1"
    ((height,),) = tuple(ask(connection, query)) or ((0,),)
    return int(str(height))


def checked_row(values: tuple[object, ...]) -> BlockRow:
    """Make a BlockRow of what SQLite gave, which can be of any type in any column.

    Raises:
        LedgerError: a column has another type.
    """
    for field, value in zip(fields(BlockRow), values, strict=True):
        if type(value).__name__ != field.type:
            kind = type(value).__name__
            raise LedgerError(f"column {field.name}: is {kind}; must be {field.type}")
    return BlockRow(*values)  # type: ignore[arg-type]


def read_messages(connection: sqlite3.Connection, sequence: int) -> list[tuple[object, ...]]:
    """Return the rows of one block's messages, in order."""
    query = "SELECT * FROM message WHERE sequence = ? ORDER BY position"
    return list(ask(connection, query, sequence))


def read_meta(connection: sqlite3.Connection) -> dict[str, bytes]:
    """Return the meta table.

    Raises:
        LedgerError: another key, a missing one, or a value that is not bytes.
    """
    rows = ask(connection, "SELECT key, value FROM meta ORDER BY key")
    meta = {str(key): value for key, value in rows if isinstance(value, bytes)}
    if tuple(meta) != META_KEYS:
        raise LedgerError(f"meta: has {list(meta)} as bytes; must have {list(META_KEYS)}")
    if meta["format"] != FORMAT:
        raise LedgerError(f"meta: format is {meta['format']!r}; must be {FORMAT!r}")
    return meta


def newest_seal(connection: sqlite3.Connection) -> bytes:
    """Return the seal of the row that came last, 32 bytes."""
    query = "SELECT * FROM block ORDER BY sequence DESC LIMIT 1"
    (row,) = map(checked_row, ask(connection, query))
    return row.seal


def append(
    connection: sqlite3.Connection,
    blocks: list[tuple[BlockRow, list[MessageRow]]],
    head: bytes,
    keeping: bytes,
) -> None:
    """Insert the rows of some blocks and move the head, in one transaction.

    Raises:
        sqlite3.Error: the disk is full or may not be written; the database is as before.
    """
    with transaction(connection):
        for row, messages in blocks:
            write_block(connection, row, messages)
        seal = journal_seal(blocks[-1][0].seal, head, keeping)
        write_meta(connection, head=head, seal=seal)


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """Make everything inside happen, or nothing of it."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except sqlite3.Error:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def write_block(connection: sqlite3.Connection, row: BlockRow, messages: list[MessageRow]) -> None:
    """Insert the rows of one block; the caller holds the transaction."""
    connection.execute("INSERT INTO block VALUES (?,?,?,?,?,?,?,?,?,?)", _columns(row))
    connection.executemany("INSERT INTO message VALUES (?,?,?,?,?)", messages)


def write_meta(connection: sqlite3.Connection, **values: bytes) -> None:
    """Set values of the meta table; the caller holds the transaction."""
    connection.executemany("INSERT OR REPLACE INTO meta VALUES (?,?)", values.items())


def sealed_row(
    sequence: int, block: Block, messages: bytes, work: int, arrived_ms: int, previous: bytes
) -> BlockRow:
    """Return the row of a block.

    Args:
        sequence: its place in the order of arrival.
        block: the block.
        messages: address of its messages' blob, 32 bytes.
        work: cumulative work, itself included.
        arrived_ms: clock of the node that accepted it.
        previous: seal of the row before, 32 bytes.
    """
    header = block.header
    columns = (
        sequence,
        block_hash(header),
        header.height,
        header.parent,
        header.address,
        unsigned(work, WORK_BYTES),
        encode_header(header),
        messages,
        arrived_ms,
    )
    written = [blob(v if isinstance(v, bytes) else unsigned(v, 8)) for v in columns]
    return BlockRow(*columns, seal=hashlib.sha256(previous + b"".join(written)).digest())


def _columns(row: BlockRow) -> tuple[bytes | int, ...]:
    """Return the fields of a row in their order; ``astuple`` copies each, at ten times the cost."""
    return tuple(vars(row).values())


def message_rows(sequence: int, block: Block) -> list[MessageRow]:
    """Return the rows of a block's messages."""
    return [
        (sequence, position, message_id(m), m.parent, identity_of(m.public_key))
        for position, m in enumerate(block.messages)
    ]


def journal_seal(last: bytes, head: bytes, keeping: bytes) -> bytes:
    """Return the seal over the last row's seal, the head, and what is kept, 32 bytes."""
    return hashlib.sha256(b"fedchain:j" + last + head + keeping).digest()


def damage(connection: sqlite3.Connection) -> str | None:
    """Say what is wrong with the database's own structure, None if nothing is."""
    tables = ask(connection, "SELECT sql FROM sqlite_master WHERE sql IS NOT NULL")
    if sorted(str(sql) for (sql,) in tables) != sorted(_SCHEMA):
        return "database: its tables or indexes were changed"
    stray = "SELECT count(*) FROM message WHERE sequence NOT IN (SELECT sequence FROM block)"
    ((rows,),) = ask(connection, stray)
    if rows:
        return f"database: {rows} rows of messages belong to no block"
    ((verdict,),) = ask(connection, "PRAGMA integrity_check(1)")
    return None if verdict == "ok" else f"database: {verdict}"
