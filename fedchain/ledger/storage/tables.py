"""Tables of a ledger's database: their definition, and queries that come to an end.

A database may come from a stranger. Before a row is read, its tables are compared with those below:
a view could answer in place of a table without ever ending, and a trigger could act in place of
a statement.
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
"""The statements that make the tables."""
LONGEST_VALUE = 2**21
"""Most bytes of a value or a statement; the longest value, the rules, has at most half of them."""
STEPS_FREE, STEPS_A_BYTE, STEPS_COUNTED = 10**7, 4, 10**5
"""A query may take STEPS_FREE steps of SQLite, and STEPS_A_BYTE more for each byte of the database;
reading every row takes less than one step a byte. Steps are counted by the STEPS_COUNTED."""
_DEFINED = "SELECT type, name, tbl_name, sql FROM sqlite_master LIMIT 20"


class Connection(sqlite3.Connection):
    """A connection on which values have a longest length and queries take so many steps at most."""

    size: Callable[[], int]
    """Returns the size of the database, bytes."""

    def guard(self, size: Callable[[], int]) -> None:
        """Set the limits; call it before the first statement."""
        self.size = size
        self.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, LONGEST_VALUE)
        self.text_factory = functools.partial(str, encoding="utf-8", errors="replace")
        self.execute("PRAGMA trusted_schema = OFF")
        self.execute("PRAGMA cell_size_check = ON")

    def count_steps(self) -> None:
        """Begin to count the steps of a query."""
        steps = 0

        def too_many() -> bool:
            nonlocal steps
            steps += STEPS_COUNTED
            return steps > STEPS_FREE and steps > STEPS_FREE + STEPS_A_BYTE * self.size()

        self.set_progress_handler(too_many, STEPS_COUNTED)


def size_of(path: Path) -> int:
    """Return the bytes that a database and its log take on the disk; 0 without a file."""
    files = (path, path.with_name(f"{path.name}-wal"))
    return sum(occupied(os.stat(file)) for file in files if file.exists())  # noqa: PTH116


def ask(
    connection: sqlite3.Connection, query: str, *values: bytes | int
) -> Iterator[tuple[object, ...]]:
    """Yield the rows that a query finds.

    Raises:
        LedgerError: the database is damaged, or so made that the query does not end.
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
    """Check that the database has a ledger's tables and indexes, and no view, trigger or other.

    Raises:
        LedgerError: it has others, or cannot be read.
    """
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
