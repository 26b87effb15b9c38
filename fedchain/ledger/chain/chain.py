"""Chain of one node: the blocks that it has accepted, and which of them is the head."""

from __future__ import annotations

from collections import Counter
from typing import Literal, NamedTuple

from fedchain.errors import EncodingError, InvalidBlock, TooEarly
from fedchain.ledger.chain.block import Block, Header, block_hash
from fedchain.ledger.chain.block_tree import Link, Orphans
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
"""Heights below the head whose blocks a chain remembers at least; two retarget windows, if they
are more. It forgets older blocks, and can accept no fork from them."""

Kind = Literal["extended", "reorganised", "side", "known", "orphan"]


class Added(NamedTuple):
    """What changed when a block was added to the chain."""

    kind: Kind
    """extended: the head moved up its branch; reorganised: it moved to another branch; side: it
    stayed; known: the block was accepted before; orphan: the block waits for its parent, or for
    its time."""
    head: bytes
    """Hash of the head now."""
    connected: tuple[bytes, ...] = ()
    """Hashes of the blocks accepted by this step: the block, then orphans that waited for it."""
    lost: tuple[bytes, ...] = ()
    """Hashes of the blocks that left the main chain, highest first; their messages are void."""
    refused: tuple[tuple[Block, str], ...] = ()
    """Orphans that were found invalid and dropped, each with the reason."""


class Chain:
    """Accepts blocks, and takes the branch with the most work for the main chain.

    The verdict cache holds bodies and states in LRU caches; its block tree holds what follows
    from a block for every node. The chain itself keeps the hashes of the main chain, and the
    times at which it accepted recent blocks. The hashes of the main chain are all that grows with
    the height: neither the cost of a block nor the rest of the memory does. A block whose parent
    is so far below the head that the chain has forgotten it waits as an orphan, and is never
    accepted.
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
            rules: the rules that it commits to.
            transition: the step that the rules name.
            verdict_cache: shared with the other chains of the same simulation.
            keep: heights below the head whose blocks are remembered, at least; None: all, to
                audit a whole ledger.
        """
        self.rules = rules
        self.chain_id = chain_id_of(genesis_block)
        self.reorganisations = 0
        """How often the head has moved from one branch to another."""
        self.deepest = 0
        """Most blocks that one reorganisation has removed from the main chain."""
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
        """Number of accepted blocks by the address of the compute node that made them."""
        self._path = [self.chain_id]
        self._orphans = Orphans()

    def __contains__(self, block: bytes) -> bool:
        return block in self._seen_ms

    def __len__(self) -> int:
        """Number of blocks accepted so far, genesis included."""
        return self.made.total() + 1

    @property
    def head(self) -> bytes:
        """Hash of the head: the block with the most cumulative work, its own included."""
        return self._path[-1]

    @property
    def height(self) -> int:
        """Height of the head."""
        return len(self._path) - 1

    @property
    def work(self) -> int:
        """Cumulative work of the head: the expected number of tries for it and all below it."""
        return self.link(self.head).work

    @property
    def stale(self) -> int:
        """Number of accepted blocks that are not on the main chain."""
        return len(self) - len(self._path)

    @property
    def orphans(self) -> int:
        """Number of orphans: blocks that wait for their parent, or for their time."""
        return len(self._orphans)

    def link(self, block: bytes) -> Link:
        """Return the link of an accepted block: its header, and what follows from those below it.

        Raises:
            KeyError: the chain has not accepted the block, or has forgotten it.
        """
        if block not in self._seen_ms:
            raise KeyError(block)
        return self._tree[block]

    def height_of(self, block: bytes) -> int | None:
        """Return the height of an accepted block, or None for an unknown one."""
        return self._tree[block].header.height if block in self._seen_ms else None

    def path(self) -> list[bytes]:
        """Return the hashes of the main chain, genesis first."""
        return list(self._path)

    def on_path(self, block: bytes) -> bool:
        """Return whether a block is on the main chain."""
        height = self.height_of(block)
        return height is not None and self._path[height : height + 1] == [block]

    def block(self, block: bytes) -> Block:
        """Return an accepted block.

        Raises:
            KeyError: the chain has not accepted it, or the verdict cache can no longer load it.
        """
        if block == self.chain_id:
            return self._genesis
        found = self._verdict_cache.blocks.get(block) if block in self._seen_ms else None
        if found is None:
            raise KeyError(block)
        return found

    def state(self, block: bytes) -> State:
        """Return the state after an accepted block.

        If the verdict cache no longer has it, it is recomputed from the nearest state below.

        Raises:
            KeyError: the chain has not accepted the block.
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
        """Check and accept a block, then the orphans that waited for it, and choose the head.

        The head is the block with the most cumulative work. Of blocks with equal work it is the
        one that was seen first. Of blocks seen at the same time it is the one with the smaller
        hash. In the last round the smaller hash alone decides, because no later block will.

        Args:
            block: as it was received, not checked yet.
            now_ms: the node's clock, milliseconds.

        Returns:
            What changed.

        Raises:
            TooEarly: its time is ahead of the clock. It waits as an orphan, and is checked again
                when it or a block above it arrives.
            WrongMessages: its messages are not those that the header commits to. The chain is
                unchanged, and accepts the block if its own messages come later.
            InvalidBlock: it breaks a rule; the chain is unchanged.
        """
        try:
            name = block_hash(block.header)
        except EncodingError as error:
            raise InvalidBlock(f"block: {error}") from error
        if name in self._seen_ms:
            return Added("known", self.head)
        if name in self._orphans:
            return self._retry_orphan(name, now_ms)
        if block.header.parent not in self._seen_ms:
            return self._add_orphan(name, block, now_ms)
        if self._only_moves_head(name, block, now_ms):
            return self._move_head_up(name, block.header.address, now_ms)
        try:
            self._accept(name, block, now_ms)
        except TooEarly:
            self._orphans.add(name, block)
            raise
        connected, refused = self._connect_orphans(name, now_ms)
        return self._choose_head(connected, refused)

    def add_bare(self, block: Block, now_ms: int) -> Added:
        """Accept a block whose directions were pruned: everything is checked but its step.

        Args:
            block: with messages as ``message.decode_bare`` reads them.
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
        self._record(name, header, now_ms)
        return self._choose_head((name,), ())

    def _held_state(self, block: bytes) -> State | None:
        if block == self.chain_id:
            return self._genesis_state
        return self._verdict_cache.states.get(block) if block in self._seen_ms else None

    def _add_orphan(self, name: bytes, block: Block, now_ms: int) -> Added:
        header = block.header
        if header.chain_id != self.chain_id:
            raise InvalidBlock(f"{label(header)}: chain_id: is {header.chain_id.hex()[:8]}")
        # Without its parent the target that an orphan must have is unknown. It must have at least
        # the work of the easiest target, so that orphans are not free.
        try:
            target = target_from_compact(header.bits)
        except ValueError as error:
            raise InvalidBlock(f"{label(header)}: {error}") from error
        easiest = target_from_compact(self.rules.bits)
        if target > easiest or not is_paid(self.rules.work, name, target):
            raise InvalidBlock(f"{label(header)}: nonce: its work is below that of any block")
        check_messages_root(block)
        self._orphans.add(name, block)
        return self._retry_orphan(name, now_ms)

    def _retry_orphan(self, name: bytes, now_ms: int) -> Added:
        """Try again to accept the lowest orphan below this one, which may have come too early.

        Each node has its own clock. A block that is too early for this node may be accepted by
        another one a moment later; without a second try this node would stay on its own branch.
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
        # A header in the tree has passed the checks of another node. They depend on the bytes
        # alone, except for the time, which is compared with this node's clock.
        if name not in self._tree or header.time_ms > now_ms + self.rules.max_ahead_ms:
            parent = self._tree[header.parent]
            check_header(header, parent.header, self.rules, parent.median_ms, parent.bits, now_ms)
        self._verdict_cache.check_block(
            block, self.rules, self.chain_id, self.state, self._transition
        )
        self._record(name, header, now_ms)

    def _record(self, name: bytes, header: Header, now_ms: int) -> None:
        self._tree.put(name, header)
        self._seen_ms[name] = now_ms
        self.made[header.address] += 1

    def _only_moves_head(self, name: bytes, block: Block, now_ms: int) -> bool:
        """Return whether only the head has to move up, as for most blocks.

        This is so if another node has checked the block, it stands on the head, its time is not
        ahead of the clock, and no orphan waits.
        """
        return (
            name in self._tree
            and block.header.parent == self.head
            and not len(self._orphans)
            and block.header.time_ms <= now_ms + self.rules.max_ahead_ms
            and self._verdict_cache.has_accepted(block)
        )

    def _move_head_up(self, name: bytes, maker: bytes, now_ms: int) -> Added:
        self._seen_ms[name] = now_ms
        self.made[maker] += 1
        self._path.append(name)
        self._forget_old_blocks()
        return Added("extended", name, (name,))

    def _connect_orphans(
        self, name: bytes, now_ms: int
    ) -> tuple[tuple[bytes, ...], tuple[tuple[Block, str], ...]]:
        connected, refused = [name], list[tuple[Block, str]]()
        for parent in connected:  # the list grows as orphans connect
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
        self._forget_old_blocks()
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

    def _forget_old_blocks(self) -> None:
        if self._keep is None:
            return
        lowest = len(self._path) - 1 - self._keep
        if lowest < self._lowest + self._keep:  # a sweep looks at all that is kept: keep it rare
            return
        # The tree drops what no chain needs any more, so this chain must drop every block below
        # the height that it reports.
        seen, tree = self._seen_ms, self._tree
        self._seen_ms = {name: seen[name] for name in seen if tree[name].header.height >= lowest}
        self._lowest = lowest
        tree.need(id(self), lowest)
