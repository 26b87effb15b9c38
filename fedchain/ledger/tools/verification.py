"""Verification: reads all data of a ledger, and recomputes the state after each block."""

from __future__ import annotations

import os
import re
from collections import deque
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from fedchain.errors import FedchainError, InvalidBlock, LedgerError
from fedchain.ledger.chain.block import Block, Header
from fedchain.ledger.chain.chain import Chain
from fedchain.ledger.chain.rules import ZERO, Rules, genesis
from fedchain.ledger.chain.validity import Transition
from fedchain.ledger.chain.verdict_cache import VerdictCache
from fedchain.ledger.storage import database
from fedchain.ledger.storage.blobs import read_block, read_state, read_state_bytes
from fedchain.ledger.storage.database import BlockRow
from fedchain.ledger.storage.store import Store

BlockProgress = Callable[[int, int], None]
"""Function that takes the number of finished blocks and the number of all blocks."""

TransitionOf = Callable[[Rules], Transition]
"""Function that takes the rules of a chain and returns the function that computes the state after a
block."""

SIMULATED_WORK = "work, which was simulated: no nonce exists"
"""Entry of ``Verification.unchecked`` for sampled work."""
_THREADS = (os.cpu_count() or 1) - 1
_LABEL = re.compile(r"^block [0-9a-f]{8} \(height \d+\): ")


@dataclass(frozen=True, kw_only=True)
class Verification:
    """The verdict on a ledger."""

    ok: bool
    """Whether all checks passed."""
    blocks: int
    """Number of blocks that passed, without genesis."""
    height: int
    """Height of the head. After a failure: height of the wrong block, or 0 if it is unknown."""
    block: str
    """Hash of the head in hexadecimal. After a failure: hash of the wrong block, or empty if it is
    unknown."""
    reason: str
    """What is wrong; empty if nothing is wrong."""
    rounds: int = 0
    """Number of rounds in the rules; 0 after a failure."""
    unchecked: tuple[str, ...] = ()
    """Texts that name what was not checked."""
    notes: tuple[str, ...] = ()
    """Sentences on what the verdict means."""

    def __str__(self) -> str:
        if self.ok:
            found = f"{self.blocks} blocks verified, head {self.block[:8]} (height {self.height})"
            return "; not checked: ".join((found, *self.unchecked))
        where = f"block {self.block[:8]} (height {self.height}): " if self.block else ""
        return where + self.reason


def verify(
    folder: Path, transition_of: TransitionOf, progress: BlockProgress | None = None
) -> Verification:
    """Check a ledger: all blocks as a full node does, and all files and database rows.

    States cannot be recomputed where directions were pruned; the verdict says so.

    Args:
        folder: folder of the ledger; nothing is written into this folder.
        transition_of: function that takes the rules of a chain and returns the function that
            computes the state after a block.
        progress: function that is called after each block, genesis included.

    Returns:
        The verdict; ``ok`` is False if the ledger is damaged.
    """
    try:
        store = Store.open(folder, writable=False)
    except FedchainError as error:
        return refuted(0, "", 0, str(error))
    with (
        closing(store),
        closing(open_verdict_cache(store)) as verdict_cache,
        closing(_read_ahead(store)) as rows,
    ):
        return _verify_rows(store, verdict_cache, rows, transition_of, progress)


def open_verdict_cache(store: Store) -> VerdictCache:
    """Return a verdict cache for the verification of a ledger; the caller must close the cache."""
    return VerdictCache.sized(store.rules.limits, store.state, store.block, _THREADS)


def _verify_rows(
    store: Store,
    verdict_cache: VerdictCache,
    rows: Iterator[tuple[BlockRow, Future[Block]]],
    transition_of: TransitionOf,
    progress: BlockProgress | None,
) -> Verification:
    passed, chain, previous = 0, None, ZERO
    try:
        total = database.count_blocks(store.connection)
        for row, coming in rows:
            if row.sequence != passed:
                raise LedgerError(f"database: the block before, number {passed}, was removed")
            block = coming.result()
            chain = chain or _chain_of(store, verdict_cache, block, transition_of)
            whole = store.is_whole(row.height)
            # The chain asks for the messages in order. The threads take them in reverse, so that
            # chain and threads start at opposite ends.
            ahead = reversed(block.messages) if whole else ()
            verdict_cache.check_ahead(ahead, store.rules, chain.chain_id)
            _check_rules(chain, row, block, whole)
            _check_columns(store, chain, row, block, previous)
            previous, passed = row.seal, passed + 1
            if progress:
                progress(passed, total)
        return _check_journal(store, previous, chain)
    except (FedchainError, ValueError) as error:
        return _failure(store, passed, str(error))


def _read_ahead(store: Store) -> Generator[tuple[BlockRow, Future[Block]], None, None]:
    """Yield each block's row with the block, which a thread reads in advance."""
    coming: deque[tuple[BlockRow, Future[Block]]] = deque()
    with ThreadPoolExecutor(1, "reading") as thread:
        try:
            for row in database.read_blocks(store.connection):
                coming.append((row, thread.submit(_check_bytes, store, row)))
                if len(coming) > 1:
                    yield coming.popleft()
        except LedgerError:
            yield from coming  # report faults of the blocks before the damage first
            raise
        yield from coming


def _check_bytes(store: Store, row: BlockRow) -> Block:
    """Read the blobs of a block, and check their hashes and the columns of the block's row."""
    block = read_block(store.blobs, store.rules, row, store.is_whole(row.height))
    header = block.header
    columns = {"height": header.height, "parent": header.parent, "address": header.address}
    for column, value in columns.items():
        if getattr(row, column) != value:
            raise LedgerError(f"column {column}: is not what the header says")
    if store.has_state(header):
        read_state_bytes(store.blobs, store.rules, header)
    return block


def _chain_of(
    store: Store, verdict_cache: VerdictCache, first: Block, transition_of: TransitionOf
) -> Chain:
    """Check the genesis block and start a chain from it."""
    state = read_state(store.blobs, store.rules, first.header)
    if genesis(store.rules, state) != first:
        raise LedgerError("genesis: is not the block that the rules and its weights make")
    return Chain(
        genesis_block=first,
        genesis_state=state,
        rules=store.rules,
        transition=transition_of(store.rules),
        verdict_cache=verdict_cache,
        keep=None,
    )


def _check_rules(chain: Chain, row: BlockRow, block: Block, whole: bool) -> None:
    """Add a block to the chain, which checks the block; check the cumulative work."""
    # The state on disk needs no check here: its bytes have the hashes that the header names.
    if row.sequence:
        add = chain.add if whole else chain.add_bare
        added = add(block, row.arrived_ms)
        if added.kind == "orphan":
            raise InvalidBlock(f"parent: no block {block.header.parent.hex()[:8]} before it")
    if row.work != chain.link(row.hash).work.to_bytes(database.WORK_BYTES):
        raise LedgerError("column work: is not the work of the blocks up to this one")


def _check_columns(
    store: Store, chain: Chain, row: BlockRow, block: Block, previous: bytes
) -> None:
    """Check the database rows of a block's messages, and the seal of the block's row."""
    expected = database.message_rows(row.sequence, block)
    if database.read_messages(store.connection, row.sequence, len(expected) + 1) != expected:
        raise LedgerError("messages: their rows are not what the messages say")
    work = chain.link(row.hash).work
    if database.make_row(row.sequence, block, work, row.arrived_ms, previous) != row:
        raise LedgerError("seal: the row, its place or its time of arrival was changed")


def _check_journal(store: Store, seal: bytes, chain: Chain | None) -> Verification:
    """Check the head, the seal of the meta table and the structure of the database."""
    meta = database.read_meta(store.connection)
    if meta["head"] not in store:
        raise LedgerError(f"head: {meta['head'].hex()[:8]} is no block of this ledger")
    if meta["seal"] != database.journal_seal(seal, meta["head"], meta["keeping"]):
        raise LedgerError("seal: head or keeping was changed, or the last blocks were removed")
    if chain is not None and chain.link(meta["head"]).work < chain.work:
        raise LedgerError(f"head: {meta['head'].hex()[:8]} has less work than another block")
    if problem := database.damage(store.connection):
        raise LedgerError(problem)
    return verified(store, store.shown(meta["head"]).header)


def verified(store: Store, head: Header) -> Verification:
    """Return the verdict on a ledger that passed all checks."""
    below = store.keeping.below
    simulated = (SIMULATED_WORK,) if store.rules.work == "sampled" else ()
    gone = (f"the steps below height {below}, whose directions were not kept",) if below else ()
    return Verification(
        ok=True,
        blocks=len(store),
        height=head.height,
        block=head.hash.hex(),
        reason="",
        rounds=store.rules.rounds,
        unchecked=(*simulated, *gone),
    )


def refuted(blocks: int, block: str, height: int, reason: str) -> Verification:
    """Return the verdict on a ledger that failed a check.

    Args:
        blocks: number of blocks that passed.
        block: hash of the wrong block in hexadecimal, or empty if it is unknown.
        height: height of the wrong block, or 0 if it is unknown.
        reason: what is wrong; the block's label at the start of this text is removed.
    """
    short = _LABEL.sub("", reason)
    return Verification(ok=False, blocks=blocks, height=height, block=block, reason=short)


def _failure(store: Store, passed: int, reason: str) -> Verification:
    """Return the verdict on a ledger whose first ``passed`` blocks passed, genesis included."""
    query = "SELECT hash, height FROM block ORDER BY sequence LIMIT 1 OFFSET ?"
    try:
        found = next(database.ask(store.connection, query, passed), None)
    except LedgerError:
        found = None
    name, height = found or (b"", 0)
    block = name.hex() if isinstance(name, bytes) else str(name)
    named = height if isinstance(height, int) else 0
    return refuted(max(passed - 1, 0), block, named, reason)
