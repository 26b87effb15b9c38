"""What holds for every test: warnings that point at it are errors, and what it opened is closed."""

from __future__ import annotations

import re
import signal
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

POOLS = ("ledger_", "checks_", "reading_", "releases_", "evaluation_")
"""How the threads of fedchain's pools are named, but for the one pool that a process keeps."""


def pytest_configure(config: pytest.Config) -> None:
    """Name every module of this folder, since only their names tell them from other packages.

    And hear Ctrl-C, which a shell lets programs ignore that it starts in the background: tests
    that send it to themselves would wait for ever.
    """
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    own = sorted({re.escape(path.stem) for path in Path(__file__).parent.rglob("*.py")})
    config.addinivalue_line("filterwarnings", rf"error:::({'|'.join(own)})\Z")


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
