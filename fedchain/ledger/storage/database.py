"""Database of the store: one row per block and one row per message, with indexes on both.

Time and order of arrival are all that rows add to headers and blobs. Each block's row has a seal:
the hash of the row and of the seal of the row before it. The seal in the meta table covers the
last of them, the head and the retention policy. So verification notices when a row was changed,
removed or moved.
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
"""Bytes of the cumulative work of a block."""

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
"""Keys of the meta table."""


@dataclass(frozen=True)
class BlockRow:
    """One row of the block table."""

    sequence: int
    """Index in the order of arrival; genesis is 0."""
    hash: bytes
    """The block's hash, 32 bytes."""
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
    """Address of the blob with the block's messages, 32 bytes."""
    arrived_ms: int
    """Clock of the node that accepted it, milliseconds."""
    seal: bytes
    """Hash of the seal of the row before and of this row, 32 bytes."""


MessageRow = tuple[int, int, bytes, bytes, bytes]
"""sequence, position, id, parent, identity."""


def create(path: Path, genesis: BlockRow, meta: dict[str, bytes]) -> sqlite3.Connection:
    """Create a database with its tables and its first block, in one transaction.

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
    """Open the database for writing; SQLite recovers what a killed process left in the log.

    The log is synced when it is copied into the database, not at every block. A loss of power may
    lose the newest blocks, but never a part of a block, and the resumed run makes them again.
    """
    # The writing thread opens a connection of its own, and another thread closes it.
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
    """Open the database for reading, without writing a byte into its folder.

    SQLite has to write next to a database that has a log. So if a killed process left a log, both
    files are copied to a temporary folder and read into memory from there.

    Raises:
        sqlite3.Error: the file is no database.
        OSError: the file cannot be read.
    """
    log = path.with_name(path.name + "-wal")
    if not (log.exists() and log.stat().st_size):
        place = os.fsencode(path.resolve().as_posix())
        return sqlite3.connect(f"{uri_of(place)}?immutable=1", uri=True)
    with tempfile.TemporaryDirectory() as folder:
        for file in (path, log):
            shutil.copyfile(file, Path(folder) / file.name)
        with closing(sqlite3.connect(Path(folder) / path.name)) as copy:
            # A file that is no ledger fails here, before anything is made.
            copy.execute("SELECT count(*) FROM block")
            memory = sqlite3.connect(":memory:")
            try:
                copy.backup(memory)
            except BaseException:
                memory.close()
                raise
    return memory


def uri_of(place: bytes) -> str:
    """Return the URI by which SQLite finds a file.

    For a network share of Windows, SQLite expects the name of the machine inside the path.
    ``Path.as_uri`` puts it in front of the path, so it cannot be used here.

    Args:
        place: absolute path with forward slashes only.

    >>> uri_of(b"/home/a b/x"), uri_of(b"C:/x"), uri_of(b"//machine/share/x")
    ('file:///home/a%20b/x', 'file:///C:/x', 'file:////machine/share/x')
    """
    above = "" if place.startswith(b"/") else "/"
    return f"file://{above}{quote_from_bytes(place, safe='/:')}"


def ask(
    connection: sqlite3.Connection, query: str, *values: bytes | int
) -> Iterator[tuple[object, ...]]:
    """Yield the rows that a query finds.

    Raises:
        LedgerError: the database is damaged.
    """
    try:
        # With ``yield from``, a caller that stops early would close the cursor, which fails once
        # the database is closed.
        for row in connection.execute(query, values):  # noqa: UP028
            yield row
    except sqlite3.Error as error:
        raise LedgerError(f"database: cannot be read: {error}") from error


def read_blocks(connection: sqlite3.Connection) -> Iterator[BlockRow]:
    """Yield the rows of all blocks in order of arrival, genesis first.

    Raises:
        LedgerError: the database is damaged, or a column has the wrong type.
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
    """Make a BlockRow from a row of SQLite, which allows any type in any column.

    Raises:
        LedgerError: a column has the wrong type.
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
    """Return the values of the meta table by key.

    Raises:
        LedgerError: a key is unknown or missing, a value is not bytes, or the format is another.
    """
    rows = ask(connection, "SELECT key, value FROM meta ORDER BY key")
    meta = {str(key): value for key, value in rows if isinstance(value, bytes)}
    if tuple(meta) != META_KEYS:
        raise LedgerError(f"meta: has {list(meta)} as bytes; must have {list(META_KEYS)}")
    if meta["format"] != FORMAT:
        raise LedgerError(f"meta: format is {meta['format']!r}; must be {FORMAT!r}")
    return meta


def newest_seal(connection: sqlite3.Connection) -> bytes:
    """Return the seal of the newest row, 32 bytes."""
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
        sqlite3.Error: the disk is full or may not be written; the database is unchanged.
    """
    with transaction(connection):
        for row, messages in blocks:
            write_block(connection, row, messages)
        seal = journal_seal(blocks[-1][0].seal, head, keeping)
        write_meta(connection, head=head, seal=seal)


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """Run the body in one transaction: all of its changes are made, or none."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except sqlite3.Error:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def write_block(connection: sqlite3.Connection, row: BlockRow, messages: list[MessageRow]) -> None:
    """Insert the rows of one block; the caller has begun the transaction."""
    connection.execute("INSERT INTO block VALUES (?,?,?,?,?,?,?,?,?,?)", _columns(row))
    connection.executemany("INSERT INTO message VALUES (?,?,?,?,?)", messages)


def write_meta(connection: sqlite3.Connection, **values: bytes) -> None:
    """Set values of the meta table; the caller has begun the transaction."""
    connection.executemany("INSERT OR REPLACE INTO meta VALUES (?,?)", values.items())


def sealed_row(
    sequence: int, block: Block, messages: bytes, work: int, arrived_ms: int, previous: bytes
) -> BlockRow:
    """Return the row of a block, with its seal.

    Args:
        sequence: its index in the order of arrival.
        block: the block.
        messages: address of the blob with its messages, 32 bytes.
        work: cumulative work, its own included.
        arrived_ms: clock of the node that accepted it, milliseconds.
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
    """Return the fields of a row in order; ``astuple`` copies each, and takes ten times as long."""
    return tuple(vars(row).values())


def message_rows(sequence: int, block: Block) -> list[MessageRow]:
    """Return the rows of a block's messages."""
    return [
        (sequence, position, message_id(m), m.parent, identity_of(m.public_key))
        for position, m in enumerate(block.messages)
    ]


def journal_seal(last: bytes, head: bytes, keeping: bytes) -> bytes:
    """Return the seal over the last row's seal, the head and the retention policy, 32 bytes."""
    return hashlib.sha256(b"fedchain:j" + last + head + keeping).digest()


def damage(connection: sqlite3.Connection) -> str | None:
    """Return what is wrong with the structure of the database, or None if nothing is."""
    tables = ask(connection, "SELECT sql FROM sqlite_master WHERE sql IS NOT NULL")
    if sorted(str(sql) for (sql,) in tables) != sorted(_SCHEMA):
        return "database: its tables or indexes were changed"
    stray = "SELECT count(*) FROM message WHERE sequence NOT IN (SELECT sequence FROM block)"
    ((rows,),) = ask(connection, stray)
    if rows:
        return f"database: {rows} rows of messages belong to no block"
    ((verdict,),) = ask(connection, "PRAGMA integrity_check(1)")
    return None if verdict == "ok" else f"database: {verdict}"
