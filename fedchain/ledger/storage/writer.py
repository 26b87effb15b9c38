"""Blocks on their way to the disk: one thread writes them, in order, while the run goes on."""

from __future__ import annotations

import sqlite3
import threading
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from fedchain.errors import RunError
from fedchain.ledger.chain.block import Block
from fedchain.ledger.chain.rules import Rules, limits_of
from fedchain.ledger.chain.state import State
from fedchain.ledger.storage import database
from fedchain.ledger.storage.blobs import Blobs
from fedchain.ledger.storage.bodies import bodies_of
from fedchain.ledger.storage.database import BlockRow

FEWEST_WAITING, MOST_WAITING, WAITING_BYTES = 2, 256, 2**22
"""Blocks that wait for the disk; whoever appends more waits with them. Small ones are many: all
that wait are written in one transaction, which costs as much as one of them."""
GATHERING_S = 0.02
"""Wall time for which the first block waits for others, unless somebody waits for it."""


@dataclass(frozen=True, kw_only=True)
class Waiting:
    """A block that is appended, and perhaps not on disk yet."""

    row: BlockRow
    """Its row of the database."""
    block: Block
    """The block."""
    state: State
    """After the block."""
    kept: bool
    """Whether the state is written."""
    head: bytes
    """Hash of the head, once it is written."""


def most_waiting(rules: Rules) -> int:
    """Return how many blocks of a chain may wait for the disk."""
    limits = limits_of(rules)
    size = (2 * limits.messages + 8) * limits.entries
    return max(FEWEST_WAITING, min(MOST_WAITING, WAITING_BYTES // max(size, 1)))


class Writer:
    """Writes blocks in the order in which they came, each whole or not at all.

    After a block that could not be written none of those behind it is; all of them are
    forgotten when the error is told, and may be appended again.
    """

    def __init__(self, folder: Path, keeping: bytes) -> None:
        self._folder = folder
        self.keeping = keeping
        """What the ledger keeps, as it stands in the database; set while nothing waits."""
        self._blobs = Blobs(folder / "blobs")
        self._connection: sqlite3.Connection | None = None
        self._thread = ThreadPoolExecutor(1, "ledger")
        self._jobs: deque[Future[None]] = deque()
        self._failed = self._called = False
        self._hurry = threading.Event()
        self.waiting: dict[bytes, Waiting] = {}
        """What is appended and not on disk yet, by hash, in order."""

    def put(self, waiting: Waiting) -> None:
        """Write a block soon; ``settle`` has been asked before whether there is room.

        Args:
            waiting: the block and all that is written of it.
        """
        self.waiting[waiting.row.hash] = waiting
        if not self._called:  # else the thread has not looked yet, and will find this one too
            self._called = True
            self._jobs.append(self._thread.submit(self._write))

    def settle(self, most: int = 0) -> None:
        """Wait until at most so many blocks wait.

        Raises:
            RunError: the disk is full or may not be written; the run can be resumed.
        """
        while self._jobs and (len(self.waiting) > most or self._jobs[0].done()):
            if not self._jobs[0].done():
                self._hurry.set()
            try:
                self._jobs[0].result()
            except RunError:
                for job in self._jobs:
                    job.exception()  # those behind it end without writing
                self._jobs.clear()
                self.waiting.clear()
                self._failed = False
                raise
            self._jobs.popleft()

    def close(self) -> None:
        """Write what waits, then close the database.

        Raises:
            RunError: as ``settle``.
        """
        try:
            self.settle()
        finally:
            self._thread.shutdown()
            if self._connection is not None:
                self._connection.close()

    def _write(self) -> None:
        """Write all blocks that wait."""
        self._hurry.wait(GATHERING_S)
        self._hurry.clear()
        self._called = False  # before the look: what comes after it has to call again
        several = list(self.waiting.values())
        if self._failed or not several:
            return
        try:
            if self._connection is None:
                self._connection = database.connect_to_write(self._folder / database.FILE)
            bodies = [bodies_of(w.block, w.state if w.kept else None) for w in several]
            self._blobs.put({name: parts for body in bodies for name, parts in body.items()})
            rows = [(w.row, database.message_rows(w.row.sequence, w.block)) for w in several]
            database.append(self._connection, rows, several[-1].head, self.keeping)
        except (OSError, sqlite3.Error) as error:
            self._failed = True
            raise RunError(
                f"{self._folder}: cannot write block {several[0].row.height}: {error}; "
                "all blocks before it are whole, and the run can be resumed"
            ) from error
        for written in several:
            del self.waiting[written.row.hash]
