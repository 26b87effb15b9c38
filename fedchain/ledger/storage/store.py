"""Store: writes and reads the ledger on disk: a database, and files for large data (blobs).

If the process is killed, the ledger still has every block that was written.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path

from fedchain.errors import NotRecorded, RunError, RunRefused
from fedchain.files import check_folder
from fedchain.ledger.chain.block import Block, Header, decode_header
from fedchain.ledger.chain.rules import Rules, decode_rules, encode_rules
from fedchain.ledger.chain.state import State
from fedchain.ledger.chain.work import work_of
from fedchain.ledger.storage import connection as connections
from fedchain.ledger.storage import database
from fedchain.ledger.storage.blobs import (
    Blobs,
    bodies_of,
    check_state,
    read_block,
    read_state,
    state_bodies,
)
from fedchain.ledger.storage.database import NEWEST, BlockRow
from fedchain.ledger.storage.pruning import finish, prune
from fedchain.ledger.storage.writer import EVERYTHING, RetentionPolicy, Waiting, Writer


class Store:
    """Reads and appends blocks, and checks everything that it reads.

    Blocks that wait for the disk can be read like blocks on disk.
    """

    def __init__(self, folder: Path, connection: sqlite3.Connection, writable: bool = True) -> None:
        self.folder, self.connection, self.writable = folder, connection, writable
        self.blobs = Blobs(folder / "blobs")
        meta = database.read_meta(connection)
        self.rules: Rules = decode_rules(meta["rules"])
        self.keeping = RetentionPolicy.decode(meta["keeping"])
        """Which states and directions stay on disk."""
        self.highest = database.highest(connection)
        """Greatest height of all blocks when the ledger was opened."""
        self._top = self.highest  # greatest height now
        self._last: tuple[bytes, Block] | None = None
        self._newest_and_head: tuple[BlockRow, BlockRow] | None = None
        self.writer = Writer(folder, self.keeping, self.rules)
        """The writer, which holds the blocks that are not on disk yet."""

    @classmethod
    def create(
        cls,
        folder: Path,
        rules: Rules,
        genesis: Block,
        state: State,
        keeping: RetentionPolicy = EVERYTHING,
    ) -> Store:
        """Create a ledger with only a genesis block, which follows from the rules and the state.

        Raises:
            RunError: the folder has a ledger already, or cannot be written.
        """
        try:
            (folder / "blobs").mkdir(parents=True, exist_ok=True)
            check_state(genesis.header, state)
            Blobs(folder / "blobs").put(bodies_of(genesis, state))
            path, written = folder / database.LEDGER_FILE, encode_rules(rules)
            connection = database.create(path, genesis, written, keeping.encode())
        except (OSError, sqlite3.Error) as error:
            raise RunError(f"{folder}: cannot make a ledger here: {error}") from error
        with connections.closed_on_failure(connection):
            return cls(folder, connection)

    @classmethod
    def open(cls, folder: Path, writable: bool = True) -> Store:
        """Open a ledger; if ``writable`` is False, nothing is written into the folder.

        Raises:
            RunError: the folder has no ledger, cannot be opened, or contains a link or a pipe.
            LedgerError: the tables or the rules are damaged.
        """
        check_folder(folder)
        if not (path := folder / database.LEDGER_FILE).is_file():
            raise RunRefused(f"{folder}: has no ledger; {database.LEDGER_FILE} is missing")
        connect = connections.connect_to_write if writable else connections.connect_to_read
        try:
            connection = connect(path)
        except (OSError, sqlite3.Error) as error:
            raise RunError(f"{path}: cannot be opened: {error}") from error
        with connections.closed_on_failure(connection):
            store = cls(folder, connection, writable)
            if writable:
                try:
                    store.blobs.clear_unfinished()
                    finish(connection, store.blobs, store.keeping.below)
                except OSError as error:
                    raise RunError(f"{folder}: cannot be written: {error}") from error
            return store

    def __enter__(self) -> Store:
        return self

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        # If the body of the statement failed, its error is the one to report.
        with contextlib.suppress(*(() if error is None else (RunError,))):
            self.close()

    def __contains__(self, block: bytes) -> bool:
        """Return whether the block with this hash is stored or waits for the disk."""
        if block in self.writer.waiting:
            return True
        return any(database.ask(self.connection, "SELECT 1 FROM block WHERE hash = ?", block))

    def __len__(self) -> int:
        """Return the number of blocks, without genesis."""
        self.flush()
        return database.count_blocks(self.connection) - 1

    @property
    def head(self) -> bytes:
        """Hash of the head: the first block with the most work, or the one set by ``set_head``."""
        self.flush()
        return database.read_meta(self.connection)["head"]

    @property
    def genesis(self) -> Block:
        """The genesis block."""
        return self._block(database.find_row(self.connection, "sequence = 0"))

    def append(self, block: Block, state: State, now_ms: int) -> None:
        """Write a block in the background, unless the block is stored already.

        Args:
            block: a block that a chain has accepted.
            state: the state after the block.
            now_ms: time at which the node accepted the block, simulated milliseconds.

        Raises:
            RunError: the disk is full or cannot be written; the run can be resumed. The next
                ``append``, ``flush`` or ``close`` raises this error.
            NotRecorded: the ledger was opened for reading only.
            KeyError: the parent is not in the store.
            ValueError: the header commits to another state.
        """
        self._settle(self.writer.most_waiting - 1)
        header = block.header
        if header.height <= self._top and header.hash in self:
            return
        if not self.writable:
            where = f"block {header.hash.hex()[:8]} (height {header.height})"
            raise NotRecorded(f"{where}: is not in this ledger")
        newest, head = self._newest_and_head or self._read_newest_and_head()
        parent = newest if header.parent == newest.hash else self._row_of(header.parent)
        check_state(header, state)
        work = int.from_bytes(parent.work, "big") + work_of(header.bits)
        row = database.make_row(newest.sequence + 1, block, work, now_ms, newest.seal)
        best = row if row.work > head.work else head
        self.writer.put(Waiting(row=row, block=block, state=state, head=best.hash))
        self._newest_and_head, self._top = (row, best), max(self._top, header.height)

    def flush(self) -> None:
        """Wait until all appended blocks are on disk."""
        self._settle(0)

    def set_head(self, block: bytes) -> None:
        """Make the stored block with this hash the head."""
        self.flush()
        newest, head = self._read_newest_and_head()[0], self._row_of(block)
        seal = database.journal_seal(newest.seal, block, self.keeping.encode())
        try:
            with database.transaction(self.connection):
                database.write_meta(self.connection, head=block, seal=seal)
        except sqlite3.Error as error:
            raise RunError(f"{self.folder}: cannot move the head: {error}") from error
        self._newest_and_head = newest, head

    def keep_state(self, block: bytes, state: State) -> None:
        """Write the state after a stored block, whatever the retention policy says."""
        self.flush()
        header = decode_header(self._row_of(block).header)
        check_state(header, state)
        try:
            self.blobs.put(state_bodies(header, state))
        except OSError as error:
            raise RunError(f"{self.folder}: cannot write weights: {error}") from error

    def prune(self, head: int, depth: int, step: int = 1) -> None:
        """Delete the directions that the retention policy does not keep.

        Args:
            head: height of the head.
            depth: greatest number of heights below the head at which a fork may begin; 0 if no
                block will be appended.
            step: least number of heights to prune at once; for fewer heights nothing is deleted.
        """
        below = self.keeping.prunable(head, depth)
        if below < self.keeping.below + step:
            return
        self.flush()
        try:
            self.keeping = prune(self.connection, self.blobs, self.rules, self.keeping, below)
        except (OSError, sqlite3.Error) as error:
            raise RunError(f"{self.folder}: cannot prune: {error}") from error
        self.writer.keeping = self.keeping
        self._last = None

    def blocks(self) -> Iterator[Block]:
        """Yield all blocks above genesis in order of arrival, each as ``shown`` returns it."""
        self.flush()
        for row in database.read_all_blocks(self.connection):
            if row.sequence:
                yield self._block(row)

    def named(self, digits: str) -> bytes | None:
        """Return the hash of the first block above genesis that begins with hexadecimal digits."""
        self.flush()
        rows = (row.hash for row in database.read_all_blocks(self.connection) if row.sequence)
        return next((name for name in rows if name.hex().startswith(digits)), None)

    def block(self, block: bytes) -> Block:
        """Return a block with all directions; raise a KeyError if they are not in the store."""
        if not self.is_whole((found := self.shown(block)).header.height):
            raise KeyError(f"block {block.hex()[:8]}: its directions were not kept")
        return found

    def shown(self, block: bytes) -> Block:
        """Return a block; if its directions were pruned, the messages are without them.

        Raises:
            KeyError: the block is not in the store.
        """
        waiting = self.writer.waiting.get(block)
        return waiting.block if waiting else self._block(self._row_of(block))

    def arrived_ms(self, block: bytes) -> int:
        """Return the time at which a node accepted a block, simulated milliseconds."""
        return self._row_of(block).arrived_ms

    def state(self, block: bytes) -> State:
        """Return the state after a block; raise a KeyError if the state is not in the store."""
        if waiting := self.writer.waiting.get(block):
            return waiting.state
        header = decode_header(self._row_of(block).header)
        if not self.has_state(header):
            raise KeyError(f"block {block.hex()[:8]}: the state after it was not kept")
        return read_state(self.blobs, self.rules, header)

    def has_state(self, header: Header) -> bool:
        """Return whether the state after the block with this header is kept."""
        names = header.weights_hash, header.memory_hash
        return self.keeping.keeps_state(header.height) or all(map(self.blobs.has, names))

    def close(self) -> None:
        """Write the waiting blocks, and close the database."""
        try:
            self.writer.close()
        finally:
            self.connection.close()

    def _settle(self, most: int) -> None:
        try:
            self.writer.settle(most)
        except RunError:
            self._newest_and_head = None
            raise

    def _read_newest_and_head(self) -> tuple[BlockRow, BlockRow]:
        """Return the rows of the last block on disk and of the head."""
        head = database.read_meta(self.connection)["head"]
        return database.find_row(self.connection, NEWEST), self._row_of(head)

    def _row_of(self, block: bytes) -> BlockRow:
        waiting = self.writer.waiting.get(block)
        return waiting.row if waiting else database.find_row(self.connection, "hash = ?", block)

    def _block(self, row: BlockRow) -> Block:
        # The last block is kept, so that many look-ups of its messages read its blob only once.
        if self._last is None or self._last[0] != row.hash:
            whole = self.is_whole(row.height)
            self._last = row.hash, read_block(self.blobs, self.rules, row, whole)
        return self._last[1]

    def is_whole(self, height: int) -> bool:
        """Return whether blocks of this height still have their directions."""
        return not height or height >= self.keeping.below
