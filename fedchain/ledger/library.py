"""What the nodes of one simulation share: bodies, states, and what has been checked already.

Validity is a function of the bytes: what one honest node has checked, another need not repeat.
Everything is keyed by content, signatures included, and bounded.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Generic, TypeVar

from fedchain.errors import EncodingError, InvalidBlock, InvalidMessage
from fedchain.ledger.block import Block, block_hash, content_of_block
from fedchain.ledger.message import Message, content_of
from fedchain.ledger.rules import Rules
from fedchain.ledger.state import State
from fedchain.ledger.validity import Transition, check_block, check_message, label

Held = TypeVar("Held")

KEPT_STATES = 16
"""States kept in memory, unless told otherwise."""
KEPT_BLOCKS = 64
"""Blocks kept in memory where older ones can be loaded."""
KEPT_VERDICTS = 65_536
"""Checked messages and blocks that are remembered, 32 bytes each."""


class Shelf(Generic[Held]):
    """The most recently used values, by hash; what has fallen off may be loaded again.

    >>> shelf: Shelf[str] = Shelf(1)
    >>> shelf.put(b"a", "first"); shelf.put(b"b", "second")
    >>> shelf.get(b"a") is None, shelf.get(b"b")
    (True, 'second')
    """

    def __init__(self, keep: int | None, load: Callable[[bytes], Held] | None = None) -> None:
        self._held: OrderedDict[bytes, Held] = OrderedDict()
        self._keep = keep
        self._load = load

    def __len__(self) -> int:
        return len(self._held)

    def put(self, key: bytes, value: Held) -> None:
        """Keep a value; the least recently used one may fall off."""
        self._held[key] = value
        self._held.move_to_end(key)
        if self._keep is not None and len(self._held) > self._keep:
            self._held.popitem(last=False)

    def get(self, key: bytes) -> Held | None:
        """Return the value, or None if it is neither held nor can be loaded."""
        if key in self._held:
            self._held.move_to_end(key)
            return self._held[key]
        if self._load is None:
            return None
        try:
            loaded = self._load(key)
        except KeyError:
            return None
        self.put(key, loaded)
        return loaded


class Library:
    """Shared by the chains and mempools of one simulation, under one set of rules."""

    def __init__(
        self,
        keep_states: int = KEPT_STATES,
        load_state: Callable[[bytes], State] | None = None,
        load_block: Callable[[bytes], Block] | None = None,
    ) -> None:
        """Start empty.

        Args:
            keep_states: most states in memory, at least 1; older ones are loaded or recomputed.
            load_state: returns the state after a block, or raises KeyError: ``Store.state``.
            load_block: returns a block, or raises KeyError: ``Store.block``. Without it every
                block stays in memory.
        """
        self.states: Shelf[State] = Shelf(keep_states, load_state)
        self.blocks: Shelf[Block] = Shelf(KEPT_BLOCKS if load_block else None, load_block)
        self._verdicts: Shelf[str] = Shelf(KEPT_VERDICTS)

    def check_message(
        self, message: Message, rules: Rules, chain_id: bytes, parent: bytes, height: int
    ) -> None:
        """Check a message as ``validity.check_message`` does, once for all nodes.

        Raises:
            InvalidMessage: a rule is broken.
        """
        try:
            release = content_of(message) + parent + height.to_bytes(8)
        except EncodingError as error:
            raise InvalidMessage(f"message: {error}") from error
        if self._verdicts.get(release) is None:
            check_message(message, rules, chain_id, parent, height)
            self._verdicts.put(release, "")

    def check_block(
        self,
        block: Block,
        rules: Rules,
        chain_id: bytes,
        state_of: Callable[[bytes], State],
        transition: Transition,
    ) -> None:
        """Check a block as ``validity.check_block`` does, once for all nodes, and keep it.

        Args:
            block: its header has passed ``check_header``.
            rules: of the chain.
            chain_id: hash of the genesis block, 32 bytes.
            state_of: gives the state after a block; asked only if the block is new.
            transition: the step that the rules name.

        Raises:
            InvalidBlock: a rule is broken.
        """
        try:
            content = content_of_block(block)
        except EncodingError as error:
            raise InvalidBlock(f"{label(block.header)}: messages: {error}") from error
        verdict = self._verdicts.get(content)
        if verdict is None:
            try:
                parent = state_of(block.header.parent)
                after = check_block(block, rules, chain_id, parent, transition, self.check_message)
            except InvalidBlock as error:
                self._verdicts.put(content, str(error))
                raise
            self._verdicts.put(content, "")
            self.states.put(block_hash(block.header), after)
            self.blocks.put(block_hash(block.header), block)
        elif verdict:
            raise InvalidBlock(verdict)
