"""Verdict cache: the blocks, states and verdicts that the nodes of one simulation share.

Validity depends on the bytes alone, so a check by one honest node holds for all of them. Keys are
hashes of the whole content, signatures included. The cache is bounded, except that all blocks stay
in memory if there is no store to load them from.
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
"""Bytes of memory for cached blocks that can be loaded again, and as many for cached states."""
FEWEST, MOST = 3, 64
"""Least and largest number of these blocks, and also of the states. The least number leaves room
for the forks of the last round; the largest is enough if blocks and states are small."""
KEPT_VERDICTS = 1024
"""Number of verdicts that are kept, in addition to those on the messages of a few blocks."""
KEPT_AHEAD = 4096
"""Most verdicts that ``check_ahead`` keeps until they are used; the oldest is dropped first."""


class LruCache(Generic[Held]):
    """The most recently used values, by hash; dropped values may be loaded again.

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
        """Keep a value; if the cache is full, drop the least recently used one."""
        self._held[key] = value
        self._held.move_to_end(key)
        if self._keep is not None and len(self._held) > self._keep:
            self._held.popitem(last=False)

    def get(self, key: bytes) -> Held | None:
        """Return the value, or None if it is not held and cannot be loaded."""
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
    """Holds blocks, states and verdicts for the chains and mempools of one simulation.

    All of these chains have the same rules. A cache with threads must be closed after use.
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
            keep_states: most states in memory, at least 1; older ones are loaded or recomputed.
            load_state: returns the state after a block, or raises KeyError, like ``Store.state``.
            load_block: returns a block, or raises KeyError, like ``Store.block``. Without this
                function every block stays in memory.
            threads: number of threads for ``check_ahead``; 0: each message is checked when its
                verdict is asked for.
            keep_blocks: most blocks in memory, if older ones can be loaded.
            keep_verdicts: most verdicts on messages and blocks that are kept.
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
        """Return a cache that keeps as many states and blocks as their size allows.

        Args:
            limits: limits of the chain.
            load_state: ``Store.state``.
            load_block: ``Store.block``.
            threads: number of threads for ``check_ahead``.
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
        """End the threads; from now on each message is checked when its verdict is asked for."""
        if self._threads is not None:
            self._threads.shutdown(cancel_futures=True)
            self._threads = None

    def tree(self, genesis: Block, rules: Rules) -> BlockTree:
        """Return the tree of the blocks above this genesis block; all chains get the same tree."""
        return self._trees.setdefault(genesis.header.hash, BlockTree(genesis, rules))

    def check_ahead(self, messages: Iterable[Message], rules: Rules, chain_id: bytes) -> None:
        """Start to check messages in threads, each message for the parent and round that it names.

        A later ``check_message`` waits for the verdict, or checks the message itself if no thread
        has started on it. The verdict is the same with any number of threads.

        Args:
            messages: the messages whose verdicts will soon be asked for.
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
            InvalidMessage: a rule is broken.
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

        A valid block and the state after it are kept.

        Args:
            block: a block whose header has passed ``check_header``.
            rules: rules of the chain.
            chain_id: hash of the genesis block, 32 bytes.
            state_of: returns the state after a block; called only if the block is new.
            transition: computes the state after a block, as the rules say.

        Raises:
            WrongCopy: messages or signature are not those of the header.
            InvalidBlock: a rule is broken.
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
    """Return how many values of ``size`` bytes each are kept in memory.

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
