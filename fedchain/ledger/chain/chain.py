"""The chain of one node: every block it has accepted, and which of them is the head."""

from __future__ import annotations

from collections import Counter
from typing import Literal, NamedTuple

from fedchain.errors import EncodingError, InvalidBlock, TooEarly
from fedchain.ledger.chain.block import Block, Header, block_hash
from fedchain.ledger.chain.block_tree import Link
from fedchain.ledger.chain.orphans import Orphans
from fedchain.ledger.chain.rules import Rules, chain_id_of
from fedchain.ledger.chain.state import State
from fedchain.ledger.chain.validity import (
    Transition,
    check_bare_block,
    check_header,
    check_messages_root,
    label,
)
from fedchain.ledger.chain.verdict_cache import VerdictCache
from fedchain.ledger.chain.work import is_paid, target_from_compact

KEPT_HEIGHTS = 1024
"""Blocks this far below the head are forgotten, and so is what could fork off them; with a
retarget window at least two windows are kept."""

Kind = Literal["extended", "reorganised", "side", "known", "orphan"]


class Added(NamedTuple):
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
    refused: tuple[tuple[Block, str], ...] = ()
    """Orphans that had waited and were dropped, each with the reason."""


class Chain:
    """Accepts blocks, and keeps the branch with the most work.

    The only ledger object of a node that changes. Bodies and states are on the shelves of the
    library, and what follows from a block for every node is in its tree; neither the cost of a
    block nor the memory grows with the height, but for the hashes of the main chain. A block
    whose parent is too far below the head to be known waits as an orphan, and is never accepted.
    """

    def __init__(
        self,
        *,
        genesis_block: Block,
        genesis_state: State,
        rules: Rules,
        transition: Transition,
        verdict_cache: VerdictCache,
        keep: int | None = KEPT_HEIGHTS,
    ) -> None:
        """Start at genesis.

        Args:
            genesis_block: made by ``rules.genesis``.
            genesis_state: the state that it commits to.
            rules: that it commits to.
            transition: the step that the rules name.
            verdict_cache: shared with the chains of the same simulation.
            keep: heights below the head that are remembered; None: all, to audit a whole ledger.
        """
        self.rules = rules
        self.chain_id = chain_id_of(genesis_block)
        self.reorganisations = 0
        """How often the head has left a branch for another."""
        self.deepest = 0
        """Most blocks that one reorganisation took off the main chain."""
        self._genesis = genesis_block
        self._genesis_state = genesis_state
        self._transition = transition
        self._verdict_cache = verdict_cache
        self._keep = None if keep is None else max(keep, 2 * rules.retarget_window)
        self._tree = verdict_cache.tree(genesis_block, rules)
        self._lowest = 0
        self._tree.need(id(self), 0)
        self._seen_ms = {self.chain_id: 0}
        self.made: Counter[bytes] = Counter()
        """Accepted blocks by the address of their maker."""
        self._path = [self.chain_id]
        self._orphans = Orphans()

    def __contains__(self, block: bytes) -> bool:
        return block in self._seen_ms

    def __len__(self) -> int:
        """Number of blocks accepted so far, genesis among them."""
        return self.made.total() + 1

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
        return self.link(self.head).work

    @property
    def stale(self) -> int:
        """Number of accepted blocks that are not on the main chain."""
        return len(self) - len(self._path)

    @property
    def orphans(self) -> int:
        """Number of blocks that wait for their parent, or for their time."""
        return len(self._orphans)

    def link(self, block: bytes) -> Link:
        """Return an accepted block's header, and what follows from those below it.

        Raises:
            KeyError: the chain has not accepted it.
        """
        if block not in self._seen_ms:
            raise KeyError(block)
        return self._tree[block]

    def height_of(self, block: bytes) -> int | None:
        """Return the height of an accepted block, None for one that is unknown."""
        return self._tree[block].header.height if block in self._seen_ms else None

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
        found = self._verdict_cache.blocks.get(block) if block in self._seen_ms else None
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
            block = self.link(block).header.parent
        for above in reversed(missing):
            known = self._transition(known, self.block(above).messages)
            self._verdict_cache.states.put(above, known)
        return known

    def add(self, block: Block, now_ms: int) -> Added:
        """Take in a block, and the orphans that waited for it.

        The head is the block with the most cumulative work; of equal work the first one seen;
        of those seen at the same time, and of the last round's, which no block will decide
        between, the smaller hash.

        Args:
            block: from anybody.
            now_ms: the node's clock, milliseconds.

        Returns:
            What became of it.

        Raises:
            TooEarly: its time is ahead of the clock; if others build on it, it is looked at again.
            WrongMessages: its messages are not those that the header commits to; the chain is as
                before, and the block may still come.
            InvalidBlock: it breaks a rule; the chain is as before.
        """
        try:
            name = block_hash(block.header)
        except EncodingError as error:
            raise InvalidBlock(f"block: {error}") from error
        if name in self._seen_ms:
            return Added("known", self.head)
        if name in self._orphans:
            return self._look_again(name, now_ms)
        if block.header.parent not in self._seen_ms:
            return self._wait(name, block, now_ms)
        if self._extends(name, block, now_ms):
            return self._extended(name, block.header.address, now_ms)
        try:
            self._accept(name, block, now_ms)
        except TooEarly:
            self._orphans.add(name, block)
            raise
        connected, refused = self._connect_orphans(name, now_ms)
        return self._choose_head(connected, refused)

    def add_bare(self, block: Block, now_ms: int) -> Added:
        """Take in a block whose directions are gone: everything is checked but its step.

        Args:
            block: its messages are as ``message.decode_bare`` reads them.
            now_ms: clock of the node that accepted it when it was whole, milliseconds.

        Raises:
            InvalidBlock: it breaks a rule, or its parent is unknown.
        """
        header = block.header
        if header.parent not in self._seen_ms:
            raise InvalidBlock(f"{label(header)}: parent: no block before it")
        name, parent = block_hash(header), self._tree[header.parent]
        check_header(header, parent.header, self.rules, parent.median_ms, parent.bits, now_ms)
        check_bare_block(block, self.rules)
        self._enter(name, header, now_ms)
        return self._choose_head((name,), ())

    def _held_state(self, block: bytes) -> State | None:
        if block == self.chain_id:
            return self._genesis_state
        return self._verdict_cache.states.get(block) if block in self._seen_ms else None

    def _wait(self, name: bytes, block: Block, now_ms: int) -> Added:
        header = block.header
        if header.chain_id != self.chain_id:
            raise InvalidBlock(f"{label(header)}: chain_id: is {header.chain_id.hex()[:8]}")
        # an orphan's difficulty cannot be known yet, but it must have cost something
        try:
            target = target_from_compact(header.bits)
        except ValueError as error:
            raise InvalidBlock(f"{label(header)}: {error}") from error
        easiest = target_from_compact(self.rules.bits)
        if target > easiest or not is_paid(self.rules.work, name, target):
            raise InvalidBlock(f"{label(header)}: nonce: its work is below that of any block")
        check_messages_root(block)
        self._orphans.add(name, block)
        return self._look_again(name, now_ms)

    def _look_again(self, name: bytes, now_ms: int) -> Added:
        """Take in the block below an orphan that came too early, if its time has come.

        A clock is each node's own: what one has refused another may have accepted a moment later,
        and who never looked again would be alone with its branch.
        """
        lowest = self._orphans.take_lowest(name)
        below = block_hash(lowest.header)
        if lowest.header.parent not in self._seen_ms:
            self._orphans.add(below, lowest)
            return Added("orphan", self.head)
        try:
            return self.add(lowest, now_ms)
        except TooEarly:
            return Added("orphan", self.head)
        except InvalidBlock as error:
            return Added("orphan", self.head, refused=((lowest, str(error)),))

    def _accept(self, name: bytes, block: Block, now_ms: int) -> None:
        header = block.header
        # Only the clock is each node's own: what another has found of the header holds here too.
        if name not in self._tree or header.time_ms > now_ms + self.rules.max_ahead_ms:
            parent = self._tree[header.parent]
            check_header(header, parent.header, self.rules, parent.median_ms, parent.bits, now_ms)
        self._verdict_cache.check_block(
            block, self.rules, self.chain_id, self.state, self._transition
        )
        self._enter(name, header, now_ms)

    def _enter(self, name: bytes, header: Header, now_ms: int) -> None:
        self._tree.put(name, header)
        self._seen_ms[name] = now_ms
        self.made[header.address] += 1

    def _extends(self, name: bytes, block: Block, now_ms: int) -> bool:
        """Say whether all that is left to do is to move the head up: the case of most blocks."""
        return (
            name in self._tree
            and block.header.parent == self.head
            and not len(self._orphans)
            and block.header.time_ms <= now_ms + self.rules.max_ahead_ms
            and self._verdict_cache.has_accepted(block)
        )

    def _extended(self, name: bytes, maker: bytes, now_ms: int) -> Added:
        self._seen_ms[name] = now_ms
        self.made[maker] += 1
        self._path.append(name)
        self._forget()
        return Added("extended", name, (name,))

    def _connect_orphans(
        self, name: bytes, now_ms: int
    ) -> tuple[tuple[bytes, ...], tuple[tuple[Block, str], ...]]:
        connected, refused = [name], list[tuple[Block, str]]()
        for parent in connected:  # grows as orphans connect
            for orphan, block in self._orphans.take_children(parent):
                try:
                    self._accept(orphan, block, now_ms)
                    connected.append(orphan)
                except InvalidBlock as error:
                    refused.append((block, str(error)))
        return tuple(connected), tuple(refused)

    def _choose_head(
        self, connected: tuple[bytes, ...], refused: tuple[tuple[Block, str], ...]
    ) -> Added:
        head = self.head
        best = min((head, *connected), key=self._rank)
        if best == head:
            return Added("side", head, connected, (), refused)
        lost = self._move_to(best)
        self._forget()
        self.reorganisations += bool(lost)
        self.deepest = max(self.deepest, len(lost))
        return Added("reorganised" if lost else "extended", best, connected, lost, refused)

    def _rank(self, block: bytes) -> tuple[int, int, bytes]:
        link = self._tree[block]
        last = link.header.height >= self.rules.rounds
        return -link.work, 0 if last else self._seen_ms[block], block

    def _move_to(self, head: bytes) -> tuple[bytes, ...]:
        if self._tree[head].header.parent == self._path[-1]:
            self._path.append(head)
            return ()
        branch = []
        while not self.on_path(head):
            branch.append(head)
            head = self._tree[head].header.parent
        fork = self._tree[head].header.height + 1
        lost = self._path[fork:][::-1]
        self._path[fork:] = reversed(branch)
        return tuple(lost)

    def _forget(self) -> None:
        if self._keep is None:
            return
        lowest = len(self._path) - 1 - self._keep
        if lowest < self._lowest + self._keep:  # seldom: a sweep looks at all that is kept
            return
        # The tree forgets what all chains have: what stays here must be above, without exception.
        seen, tree = self._seen_ms, self._tree
        self._seen_ms = {name: seen[name] for name in seen if tree[name].header.height >= lowest}
        self._lowest = lowest
        tree.need(id(self), lowest)
