"""The chain of one node: every block it has accepted, and which of them is the head."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from fedchain.errors import EncodingError, InvalidBlock
from fedchain.ledger.block import Block, Header, block_hash
from fedchain.ledger.library import Library
from fedchain.ledger.orphans import Orphans
from fedchain.ledger.rules import Rules, chain_id_of
from fedchain.ledger.state import State
from fedchain.ledger.validity import Transition, check_header, label
from fedchain.ledger.work import is_below, retarget, target_from_compact, work_of

MEDIAN_OF = 11
"""A block's time must be above the median of this many blocks below it."""
KEPT_HEIGHTS = 1024
"""Blocks this far below the head are forgotten, and so is what could fork off them; with a
retarget window at least two windows are kept."""

Kind = Literal["extended", "reorganised", "side", "known", "orphan"]


@dataclass(frozen=True)
class Added:
    """What a block did to the chain."""

    kind: Kind
    """extended: the head moved up; reorganised: to another branch; side: it stayed; known: the
    block was there; orphan: it waits for its parent."""
    head: bytes
    """Hash of the head now."""
    connected: tuple[bytes, ...] = ()
    """Blocks accepted by this step: the block, then orphans that waited for it."""
    lost: tuple[bytes, ...] = ()
    """Blocks that left the main chain, highest first; their messages are void."""
    refused: tuple[str, ...] = ()
    """Why orphans that waited were dropped."""


@dataclass(frozen=True)
class _Entry:
    header: Header
    work: int
    seen_ms: int


class Chain:
    """Accepts blocks, and keeps the branch with the most work.

    The only ledger object of a node that changes. Bodies and states are on the shelves of the
    library; neither the cost of a block nor the memory grows with the height, but for the hashes
    of the main chain. A block whose parent is too far below the head to be known waits as an
    orphan, and is never accepted.
    """

    def __init__(
        self,
        genesis_block: Block,
        genesis_state: State,
        rules: Rules,
        transition: Transition,
        library: Library,
        keep: int | None = KEPT_HEIGHTS,
    ) -> None:
        """Start at genesis.

        Args:
            genesis_block: made by ``rules.genesis``.
            genesis_state: the state that it commits to.
            rules: that it commits to.
            transition: the step that the rules name.
            library: shared with the chains of the same simulation.
            keep: heights below the head that are remembered; None: all, to audit a whole ledger.
        """
        self.rules = rules
        self.chain_id = chain_id_of(genesis_block)
        self.reorganisations = 0
        self._genesis = genesis_block
        self._genesis_state = genesis_state
        self._transition = transition
        self._library = library
        self._keep = None if keep is None else max(keep, 2 * rules.retarget_window)
        self._entries = {self.chain_id: _Entry(genesis_block.header, 0, 0)}
        self._accepted = 1
        self._path = [self.chain_id]
        self._orphans = Orphans()

    def __contains__(self, block: bytes) -> bool:
        return block in self._entries

    def __len__(self) -> int:
        """Number of blocks accepted so far, genesis among them."""
        return self._accepted

    @property
    def head(self) -> bytes:
        """Hash of the block with the most work below it, itself included."""
        return self._path[-1]

    @property
    def height(self) -> int:
        """Height of the head."""
        return len(self._path) - 1

    @property
    def work(self) -> int:
        """Expected number of tries behind the head."""
        return self.work_at(self.head)

    def work_at(self, block: bytes) -> int:
        """Return the expected number of tries behind an accepted block and all below it.

        Raises:
            KeyError: the chain has not accepted it.
        """
        return self._entries[block].work

    @property
    def stale(self) -> int:
        """Number of accepted blocks that are not on the main chain."""
        return self._accepted - len(self._path)

    @property
    def orphans(self) -> int:
        """Number of blocks that wait for their parent."""
        return len(self._orphans)

    def header(self, block: bytes) -> Header:
        """Return the header of an accepted block.

        Raises:
            KeyError: the chain has not accepted it.
        """
        return self._entries[block].header

    def height_of(self, block: bytes) -> int | None:
        """Return the height of an accepted block, None for one that is unknown."""
        entry = self._entries.get(block)
        return entry.header.height if entry else None

    def path(self) -> list[bytes]:
        """Return the hashes of the main chain, genesis first."""
        return list(self._path)

    def on_path(self, block: bytes) -> bool:
        """Say whether a block is on the main chain."""
        height = self.height_of(block)
        return height is not None and self._path[height : height + 1] == [block]

    def block(self, block: bytes) -> Block:
        """Return an accepted block.

        Raises:
            KeyError: the chain has not accepted it, or the library can no longer load it.
        """
        if block == self.chain_id:
            return self._genesis
        found = self._library.blocks.get(block) if block in self._entries else None
        if found is None:
            raise KeyError(block)
        return found

    def state(self, block: bytes) -> State:
        """Return the state after an accepted block, recomputed if no shelf has it any more.

        Raises:
            KeyError: the chain has not accepted it.
        """
        missing = []
        while (known := self._held_state(block)) is None:
            missing.append(block)
            block = self._entries[block].header.parent
        for above in reversed(missing):
            known = self._transition(known, self.block(above).messages)
            self._library.states.put(above, known)
        return known

    def median_time(self, parent: bytes) -> int:
        """Return the median time of the last 11 blocks up to this one, milliseconds."""
        times: list[int] = []
        while parent in self._entries and len(times) < MEDIAN_OF:
            header = self._entries[parent].header
            times.append(header.time_ms)
            parent = header.parent
        return sorted(times)[len(times) // 2]

    def expected_bits(self, parent: bytes) -> int:
        """Return the compact target of the next block on this one.

        Every ``retarget_window`` blocks the target follows the time that the window took.

        Reference:
            Bitcoin, ``GetNextWorkRequired``: the same off-by-one, the same clamp.
        """
        last, window = self._entries[parent].header, self.rules.retarget_window
        if not window or (last.height + 1) % window:
            return last.bits
        first = last
        for _ in range(window - 1):
            first = self._entries[first.parent].header
        expected = window * self.rules.interval_ms
        return retarget(first.time_ms, last.time_ms, last.bits, expected, self.rules.bits)

    def add(self, block: Block, now_ms: int) -> Added:
        """Take in a block, and the orphans that waited for it.

        The head is the block with the most cumulative work; of equal work the first one seen;
        of those seen at the same time the smaller hash.

        Args:
            block: from anybody.
            now_ms: the node's clock, milliseconds.

        Returns:
            What became of it.

        Raises:
            InvalidBlock: it breaks a rule; the chain is as before.
        """
        try:
            name = block_hash(block.header)
        except EncodingError as error:
            raise InvalidBlock(f"block: {error}") from error
        if name in self._entries or name in self._orphans:
            return Added("known" if name in self._entries else "orphan", self.head)
        if block.header.parent not in self._entries:
            return self._wait(name, block)
        self._accept(name, block, now_ms)
        connected, refused = self._connect_orphans(name, now_ms)
        return self._choose_head(connected, refused)

    def _held_state(self, block: bytes) -> State | None:
        if block == self.chain_id:
            return self._genesis_state
        return self._library.states.get(block) if block in self._entries else None

    def _wait(self, name: bytes, block: Block) -> Added:
        header = block.header
        if header.chain_id != self.chain_id:
            raise InvalidBlock(f"{label(header)}: chain_id: is {header.chain_id.hex()[:8]}")
        # an orphan's difficulty cannot be known yet, but it must have cost something
        try:
            target = target_from_compact(header.bits)
        except ValueError as error:
            raise InvalidBlock(f"{label(header)}: {error}") from error
        if target > target_from_compact(self.rules.bits) or not is_below(name, target):
            raise InvalidBlock(f"{label(header)}: nonce: its work is below that of any block")
        self._orphans.add(name, block)
        return Added("orphan", self.head)

    def _accept(self, name: bytes, block: Block, now_ms: int) -> None:
        header = block.header
        parent = self._entries[header.parent]
        median, bits = self.median_time(header.parent), self.expected_bits(header.parent)
        check_header(header, parent.header, self.rules, median, bits, now_ms)
        self._library.check_block(block, self.rules, self.chain_id, self.state, self._transition)
        self._entries[name] = _Entry(header, parent.work + work_of(header.bits), now_ms)
        self._accepted += 1

    def _connect_orphans(
        self, name: bytes, now_ms: int
    ) -> tuple[tuple[bytes, ...], tuple[str, ...]]:
        connected, refused = [name], []
        for parent in connected:  # grows as orphans connect
            for orphan, block in self._orphans.take_children(parent):
                try:
                    self._accept(orphan, block, now_ms)
                    connected.append(orphan)
                except InvalidBlock as error:
                    refused.append(str(error))
        return tuple(connected), tuple(refused)

    def _choose_head(self, connected: tuple[bytes, ...], refused: tuple[str, ...]) -> Added:
        best = min((self.head, *connected), key=self._rank)
        if best == self.head:
            return Added("side", self.head, connected, (), refused)
        lost = self._move_to(best)
        self._forget()
        self.reorganisations += bool(lost)
        return Added("reorganised" if lost else "extended", best, connected, lost, refused)

    def _rank(self, block: bytes) -> tuple[int, int, bytes]:
        entry = self._entries[block]
        return -entry.work, entry.seen_ms, block

    def _move_to(self, head: bytes) -> tuple[bytes, ...]:
        branch = []
        while not self.on_path(head):
            branch.append(head)
            head = self._entries[head].header.parent
        fork = self._entries[head].header.height + 1
        lost = self._path[fork:][::-1]
        self._path[fork:] = reversed(branch)
        return tuple(lost)

    def _forget(self) -> None:
        if self._keep is None:
            return
        lowest = self.height - self._keep
        # Entries stand in order of arrival, which is nearly that of their heights.
        while self._entries[oldest := next(iter(self._entries))].header.height < lowest:
            del self._entries[oldest]
