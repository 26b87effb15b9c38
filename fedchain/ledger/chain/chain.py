"""Chain of one node: the blocks that the node has accepted, and the choice of the head."""

from __future__ import annotations

from collections import Counter
from typing import Literal, NamedTuple

from fedchain.errors import EncodingError, InvalidBlock, TooEarly
from fedchain.ledger.chain.block import Block
from fedchain.ledger.chain.block_tree import ChainLink, Orphans
from fedchain.ledger.chain.rules import Rules
from fedchain.ledger.chain.state import State
from fedchain.ledger.chain.validity import (
    Transition,
    check_bare_block,
    check_copy,
    check_header,
    check_orphan,
)
from fedchain.ledger.chain.verdict_cache import VerdictCache

REMEMBERED_HEIGHTS = 1024
"""By default, a chain remembers the blocks of at least this many heights below the head."""

Change = Literal["extended", "reorganised", "side", "known", "orphan"]


class Added(NamedTuple):
    """What changed when a block was added to the chain."""

    kind: Change
    """extended: the head moved up its branch; reorganised: the head moved to another branch; side:
    the head stayed; known: the block was accepted before; orphan: the block is not accepted yet."""
    head: bytes
    """Hash of the head after the block was added."""
    connected: tuple[bytes, ...] = ()
    """Hashes of the accepted blocks: the added block, then the orphans above this block."""
    lost: tuple[bytes, ...] = ()
    """Hashes of the blocks that left the main chain, highest first."""
    refused: tuple[tuple[Block, str], ...] = ()
    """Invalid orphans that were dropped, each with the reason."""


class Chain:
    """Accepts blocks; the branch with the most work is the main chain.

    The chain forgets old blocks, and never accepts a block whose parent it has forgotten.
    """

    def __init__(
        self,
        *,
        genesis_block: Block,
        genesis_state: State,
        rules: Rules,
        transition: Transition,
        verdict_cache: VerdictCache,
        keep: int | None = REMEMBERED_HEIGHTS,
    ) -> None:
        """Start with the genesis block.

        Args:
            genesis_block: the genesis block, made by ``rules.genesis``.
            genesis_state: the state that the genesis block commits to.
            rules: rules of the chain.
            transition: function that computes the state after a block.
            verdict_cache: cache shared by all chains of a simulation.
            keep: least number of heights below the head to remember (two retarget windows if they
                are longer); None: all heights.
        """
        self.rules = rules
        self.chain_id = genesis_block.header.hash
        self.reorganisations = 0
        """Number of times that the head has moved from one branch to another."""
        self.deepest = 0
        """Greatest number of blocks that one reorganisation has removed from the main chain."""
        self._genesis, self._genesis_state = genesis_block, genesis_state
        self._transition, self._verdict_cache = transition, verdict_cache
        self._keep = None if keep is None else max(keep, 2 * rules.retarget_window)
        self._tree = verdict_cache.tree(genesis_block, rules)
        self._lowest = 0
        self._tree.need(id(self), 0)
        self._seen_ms = {self.chain_id: 0}
        self.made: Counter[bytes] = Counter()
        """Number of accepted blocks that each compute node has made, by the node's address."""
        self.head = self.chain_id
        """Hash of the head."""
        self.height = 0
        """Height of the head."""
        self._path = [self.chain_id]
        self._orphans = Orphans()

    def __contains__(self, block: bytes) -> bool:
        return block in self._seen_ms

    def __len__(self) -> int:
        """Return the number of blocks accepted so far, genesis included."""
        return self.made.total() + 1

    @property
    def work(self) -> int:
        """Cumulative work: the expected number of tries for the head and all blocks below."""
        return self.link(self.head).work

    @property
    def stale(self) -> int:
        """Number of accepted blocks that are not on the main chain."""
        return len(self) - len(self._path)

    @property
    def orphans(self) -> int:
        """Number of blocks that wait to be accepted."""
        return len(self._orphans.blocks)

    def link(self, block: bytes) -> ChainLink:
        """Return an accepted block's ChainLink; raise a KeyError if it is unknown or forgotten."""
        if block not in self._seen_ms:
            raise KeyError(block)
        return self._tree.links[block]

    def height_of(self, block: bytes) -> int | None:
        """Return the height of an accepted block, or None for an unknown block."""
        return self._tree.links[block].header.height if block in self._seen_ms else None

    def path(self) -> list[bytes]:
        """Return the hashes of the main chain's blocks, genesis first."""
        return list(self._path)

    def on_path(self, block: bytes) -> bool:
        """Return whether a block is on the main chain."""
        height = self.height_of(block)
        return height is not None and self._path[height : height + 1] == [block]

    def holders_head(self) -> bytes:
        """Return the head for light clients: the smallest hash among blocks with the most work."""
        work, links = self.work, self._tree.links
        return min(name for name in self._seen_ms if links[name].work == work)

    def block(self, block: bytes) -> Block:
        """Return an accepted block; raise a KeyError if it is unknown or forgotten."""
        if block == self.chain_id:
            return self._genesis
        found = self._verdict_cache.blocks.get(block) if block in self._seen_ms else None
        if found is None:
            raise KeyError(block)
        return found

    def state(self, block: bytes) -> State:
        """Return the state after an accepted block, recomputed if necessary."""
        missing = []
        while (known := self._held_state(block)) is None:
            missing.append(block)
            block = self.link(block).header.parent
        for above in reversed(missing):
            known = self._transition(known, self.block(above).messages)
            self._verdict_cache.states.put(above, known)
        return known

    def add(self, block: Block, now_ms: int) -> Added:
        """Check and accept a block, then its waiting children, and choose the head.

        The head is the block with the most work. Ties go to the block that the node accepted first,
        then to the smaller hash. In the last round every tie goes to the smaller hash.

        Args:
            block: the block as received.
            now_ms: time on the node's clock, simulated milliseconds.

        Raises:
            TooEarly: the block's time is too far ahead of the clock. The block waits, and is
                checked again when it arrives a second time or a child of it arrives.
            WrongCopy: the messages or the signature do not belong to the header. The right copy may
                be added later.
            InvalidBlock: the block breaks a rule; the chain is unchanged.
        """
        try:
            name = block.header.hash
        except EncodingError as error:
            raise InvalidBlock(f"block: {error}") from error
        if name in self._seen_ms:
            return Added("known", self.head)
        if name in self._orphans.blocks:
            return self._retry_orphan(name, now_ms)
        if block.header.parent not in self._seen_ms:
            return self._add_orphan(name, block, now_ms)
        try:
            self._accept(name, block, now_ms)
        except TooEarly:
            check_copy(block)
            self._orphans.add(name, block)
            raise
        return self._connect(name, now_ms)

    def add_bare(self, block: Block, now_ms: int) -> Added:
        """Accept a block whose directions were pruned, without checking the state after the block.

        Raises:
            InvalidBlock: the block breaks a rule, or its parent is unknown.
        """
        header = block.header
        if header.parent not in self._seen_ms:
            raise InvalidBlock(f"{header.label}: parent: no block before it")
        check_header(header, self._tree.links[header.parent], self.rules, now_ms)
        check_bare_block(block, self.rules)
        self._record(header.hash, block, now_ms)
        return self._connect(header.hash, now_ms)

    def _held_state(self, block: bytes) -> State | None:
        if block == self.chain_id:
            return self._genesis_state
        return self._verdict_cache.states.get(block) if block in self._seen_ms else None

    def _add_orphan(self, name: bytes, block: Block, now_ms: int) -> Added:
        check_orphan(block, self.rules, self.chain_id)
        self._orphans.add(name, block)
        return self._retry_orphan(name, now_ms)

    def _retry_orphan(self, name: bytes, now_ms: int) -> Added:
        """Try again to accept a waiting block, or its lowest waiting ancestor."""
        # The block may have come too early, and other nodes may have accepted it meanwhile.
        lowest = self._orphans.take_lowest(name)
        if lowest.header.parent not in self._seen_ms:
            self._orphans.add(lowest.header.hash, lowest)
            return Added("orphan", self.head)
        try:
            return self.add(lowest, now_ms)
        except TooEarly:
            return Added("orphan", self.head)
        except InvalidBlock as error:
            return Added("orphan", self.head, refused=((lowest, str(error)),))

    def _accept(self, name: bytes, block: Block, now_ms: int) -> None:
        header = block.header
        # A header in the tree was checked by another chain; only the clock differs between nodes.
        if name not in self._tree.links or header.time_ms > now_ms + self.rules.max_ahead_ms:
            check_header(header, self._tree.links[header.parent], self.rules, now_ms)
        self._verdict_cache.check_block(
            block, self.rules, self.chain_id, self.state, self._transition
        )
        self._record(name, block, now_ms)

    def _record(self, name: bytes, block: Block, now_ms: int) -> None:
        self._tree.put(name, block)
        self._seen_ms[name] = now_ms
        self.made[block.header.address] += 1

    def _connect(self, name: bytes, now_ms: int) -> Added:
        """Accept the orphans that waited for an accepted block; choose the head."""
        if not self._orphans.blocks and self._tree.links[name].header.parent == self.head:
            self._path.append(name)  # the usual case, with more work than the head
            self.head, self.height = name, self.height + 1
            self._forget_old_blocks()
            return Added("extended", name, (name,))
        connected, refused = [name], list[tuple[Block, str]]()
        for parent in connected:  # the list grows in the loop
            for orphan, block in self._orphans.take_children(parent):
                try:
                    self._accept(orphan, block, now_ms)
                    connected.append(orphan)
                except InvalidBlock as error:
                    refused.append((block, str(error)))
        best = min((self.head, *connected), key=self._rank)
        if best == self.head:
            return Added("side", best, tuple(connected), refused=tuple(refused))
        lost = self._move_to(best)
        kind: Change = "reorganised" if lost else "extended"
        return Added(kind, best, tuple(connected), lost, tuple(refused))

    def _rank(self, block: bytes) -> tuple[int, int, bytes]:
        link = self._tree.links[block]
        last = link.header.height >= self.rules.rounds
        return -link.work, 0 if last else self._seen_ms[block], block

    def _move_to(self, head: bytes) -> tuple[bytes, ...]:
        """Make a block the head; return the hashes of the blocks that leave the main chain."""
        links, branch = self._tree.links, [head]
        parent = links[head].header.parent
        while parent != self.head and not self.on_path(parent):
            branch.append(parent)
            parent = links[parent].header.parent
        fork = links[parent].header.height + 1
        lost = tuple(self._path[fork:][::-1])
        self._path[fork:] = reversed(branch)
        self.head, self.height = head, len(self._path) - 1
        self.reorganisations += bool(lost)
        self.deepest = max(self.deepest, len(lost))
        self._forget_old_blocks()
        return lost

    def _forget_old_blocks(self) -> None:
        if self._keep is None:
            return
        lowest = self.height - self._keep
        if lowest < self._lowest + self._keep:  # a sweep visits all kept blocks: keep it rare
            return
        # The tree drops what no chain needs, so this chain drops all below the height it reports.
        seen, links = self._seen_ms, self._tree.links
        self._seen_ms = {name: seen[name] for name in seen if links[name].header.height >= lowest}
        self._lowest = lowest
        self._tree.need(id(self), lowest)
