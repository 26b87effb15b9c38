"""Connections to a ledger's database: one for writing, and one that leaves the folder unchanged."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote_from_bytes

from fedchain.errors import LedgerError
from fedchain.files import open_to_read
from fedchain.ledger.storage.log import read_with_log
from fedchain.ledger.storage.tables import Connection, check_tables, size_of

_SEVERAL_FILES = bytes.fromhex("d9d505f920a163d7")
"""Last bytes of a rollback journal that names a second file, which SQLite would delete."""


def connect_to_write(path: Path) -> sqlite3.Connection:
    """Open the database for writing; SQLite recovers what a killed process left in its log.

    The write-ahead log is synced when it is copied into the database, not at every block. A loss of
    power may lose the newest blocks, but never a part of a block. A resumed run makes them again.

    Raises:
        sqlite3.Error: the file is no database, or may not be written.
        OSError: the file may not be read.
        LedgerError: it has other tables than a ledger.
    """
    _check_journal(path.with_name(f"{path.name}-journal"))
    is_new = not size_of(path)
    # The writing thread opens its own connection, and another thread closes that connection.
    connection = sqlite3.connect(
        path, isolation_level=None, check_same_thread=False, factory=Connection
    )
    with closed_on_failure(connection):
        connection.guard(lambda: size_of(path))
        if not is_new:
            _check_tables_or_disk(connection)
        connection.execute("PRAGMA fullfsync = ON")  # macOS only, as in ``sync_open``
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
    return connection


def connect_to_read(path: Path) -> sqlite3.Connection:
    """Open the database for reading, without writing a byte into its folder.

    SQLite has to write next to a database that has a log. So if a process has left a log or is
    writing one, the database and what the log adds to it are read into memory.

    Raises:
        sqlite3.Error: the file is no database.
        OSError: the file cannot be read.
        LedgerError: it has other tables than a ledger, or with its log it is too large.
    """
    log = path.with_name(f"{path.name}-wal")
    if log.exists() and log.stat().st_size:
        data = read_with_log(path, log)
        connection = sqlite3.connect(":memory:", factory=Connection)
        with closed_on_failure(connection):
            connection.guard(lambda: len(data))
            connection.deserialize(data)
            check_tables(connection)
        return connection
    source = f"{uri_of(os.fsencode(path.resolve().as_posix()))}?immutable=1"
    connection = sqlite3.connect(source, uri=True, factory=Connection)
    with closed_on_failure(connection):
        connection.guard(lambda: size_of(path))
        check_tables(connection)
    return connection


@contextmanager
def closed_on_failure(connection: sqlite3.Connection) -> Iterator[None]:
    """Close a connection if the body fails."""
    try:
        yield
    except BaseException:
        connection.close()
        raise


def _check_tables_or_disk(connection: sqlite3.Connection) -> None:
    """Check the tables; if the disk fails, raise SQLite's error, since the run can be resumed."""
    try:
        check_tables(connection)
    except LedgerError as error:
        if isinstance(error.__cause__, sqlite3.OperationalError):
            raise error.__cause__ from None
        raise


def _check_journal(journal: Path) -> None:
    """Refuse a rollback journal of a transaction over several files: a ledger has none.

    At the next opening SQLite would read and delete the file that it names, wherever that is.
    """
    if not journal.exists():
        return
    with open_to_read(journal) as file:
        file.seek(0, os.SEEK_END)
        file.seek(max(0, file.tell() - len(_SEVERAL_FILES)))
        if file.read() == _SEVERAL_FILES:
            raise LedgerError(f"database: {journal.name} names another file; no ledger's does")


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
