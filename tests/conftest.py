"""Rules for every test: a warning that points at a test is an error, and resources are closed."""

from __future__ import annotations

import os
import re
import signal
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

# Workers of pytest-xdist share the processor. With two threads of torch in each of two workers,
# small operations took up to ten times as long. Torch reads the number when it is loaded.
os.environ.setdefault("OMP_NUM_THREADS", "1")
# Tests start many processes, and each would compile fedchain again.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

POOLS = ("ledger_", "checks_", "reading_", "releases_", "evaluation_")
"""Prefixes of thread names in all pools of fedchain but the one pool that a process keeps."""


def pytest_configure(config: pytest.Config) -> None:
    """Make warnings that point at a module of this folder errors, and let Ctrl-C interrupt tests.

    The modules are named one by one, since only their names tell them from other packages. A
    program that a shell starts in the background ignores Ctrl-C; tests that send it to themselves
    would wait for ever.
    """
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    own = sorted({re.escape(path.stem) for path in Path(__file__).parent.rglob("*.py")})
    config.addinivalue_line("filterwarnings", rf"error:::({'|'.join(own)})\Z")


class Watched(sqlite3.Connection):
    """A connection that records whether ``close`` was called; garbage collection does not count."""

    closed = False

    def close(self) -> None:
        super().close()
        self.closed = True


@pytest.fixture(autouse=True)
def _everything_is_closed(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Fail a test that leaves a database connection open, or threads in a pool of fedchain.

    Python 3.13 warns of connections that are left open; earlier versions do not.
    """
    opened: list[Watched] = []
    connect, before = sqlite3.connect, set(threading.enumerate())

    def watched(*arguments: Any, factory: type = sqlite3.Connection, **named: Any) -> Watched:
        kind = type("Watched", (Watched, factory), {})
        opened.append(connect(*arguments, factory=kind, **named))
        return opened[-1]

    monkeypatch.setattr(sqlite3, "connect", watched)
    yield
    assert all(each.closed for each in opened), "a database is open"
    left = {thread.name for thread in threading.enumerate() if thread not in before}
    assert not {name for name in left if name.startswith(POOLS)}, "threads of a pool are left"
