"""Verdict cache: keeps blocks, states and verdicts that all nodes of a simulation share.

A message or block that one node has checked is not checked again for the other nodes.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Generic, TypeVar

from fedchain.errors import EncodingError, InvalidBlock, InvalidMessage, WrongCopy
from fedchain.ledger.chain.block import Block
from fedchain.ledger.chain.block_tree import BlockTree
from fedchain.ledger.chain.encoding import unsigned
from fedchain.ledger.chain.message import Limits, Message
from fedchain.ledger.chain.rules import Rules
from fedchain.ledger.chain.state import State
from fedchain.ledger.chain.validity import Transition, check_block, check_copy, check_message

Held = TypeVar("Held")

KEPT_BYTES = 2**22
"""Bytes of memory for cached blocks, and the same again for cached states."""
FEWEST, MOST = 3, 64
"""Least and greatest number of cached blocks, and of cached states."""
KEPT_VERDICTS = 1024
"""Least number of verdicts for which a cache has room."""
KEPT_AHEAD = 4096
"""Most verdicts of ``check_ahead`` that wait to be used; the oldest is dropped first."""


class LruCache(Generic[Held]):
    """The most recently used values, by hash.

    >>> cache: LruCache[str] = LruCache(1)
    >>> cache.put(b"a", "first"); cache.put(b"b", "second")
    >>> cache.get(b"a") is None, cache.get(b"b")
    (True, 'second')
    """

    def __init__(self, keep: int | None, load: Callable[[bytes], Held] | None = None) -> None:
        self._held: OrderedDict[bytes, Held] = OrderedDict()
        self._keep = keep
        self._load = load

    def __len__(self) -> int:
        return len(self._held)

    def put(self, key: bytes, value: Held) -> None:
        """Keep a value; if the cache is full, drop the least recently used value."""
        self._held[key] = value
        self._held.move_to_end(key)
        if self._keep is not None and len(self._held) > self._keep:
            self._held.popitem(last=False)

    def get(self, key: bytes) -> Held | None:
        """Return the value with this hash, or None if it is not cached and cannot be loaded."""
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


class VerdictCache:
    """The blocks, states and verdicts of all chains and mempools of one simulation.

    All chains must have the same rules. A cache with threads must be closed after use.
    """

    def __init__(
        self,
        *,
        keep_states: int = MOST,
        load_state: Callable[[bytes], State] | None = None,
        load_block: Callable[[bytes], Block] | None = None,
        threads: int = 0,
        keep_blocks: int = MOST,
        keep_verdicts: int = KEPT_VERDICTS,
    ) -> None:
        """Start empty.

        Args:
            keep_states: greatest number of states in memory, at least 1.
            load_state: function that takes a block's hash and returns the state after the block, or
                raises a KeyError.
            load_block: function that takes a block's hash and returns the block, or raises a
                KeyError; None: every block stays in memory.
            threads: number of threads for ``check_ahead``; 0: ``check_ahead`` does nothing.
            keep_blocks: most blocks in memory if ``load_block`` is given.
            keep_verdicts: most verdicts on messages and blocks in memory.
        """
        self.states: LruCache[State] = LruCache(keep_states, load_state)
        self.blocks: LruCache[Block] = LruCache(keep_blocks if load_block else None, load_block)
        self._trees: dict[bytes, BlockTree] = {}
        self._verdicts: LruCache[str] = LruCache(keep_verdicts)
        self._threads = ThreadPoolExecutor(threads, "checks") if threads else None
        self._ahead: OrderedDict[bytes, Future[str]] = OrderedDict()

    @classmethod
    def sized(
        cls,
        limits: Limits,
        load_state: Callable[[bytes], State],
        load_block: Callable[[bytes], Block],
        threads: int,
    ) -> VerdictCache:
        """Return a cache that keeps fewer blocks and states if they are large.

        The greatest size of a block follows from ``limits``. The other arguments are those of the
        class.
        """
        return cls(
            keep_states=kept(8 * limits.entries),
            load_state=load_state,
            load_block=load_block,
            threads=threads,
            keep_blocks=kept(2 * limits.messages * limits.entries),
            keep_verdicts=KEPT_VERDICTS + FEWEST * limits.messages,
        )

    def close(self) -> None:
        """End the threads; ``check_ahead`` does nothing from now on."""
        if self._threads is not None:
            self._threads.shutdown(cancel_futures=True)
            self._threads = None

    def tree(self, genesis: Block, rules: Rules) -> BlockTree:
        """Return the shared tree of the blocks above this genesis block."""
        return self._trees.setdefault(genesis.header.hash, BlockTree(genesis, rules))

    def check_ahead(self, messages: Iterable[Message], rules: Rules, chain_id: bytes) -> None:
        """Start to check messages in threads, for later calls of ``check_message``.

        Args:
            messages: messages, each to be checked for the parent and round that it names.
            rules: rules of the chain.
            chain_id: hash of the genesis block, 32 bytes.
        """
        if self._threads is None:
            return
        for message in messages:
            place = message.parent, message.round
            try:
                release = _release_key(message, *place)
            except EncodingError:  # check_message reports it
                continue
            if release not in self._ahead and self._verdicts.get(release) is None:
                self._ahead[release] = self._threads.submit(
                    _find_verdict, message, rules, chain_id, *place
                )
            if len(self._ahead) > KEPT_AHEAD:
                self._ahead.popitem(last=False)[1].cancel()

    def check_message(
        self, message: Message, rules: Rules, chain_id: bytes, parent: bytes, height: int
    ) -> None:
        """Check a message as ``validity.check_message`` does, but only once for all nodes.

        Raises:
            InvalidMessage: the message breaks a rule.
        """
        try:
            release = _release_key(message, parent, height)
        except EncodingError as error:
            raise InvalidMessage(f"message: {error}") from error
        verdict = self._verdicts.get(release)
        if verdict is None:
            ahead = self._ahead.pop(release, None)
            if ahead is None or ahead.cancel():
                verdict = _find_verdict(message, rules, chain_id, parent, height)
            else:
                verdict = ahead.result()
            self._verdicts.put(release, verdict)
        if verdict:
            raise InvalidMessage(verdict)

    def check_block(
        self,
        block: Block,
        rules: Rules,
        chain_id: bytes,
        state_of: Callable[[bytes], State],
        transition: Transition,
    ) -> None:
        """Check a block as ``validity.check_block`` does, but only once for all nodes.

        The cache keeps a valid block and the state after the block. ``state_of`` is a function that
        takes a block's hash and returns the state after that block.

        Raises:
            WrongCopy: the messages or the signature do not belong to the header.
            InvalidBlock: the block breaks a rule.
        """
        try:
            content = block.content
        except EncodingError as error:
            check_copy(block)  # names what cannot be encoded
            raise WrongCopy(f"{block.header.label}: {error}") from error
        verdict = self._verdicts.get(content)
        if verdict is None:
            try:
                parent = state_of(block.header.parent)
                after = check_block(block, rules, chain_id, parent, transition, self.check_message)
            except WrongCopy:
                raise
            except InvalidBlock as error:
                self._verdicts.put(content, str(error))
                raise
            self._verdicts.put(content, "")
            self.states.put(block.header.hash, after)
            self.blocks.put(block.header.hash, block)
        elif verdict:
            raise InvalidBlock(verdict)


def kept(size: int) -> int:
    """Return the number of values of ``size`` bytes that a cache keeps.

    >>> kept(5_000_000), kept(400_000), kept(1000)
    (3, 10, 64)
    """
    return max(FEWEST, min(MOST, KEPT_BYTES // max(size, 1)))


def _release_key(message: Message, parent: bytes, height: int) -> bytes:
    return message.content + parent + unsigned(height, 8)


def _find_verdict(
    message: Message, rules: Rules, chain_id: bytes, parent: bytes, height: int
) -> str:
    try:
        check_message(message, rules, chain_id, parent, height)
    except InvalidMessage as error:
        return str(error)
    return ""
