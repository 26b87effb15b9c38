"""Chain file: writes a whole ledger into one file, and checks and reads such a file.

The file has the rules, the first state, the head, and all blocks in order of arrival, stale blocks
included. The reader recomputes every other state.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

from fedchain.errors import OLD_FORMAT, InvalidBlock, LedgerError, ScenarioError, cannot
from fedchain.ledger.chain.block import (
    START_BYTES,
    Block,
    decode_start,
    encode_start,
    messages_parts,
)
from fedchain.ledger.chain.chain import Chain
from fedchain.ledger.chain.crypto import HASH
from fedchain.ledger.chain.encoding import Piece, blob, unsigned
from fedchain.ledger.chain.message import Message, decode_message
from fedchain.ledger.chain.rules import MOST_RULES, Rules, decode_rules, encode_rules, genesis
from fedchain.ledger.chain.state import State, tensor_parts, weights_parts
from fedchain.ledger.chain.validity import check_header
from fedchain.ledger.chain.verdict_cache import VerdictCache
from fedchain.ledger.storage.blobs import decode_state, largest_state
from fedchain.ledger.storage.store import Store
from fedchain.ledger.tools.verification import (
    BlockProgress,
    TransitionOf,
    Verification,
    open_verdict_cache,
    refuted,
    verified,
)

TAG, FILE_VERSION = b"fedchain:x", 2
LATEST_MS = 2**63 - 1
"""Latest time of arrival that a block may have, simulated milliseconds."""
EMPTY_BYTES = 4
"""Number of bytes of an encoded empty memory; every genesis state has an empty memory."""
UNCHECKED_BYTES = 2**26
"""Most bytes of messages that are read before their signatures are checked."""


def exported(store: Store, progress: BlockProgress | None = None) -> Iterator[bytes]:
    """Yield the bytes of a ledger's chain file in parts.

    The ``progress`` function is called after each block above genesis.

    Raises:
        LedgerError: the ledger is damaged, or some of its directions were pruned.
    """
    digest = hashlib.sha256()
    for part in _parts(store, progress):
        digest.update(part)
        yield bytes(part)
    yield digest.digest()


def replayed(
    file: Path, folder: Path, transition_of: TransitionOf, progress: BlockProgress | None = None
) -> Verification:
    """Check a chain file, and write its ledger into a folder.

    Args:
        file: the chain file.
        folder: folder of the new ledger, which is created. The ledger must not be used if the
            verification fails.
        transition_of: function that takes the rules of a chain and returns the function that
            computes the state after a block.
        progress: function that is called after each block above genesis.

    Returns:
        The verdict; ``ok`` is False if the file is damaged.

    Raises:
        RunRefused: the file cannot be read.
        RunError: the folder cannot be written.
    """
    try:
        with file.open("rb") as opened:
            return _Replay(Incoming(opened), transition_of, progress).into(folder)
    except OSError as error:
        raise cannot(file, "be read", error) from error


def verify_file(
    file: Path, transition_of: TransitionOf, progress: BlockProgress | None = None
) -> Verification:
    """Check a chain file as ``replayed`` does, but keep no ledger."""
    try:
        with tempfile.TemporaryDirectory(prefix="fedchain.") as place:
            return replayed(file, Path(place) / "ledger", transition_of, progress)
    except OSError as error:
        raise cannot(file, "be unpacked to be checked", error) from error


class Incoming:
    """Reads a chain file from front to back; checks lengths and the hash at the end."""

    def __init__(self, file: BinaryIO) -> None:
        self._file, self._digest = file, hashlib.sha256()
        self._remaining = os.fstat(file.fileno()).st_size

    def take(self, size: int) -> bytes:
        """Return the next ``size`` bytes; raise a LedgerError if fewer bytes are left."""
        if size > self._remaining:
            raise LedgerError(f"file: {self._remaining} bytes are left; {size} must follow")
        data = self._file.read(size)
        self._remaining -= size
        self._digest.update(data)
        return data

    def piece(self, width: int, most: int, what: str) -> bytes:
        """Read a ``width``-byte length, and return that number of bytes.

        ``what`` is the name of these bytes in error texts.

        Raises:
            LedgerError: the length is above ``most``, or above the number of bytes left.
        """
        return self.take(self.length(width, most, what))

    def length(self, width: int, most: int, what: str) -> int:
        """Read and return a length; arguments and errors are those of ``piece``."""
        size = int.from_bytes(self.take(width))
        if size > most:
            raise LedgerError(f"file: {what} of {size} bytes; at most {most} are allowed")
        return size

    def end(self) -> None:
        """Raise a LedgerError unless only the SHA-256 of all earlier bytes follows."""
        expected = self._digest.digest()
        if self.take(HASH) != expected:
            raise LedgerError("file: its last 32 bytes are not the SHA-256 of all before")
        if self._remaining:
            raise LedgerError(f"file: goes on for {self._remaining} bytes after its end")


class _Replay:
    """Checks one chain file and writes its ledger."""

    def __init__(
        self, incoming: Incoming, transition_of: TransitionOf, progress: BlockProgress | None
    ) -> None:
        self._incoming, self._transition_of = incoming, transition_of
        self._progress = progress or (lambda _done, _total: None)
        self._passed = 0
        self._next: Block | None = None

    def into(self, folder: Path) -> Verification:
        try:
            return self._check(folder)
        except (LedgerError, ScenarioError, ValueError, MemoryError) as error:
            header = self._next.header if self._next else None
            name, height = (header.hash.hex(), header.height) if header else ("", 0)
            reason = str(error) or "file: needs more memory than this process gets"
            return refuted(self._passed, name, height, reason)

    def _check(self, folder: Path) -> Verification:
        incoming = self._incoming
        if (tag := incoming.take(len(TAG))) != TAG:
            raise LedgerError(f"file: begins with {tag!r}; an exported chain with {TAG!r}")
        if (version := int.from_bytes(incoming.take(2))) == 1:
            raise LedgerError(f"file: {OLD_FORMAT}")
        if version != FILE_VERSION:
            raise LedgerError(f"file: is of version {version}; must be {FILE_VERSION}")
        rules = decode_rules(incoming.piece(4, MOST_RULES, "rules"))
        transition = self._transition_of(rules)
        state = self._read_state(rules)
        first = genesis(rules, state)
        with (
            closing(Store.create(folder, rules, first, state)) as store,
            closing(open_verdict_cache(store)) as verdicts,
        ):
            chain = Chain(
                genesis_block=first,
                genesis_state=state,
                rules=rules,
                transition=transition,
                verdict_cache=verdicts,
                keep=None,
            )
            total, head = int.from_bytes(incoming.take(8)), incoming.take(HASH)
            for _ in range(total):
                self._next = None
                block, arrived_ms = self._read_block(chain, verdicts)
                verdicts.check_ahead(reversed(block.messages), rules, chain.chain_id)
                chain.add(block, arrived_ms)
                store.append(block, chain.state(block.header.hash), arrived_ms)
                self._passed += 1
                self._progress(self._passed, total)
            self._next = None
            incoming.end()
            return _finish(store, chain, head)

    def _read_state(self, rules: Rules) -> State:
        """Read the first state, whose memory is empty."""
        weights = self._incoming.piece(8, largest_state(rules)[0], "weights")
        memory = self._incoming.piece(8, EMPTY_BYTES, "the first memory")
        try:
            return decode_state(rules, weights, memory)
        except LedgerError as error:
            raise LedgerError(f"file: the first state: {error}") from error

    def _read_block(self, chain: Chain, verdicts: VerdictCache) -> tuple[Block, int]:
        """Read a block and its time of arrival; check the header before reading the messages."""
        incoming, rules = self._incoming, chain.rules
        arrived_ms = int.from_bytes(incoming.take(8))
        if arrived_ms > LATEST_MS:
            raise LedgerError(f"file: a block that came at {arrived_ms} ms; at most {LATEST_MS}")
        size = incoming.length(8, START_BYTES + rules.limits.body_bytes, "a block")
        start = self._next = decode_start(incoming.take(START_BYTES))
        if start.header.hash in chain:
            raise InvalidBlock("block: was there before")
        if start.header.parent not in chain:
            raise InvalidBlock("block: stands before its parent")
        check_header(start.header, chain.link(start.header.parent), rules, arrived_ms)
        messages = self._read_messages(start, size - START_BYTES, chain, verdicts)
        return replace(start, messages=messages), arrived_ms

    def _read_messages(
        self, start: Block, left: int, chain: Chain, verdicts: VerdictCache
    ) -> tuple[Message, ...]:
        """Read the messages of a block; together they have ``left`` bytes."""
        rules, place = chain.rules, (start.header.parent, start.header.height)
        count, left = int.from_bytes(self._incoming.take(4)), left - 4
        if count > rules.limits.messages:
            raise InvalidBlock(f"messages: got {count}; at most {rules.limits.messages}")
        messages, checked, waiting = list[Message](), 0, 0
        for _ in range(count):
            most = max(0, min(rules.limits.message_bytes, left - 4))
            data = self._incoming.piece(4, most, "a message")
            messages.append(decode_message(data, rules.limits))
            left, waiting = left - 4 - len(data), waiting + len(data)
            if waiting > UNCHECKED_BYTES:
                new, checked, waiting = messages[checked:], len(messages), 0
                verdicts.check_ahead(reversed(new), rules, chain.chain_id)
                for message in new:
                    verdicts.check_message(message, rules, chain.chain_id, *place)
        if left:
            raise InvalidBlock(f"messages: end {left} bytes before the end of their block")
        return tuple(messages)


def _finish(store: Store, chain: Chain, head: bytes) -> Verification:
    """Check the head that the file names, set the ledger's head, and return the verdict."""
    if head not in chain:
        raise LedgerError(f"head: {head.hex()[:8]} is no block of this chain")
    if chain.link(head).work < chain.work:
        raise LedgerError(f"head: {head.hex()[:8]} has less work than another block")
    store.set_head(head)
    return verified(store, chain.link(head).header)


def _parts(store: Store, progress: BlockProgress | None) -> Iterator[Piece]:
    if below := store.keeping.below:
        raise LedgerError(
            f"ledger: directions below height {below} were not kept; nobody could check"
        )
    first = store.state(store.genesis.header.hash)
    weights, memory = (
        b"".join(parts) for parts in (weights_parts(first), tensor_parts(first.memory))
    )
    total = len(store)
    yield TAG + unsigned(FILE_VERSION, 2) + blob(encode_rules(store.rules))
    yield unsigned(len(weights), 8) + weights + unsigned(len(memory), 8) + memory
    yield unsigned(total, 8) + store.head
    for done, block in enumerate(store.blocks(), 1):
        body = messages_parts(block.messages)
        size = START_BYTES + sum(map(len, body))
        arrived_ms = store.arrived_ms(block.header.hash)
        yield unsigned(arrived_ms, 8) + unsigned(size, 8) + encode_start(block)
        yield from body
        if progress:
            progress(done, total)
