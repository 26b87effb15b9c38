"""Tables of a ledger's database: their definition, their check, and queries with limited steps.

A database may come from a stranger, so its tables are checked before a row is read.
"""

from __future__ import annotations

import functools
import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

from fedchain.errors import OLD_FORMAT, LedgerError
from fedchain.system import occupied

SCHEMA = (
    "CREATE TABLE block (sequence INTEGER PRIMARY KEY, hash BLOB NOT NULL UNIQUE,"
    " height INTEGER NOT NULL, parent BLOB NOT NULL, address BLOB NOT NULL,"
    " work BLOB NOT NULL, header BLOB NOT NULL, messages BLOB NOT NULL,"
    " public_key BLOB NOT NULL, signature BLOB NOT NULL,"
    " arrived_ms INTEGER NOT NULL, seal BLOB NOT NULL)",
    "CREATE INDEX block_of_address ON block (parent, address)",
    "CREATE TABLE message (sequence INTEGER NOT NULL, position INTEGER NOT NULL,"
    " id BLOB NOT NULL, parent BLOB NOT NULL, identity BLOB NOT NULL,"
    " PRIMARY KEY (sequence, position)) WITHOUT ROWID",
    "CREATE INDEX message_of_identity ON message (parent, identity)",
    "CREATE TABLE meta (key TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID",
)
"""The SQL statements that create the tables and indexes."""
LONGEST_VALUE = 2**21
"""Most bytes of a value or an SQL statement."""
# Reading every row takes less than one step per byte.
STEPS_FREE, STEPS_A_BYTE, STEPS_COUNTED = 10**7, 4, 10**5
"""A query may take STEPS_FREE steps of SQLite, plus STEPS_A_BYTE steps for each byte of the
database. The limit is checked after every STEPS_COUNTED steps."""
_DEFINED = "SELECT type, name, tbl_name, sql FROM sqlite_master LIMIT 20"


class Connection(sqlite3.Connection):
    """A connection with limits on the length of values and on the steps of a query."""

    size: Callable[[], int]
    """Function that returns the size of the database, bytes."""

    def guard(self, size: Callable[[], int]) -> None:
        """Set the limits; ``size`` is a function that returns the size of the database, bytes."""
        self.size = size
        self.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, LONGEST_VALUE)
        self.text_factory = functools.partial(str, encoding="utf-8", errors="replace")
        self.execute("PRAGMA trusted_schema = OFF")
        self.execute("PRAGMA cell_size_check = ON")

    def count_steps(self) -> None:
        """Start to count the steps of a new query."""
        steps = 0

        def too_many() -> bool:
            nonlocal steps
            steps += STEPS_COUNTED
            return steps > STEPS_FREE and steps > STEPS_FREE + STEPS_A_BYTE * self.size()

        self.set_progress_handler(too_many, STEPS_COUNTED)


def size_of(path: Path) -> int:
    """Return the number of bytes that a database and its log occupy on the disk."""
    files = (path, path.with_name(f"{path.name}-wal"))
    return sum(occupied(os.stat(file)) for file in files if file.exists())  # noqa: PTH116


def ask(
    connection: sqlite3.Connection, query: str, *values: bytes | int
) -> Iterator[tuple[object, ...]]:
    """Yield the rows that an SQL query finds; ``values`` replace the question marks in the query.

    Raises:
        LedgerError: the database is damaged, or the query takes too many steps.
    """
    if isinstance(connection, Connection):
        connection.count_steps()
    try:
        # With ``yield from``, a caller that stops early would close the cursor, which fails once
        # the database is closed.
        for row in connection.execute(query, values):  # noqa: UP028
            yield row
    except (sqlite3.Error, UnicodeDecodeError) as error:  # an error may quote damaged text
        words = "a query takes too many steps" if str(error) == "interrupted" else error
        raise LedgerError(f"database: cannot be read: {words}") from error


def check_tables(connection: sqlite3.Connection) -> None:
    """Check that the database has a ledger's tables and indexes, and nothing else.

    Raises:
        LedgerError: the tables or indexes differ, there is a view or trigger, or the database
            cannot be read.
    """
    # A query of a view might never end, and a trigger could change data.
    found = sorted(map(repr, ask(connection, _DEFINED)))
    if found == _expected():
        return
    if repr(("table", "meta", "meta", SCHEMA[-1])) in found:
        version = list(ask(connection, "SELECT value FROM meta WHERE key = 'format' LIMIT 1"))
        if version == [(b"1",)]:
            raise LedgerError(f"ledger: {OLD_FORMAT}")
    raise LedgerError("database: its tables or indexes were changed")


@functools.cache
def _expected() -> list[str]:
    with closing(sqlite3.connect(":memory:")) as fresh:
        for statement in SCHEMA:
            fresh.execute(statement)
        return sorted(map(repr, fresh.execute(_DEFINED)))
