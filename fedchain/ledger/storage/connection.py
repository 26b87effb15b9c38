"""Connections to a ledger's database: one for writing, and one that leaves the folder unchanged."""

from __future__ import annotations

import os
import shutil
import sqlite3
import tempfile
from contextlib import closing
from pathlib import Path
from urllib.parse import quote_from_bytes


def connect_to_write(path: Path) -> sqlite3.Connection:
    """Open the database for writing; SQLite recovers what a killed process left in its log.

    The write-ahead log is synced when it is copied into the database, not at every block. A loss of
    power may lose the newest blocks, but never a part of a block. A resumed run makes them again.
    """
    # The writing thread opens its own connection, and another thread closes that connection.
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    try:
        connection.execute("PRAGMA fullfsync = ON")  # macOS only, as in ``sync_open``
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
    except BaseException:
        connection.close()
        raise
    return connection


def connect_to_read(path: Path) -> sqlite3.Connection:
    """Open the database for reading, without writing a byte into its folder.

    SQLite has to write next to a database that has a log. So if a killed process left a log,
    database and log are copied to a temporary folder and read into memory from there.

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
            # A file that is no ledger fails here, before the copy in memory is made.
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
