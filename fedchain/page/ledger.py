"""Ledger: page records from a run's ledger, which is opened for reading only."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from fedchain.aggregation.directions import Directions
from fedchain.errors import LedgerError, RunRefused
from fedchain.ledger.chain.block import Block, encode_block
from fedchain.ledger.chain.rules import Rules, encode_rules
from fedchain.ledger.chain.state import State, tensor_parts, weights_parts
from fedchain.ledger.storage import database
from fedchain.ledger.storage.database import BlockRow
from fedchain.ledger.storage.store import Store
from fedchain.page.lines import PageRecord, b64, page_record
from fedchain.page.thinning import MOST_SENT, Thinning

LARGEST_BODY = 2**26
"""Largest block, in bytes, that the page gets as a whole."""


class LedgerView:
    """A look at a ledger, which may grow; ``refresh`` looks again."""

    def __init__(self, folder: Path, thinning: Thinning) -> None:
        """Open the ledger in a folder.

        Raises:
            RunError: the folder has no ledger.
            LedgerError: the ledger is damaged.
        """
        self._folder, self.thinning = folder, thinning
        self._stack = contextlib.ExitStack()
        self._told: dict[bytes, bool] = {}
        self._place = 0
        self.refresh()

    def refresh(self) -> None:
        """Look at the blocks that the ledger has now."""
        self._stack.close()
        self._store = self._stack.enter_context(Store.open(self._folder, writable=False))
        self._order = list(database.read_all_blocks(self._store.connection))
        self._rows = {row.hash: row for row in self._order}
        self._top = max((row.height for row in self._order), default=0)
        self._main = set[bytes]()
        name = self._store.head
        while name in self._rows and name not in self._main:
            self._main.add(name)
            name = self._rows[name].parent
        told = (self._rows[block] for block in self._told if block in self._rows)
        self._changed = [row for row in told if self._told[row.hash] != (row.hash in self._main)]

    def close(self) -> None:
        """Close the ledger."""
        self._stack.close()

    def __contains__(self, block: bytes) -> bool:
        return block in self._rows

    @property
    def rules(self) -> Rules:
        """The rules of the chain."""
        return self._store.rules

    def main_chain(self) -> list[bytes]:
        """Return the hashes of the blocks of the main chain above genesis, from the lowest on."""
        rows = (row for row in self._rows.values() if row.hash in self._main and row.height)
        return [row.hash for row in sorted(rows, key=lambda row: row.height)]

    def genesis(self) -> PageRecord:
        """Return the record of the genesis block, with the first state as in a chain file."""
        first = self._store.genesis.header
        state = self._store.state(first.hash)
        return page_record(
            "genesis",
            rules=encode_rules(self.rules).decode(errors="backslashreplace"),
            weights=b64(b"".join(weights_parts(state))),
            memory=b64(b"".join(tensor_parts(state.memory))),
            hash=first.hash.hex(),
        )

    def headers(self, up_to: bytes | None = None) -> Iterator[PageRecord]:
        """Yield the headers that were not told yet, in order of arrival.

        A header is told again if its block has joined or left the main chain.

        Args:
            up_to: hash of the last block whose header may be told; None: all blocks.
        """
        changed, self._changed = self._changed, []
        for row in changed:
            yield self._tell(row)
        last = len(self._order) if up_to is None else self._sequence(up_to) + 1
        while self._place < last:
            row, self._place = self._order[self._place], self._place + 1
            if row.sequence and self.thinning.shows_header(row.height, self._top):
                yield self._tell(row)

    def _sequence(self, block: bytes) -> int:
        """Return the place of a block in the order of arrival; -1 for an unknown one."""
        return self._rows[block].sequence if block in self._rows else -1

    def _tell(self, row: BlockRow) -> PageRecord:
        main = self._told[row.hash] = row.hash in self._main
        return self._header(row, main)

    def _header(self, row: BlockRow, main: bool) -> PageRecord:
        try:
            messages = self._store.shown(row.hash).messages
        except (LedgerError, KeyError):  # damaged or meanwhile pruned; the verifier says so
            messages = ()
        listed = messages if len(messages) <= MOST_SENT else ()
        return page_record(
            "header",
            hash=row.hash.hex(),
            bytes=b64(row.header),
            key=b64(row.public_key),
            signature=b64(row.signature),
            arrived_ms=row.arrived_ms,
            main=main,
            contents=[message.content.hex() for message in listed],
            ids=[message.id.hex() for message in listed],
            messages=len(messages),
        )

    def gram(self, block: bytes) -> PageRecord | None:
        """Return the cosines between the messages of a block; None where there are none to show.

        There are none without messages, with more than ``MOST_SENT``, or if the directions were
        pruned.
        """
        found = self._whole(block)
        if found is None or not 0 < len(found.messages) <= MOST_SENT:
            return None
        sent = [(message.direction, message.exponent) for message in found.messages]
        directions = Directions(*zip(*sent, strict=True))
        inner = directions.gram.astype(np.float64)
        lengths = np.sqrt(np.maximum(inner.diagonal(), 1.0))  # a zero message has cosines of 0
        cosines = (inner / np.outer(lengths, lengths)).astype("<f4")
        above = cosines[np.triu_indices(len(cosines), 1)]
        return page_record(
            "gram",
            round=found.header.height,
            block=block.hex(),
            ids=[message.id.hex() for message in found.messages],
            norms=[message.norm for message in found.messages],
            records=[message.declaration.records for message in found.messages],
            cosines=b64(above.tobytes()),
        )

    def body(self, block: bytes) -> PageRecord | None:
        """Return the record of a whole block; None if its directions were not kept."""
        try:
            return body_record(self._store, block)
        except (LedgerError, RunRefused, KeyError):
            return None

    def state(self, block: bytes) -> State | None:
        """Return the state after a block; None if it is not kept."""
        try:
            return self._store.state(block)
        except (LedgerError, KeyError):
            return None

    def _whole(self, block: bytes) -> Block | None:
        try:
            return self._store.block(block)
        except (LedgerError, KeyError):
            return None


def body_record(store: Store, block: bytes) -> PageRecord:
    """Return the record of a whole block, as a chain file has it.

    Raises:
        KeyError: the ledger has no such block, or its directions were not kept.
        RunRefused: the block is too large for a page.
        LedgerError: the ledger is damaged.
    """
    found = store.block(block)
    if found.size > LARGEST_BODY:
        words = f"has {found.size} bytes; the page gets blocks of at most {LARGEST_BODY}"
        raise RunRefused(f"{found.header.label}: {words}")
    return page_record("body", block=block.hex(), bytes=b64(encode_block(found)))
