"""What holds after every test: whatever it opened is closed again."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from typing import Any

import pytest

POOLS = ("ledger_", "checks_", "reading_", "speakers_", "evaluation_")
"""How the threads of fedchain's pools are named, but for the one pool that a process keeps."""


class Watched(sqlite3.Connection):
    """A connection that remembers whether somebody closed it; being forgotten does not count."""

    closed = False

    def close(self) -> None:
        super().close()
        self.closed = True


@pytest.fixture(autouse=True)
def _everything_is_closed(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Fail a test after which a connection is open, or a pool of fedchain has threads.

    Python 3.13 warns of such connections, earlier ones are silent.
    """
    opened: list[Watched] = []
    connect, before = sqlite3.connect, set(threading.enumerate())

    def watched(*arguments: Any, **named: Any) -> Watched:
        opened.append(connect(*arguments, factory=Watched, **named))
        return opened[-1]

    monkeypatch.setattr(sqlite3, "connect", watched)
    yield
    assert all(each.closed for each in opened), "a database is open"
    left = {thread.name for thread in threading.enumerate() if thread not in before}
    assert not {name for name in left if name.startswith(POOLS)}, "threads of a pool are left"
