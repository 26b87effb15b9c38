"""Connections to a ledger's database, for writing and for reading."""

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
"""Last bytes of a rollback journal that names a second file."""


def connect_to_write(path: Path) -> sqlite3.Connection:
    """Open a ledger's database for writing; create the file if it is missing.

    A loss of power may lose the newest blocks, but never a part of a block.

    Raises:
        sqlite3.Error: the file is no database, or cannot be written.
        OSError: the file cannot be read.
        LedgerError: the tables are not those of a ledger, or the journal names another file.
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
    """Open a ledger's database for reading, without writing into the folder.

    Raises:
        sqlite3.Error: the file is no database.
        OSError: the file cannot be read.
        LedgerError: the database has other tables than a ledger, or has a log and is too large.
    """
    # SQLite would write files beside a database with a log, so both are read into memory.
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
    """Close a connection if the body of the ``with`` statement fails."""
    try:
        yield
    except BaseException:
        connection.close()
        raise


def _check_tables_or_disk(connection: sqlite3.Connection) -> None:
    """Check the tables; raise SQLite's own error if the disk fails."""
    try:
        check_tables(connection)
    except LedgerError as error:
        if isinstance(error.__cause__, sqlite3.OperationalError):
            raise error.__cause__ from None
        raise


def _check_journal(journal: Path) -> None:
    """Refuse a rollback journal that names another file.

    SQLite would read and delete the named file, wherever the file is.
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

    Args:
        place: absolute path of the file, with forward slashes only.

    >>> uri_of(b"/home/a b/x"), uri_of(b"C:/x"), uri_of(b"//machine/share/x")
    ('file:///home/a%20b/x', 'file:///C:/x', 'file:////machine/share/x')
    """
    # Not ``Path.as_uri``: for a Windows network share SQLite wants the machine inside the path.
    above = "" if place.startswith(b"/") else "/"
    return f"file://{above}{quote_from_bytes(place, safe='/:')}"
