"""Writer of the store: writes blocks to the disk in a background thread.

A retention policy says which states and directions stay on disk.
"""

from __future__ import annotations

import sqlite3
import threading
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from fedchain.errors import LedgerError, RunError
from fedchain.ledger.chain.block import Block
from fedchain.ledger.chain.encoding import Reader, unsigned
from fedchain.ledger.chain.rules import Rules
from fedchain.ledger.chain.state import State
from fedchain.ledger.storage import connection, database
from fedchain.ledger.storage.blobs import Blobs, bodies_of
from fedchain.ledger.storage.database import BlockRow

FEWEST_WAITING, MOST_WAITING, WAITING_BYTES = 2, 256, 2**22
"""At least FEWEST_WAITING and at most MOST_WAITING blocks may wait for the disk. Between these two
numbers, WAITING_BYTES limits the total size of the waiting blocks."""
GATHERING_S = 0.02
"""Time that the thread waits for more blocks after the first block, seconds; less if a caller
waits for the disk."""


@dataclass(frozen=True)
class RetentionPolicy:
    """Which states and which directions of messages stay on disk; all other data always stay.

    Without the directions of a block, nobody can check the state after the block.
    """

    weights_every: int = 1
    """States are kept at all heights that are multiples of this number; 0: only the states of
    genesis and of the final head are kept."""
    messages_last: int = 0
    """Least number of heights below the head whose directions are kept; 0: all heights."""
    below: int = 0
    """Height below which all directions have been deleted."""

    def keeps_state(self, height: int) -> bool:
        """Return whether the states after blocks of this height are kept."""
        return not height or (self.weights_every > 0 and height % self.weights_every == 0)

    def prunable(self, head: int, depth: int) -> int:
        """Return the height below which directions may be deleted.

        Args:
            head: height of the head.
            depth: greatest number of heights below the head at which a fork may begin.

        >>> RetentionPolicy(weights_every=10, messages_last=5).prunable(48, 8)
        41
        """
        # The states one height below the result are kept, so that later states can be recomputed.
        oldest = head - max(self.messages_last, depth)
        if not self.messages_last or not self.weights_every or oldest <= 0:
            return self.below
        return max(self.below, oldest - oldest % self.weights_every + 1)

    def encode(self) -> bytes:
        """Encode the policy as 12 bytes.

        Raises:
            EncodingError: a number is negative or above 2^32 - 1.
        """
        numbers = self.weights_every, self.messages_last, self.below
        return b"".join(unsigned(number, 4) for number in numbers)

    @classmethod
    def decode(cls, data: bytes) -> RetentionPolicy:
        """Decode a policy from its 12 bytes.

        Raises:
            LedgerError: the bytes encode no policy, or a policy that deletes all states. Later
                states could then not be recomputed.
        """
        reader = Reader(data)
        found = cls(*(reader.unsigned(4) for _ in range(3)))
        reader.end()
        if found.below > 1 and not found.keeps_state(found.below - 1):
            gone = f"directions below {found.below} are gone, and so is the state"
            raise LedgerError(f"keeping: {gone}")
        return found


EVERYTHING = RetentionPolicy()
"""The policy that keeps every state and every direction."""


@dataclass(frozen=True, kw_only=True)
class Waiting:
    """A block that waits to be written to the disk."""

    row: BlockRow
    """The block's row of the database."""
    block: Block
    """The block."""
    state: State
    """The state after the block."""
    head: bytes
    """Hash of the head after this block is written."""


def most_waiting(rules: Rules) -> int:
    """Return the greatest number of blocks that may wait for the disk on a chain with these rules.

    The number depends on the size of the largest block.
    """
    limits = rules.limits
    size = (2 * limits.messages + 8) * limits.entries
    return max(FEWEST_WAITING, min(MOST_WAITING, WAITING_BYTES // max(size, 1)))


class Writer:
    """Writes blocks in order, each block whole or not at all.

    If a block cannot be written, no later block is written. ``settle`` then raises the error and
    drops all waiting blocks.
    """

    def __init__(self, folder: Path, keeping: RetentionPolicy, rules: Rules) -> None:
        self._folder = folder
        self.keeping = keeping
        """The retention policy. It may be changed only while no block waits."""
        self.most_waiting = most_waiting(rules)
        """Greatest number of blocks that may wait for the disk."""
        self._blobs = Blobs(folder / "blobs")
        self._connection: sqlite3.Connection | None = None
        self._thread = ThreadPoolExecutor(1, "ledger")
        self._jobs: deque[Future[None]] = deque()
        self._failed = self._scheduled = False
        self._write_now = threading.Event()
        self.waiting: dict[bytes, Waiting] = {}
        """The blocks that are not on disk yet, by hash, in order."""

    def put(self, waiting: Waiting) -> None:
        """Add a block to the waiting blocks; the caller must first make room with ``settle``."""
        self.waiting[waiting.row.hash] = waiting
        if not self._scheduled:  # otherwise a job that has not begun yet writes this block too
            self._scheduled = True
            self._jobs.append(self._thread.submit(self._write))

    def settle(self, most: int = 0) -> None:
        """Return as soon as at most ``most`` blocks wait for the disk.

        Raises:
            RunError: the disk is full or cannot be written; the run can be resumed.
        """
        while self._jobs and (len(self.waiting) > most or self._jobs[0].done()):
            if not self._jobs[0].done():
                self._write_now.set()
            try:
                self._jobs[0].result()
            except RunError:
                for job in self._jobs:
                    job.exception()  # the jobs after it end without writing
                self._jobs.clear()
                self.waiting.clear()
                self._failed = False
                raise
            self._jobs.popleft()

    def close(self) -> None:
        """Write the waiting blocks, then close the database; the errors are those of ``settle``."""
        try:
            self.settle()
        finally:
            self._thread.shutdown()
            if self._connection is not None:
                self._connection.close()

    def _write(self) -> None:
        """Write all waiting blocks in one transaction."""
        self._write_now.wait(GATHERING_S)
        self._write_now.clear()
        # Cleared before the blocks are read, because a block that comes later needs its own job.
        self._scheduled = False
        several = list(self.waiting.values())
        if self._failed or not several:
            return
        try:
            if self._connection is None:
                self._connection = connection.connect_to_write(self._folder / database.LEDGER_FILE)
            keeps = self.keeping.keeps_state
            bodies = [bodies_of(w.block, w.state if keeps(w.row.height) else None) for w in several]
            # Blobs before rows: a killed process must leave no row without its blobs.
            self._blobs.put({name: parts for body in bodies for name, parts in body.items()})
            rows = [(w.row, database.message_rows(w.row.sequence, w.block)) for w in several]
            database.append(self._connection, rows, several[-1].head, self.keeping.encode())
        except (OSError, sqlite3.Error) as error:
            self._failed = True
            raise RunError(
                f"{self._folder}: cannot write block {several[0].row.height}: {error}; "
                "all blocks before it are whole, and the run can be resumed"
            ) from error
        for written in several:
            del self.waiting[written.row.hash]
