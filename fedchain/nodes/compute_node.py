"""The compute node: a full node that gathers messages, does the work and appends blocks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from fedchain.errors import InvalidBlock, InvalidMessage
from fedchain.events import Send
from fedchain.ledger.block import VERSION, Block, Header, header_prefix, messages_root
from fedchain.ledger.chain import Chain
from fedchain.ledger.mempool import Mempool
from fedchain.ledger.message import Message
from fedchain.ledger.rules import Rules, limits_of, rules_hash
from fedchain.ledger.state import hash_memory, hash_weights
from fedchain.ledger.validity import Transition
from fedchain.ledger.work import search, target_from_compact
from fedchain.timing import Stopwatch

TRIES = 65_536
"""Nonces tried between two looks at the network: a loser stops at most this much too late."""
KEPT_ROUNDS = 2
"""Rounds below the head whose messages are kept: most forks are that short. After a deeper one
the holders, who follow the same head, send their messages again."""
KEPT_REFUSALS = 1_000
"""Refusals that a node remembers, the first ones of a run."""


@dataclass(frozen=True)
class DeadlinePassed:
    """A note to oneself: no need to wait for more than the quorum any longer."""

    parent: bytes
    """The head at which the wait began."""


@dataclass(frozen=True)
class Searching:
    """A note to oneself: the next nonces to try for this header."""

    block: Block
    """The block to be, its nonce still 0."""
    first_nonce: int
    """Where the search goes on."""


@dataclass(frozen=True)
class Found:
    """A note to oneself: the work on this block is done."""

    block: Block
    """The finished block."""


@dataclass(frozen=True)
class Effort:
    """How a compute node spends its time."""

    deadline_s: float
    """Simulated seconds after a new head until the quorum is enough."""
    hashes_per_second: float
    """Tries in a simulated second."""
    expected: int
    """Messages at which there is nothing to wait for: the number of data holders."""


@dataclass(frozen=True)
class Refusal:
    """A message or block that a node did not accept, and why."""

    time_s: float
    """Simulated seconds since genesis."""
    reason: str
    """The broken rule."""


class ComputeNode:
    """A full node with a view of its own: a chain, a memory pool, and work under way."""

    def __init__(
        self,
        node: int,
        address: bytes,
        chain: Chain,
        pool: Mempool,
        rules: Rules,
        transition: Transition,
        effort: Effort,
        recall: Callable[[bytes, bytes], Block | None],
        watch: Stopwatch,
    ) -> None:
        """Start at the chain's head.

        Args:
            node: the node's number in the network.
            address: SHA-256 of its public key, 32 bytes.
            chain: its view of the chain.
            pool: its memory pool.
            rules: of the chain.
            transition: the step that the rules name.
            effort: when it starts to work, and how fast.
            recall: (parent, address) to the block that an interrupted run has already found.
            watch: counts wall time by stage.
        """
        self._node = node
        self.address = address
        self.chain = chain
        self.refusals: list[Refusal] = []
        """What it did not accept, and why; the first ones only."""
        self._pool, self._rules, self._transition = pool, rules, transition
        self._effort, self._recall, self._watch = effort, recall, watch
        self._working_on = b""
        self._past_deadline = b""

    @property
    def node(self) -> int:
        """The node's number in the network."""
        return self._node

    def start(self) -> list[Send]:
        """Wait for messages at the head, up to the deadline."""
        if self.chain.height >= self._rules.rounds:
            return []
        return [Send(DeadlinePassed(self.chain.head), self.node, self._effort.deadline_s)]

    def receive(self, payload: object, now_s: float) -> list[Send]:
        """Act on a block, a message, or a note to oneself; stale work is ignored."""
        match payload:
            case Message() as message:
                return self._on_message(message, now_s)
            case Block() as block:
                return self._on_block(block, now_s)
            case DeadlinePassed(parent=parent) if parent == self.chain.head:
                self._past_deadline = parent
                return self._begin_work(now_s)
            case Searching(block=block) if block.header.parent == self.chain.head:
                return self._search(block, payload.first_nonce)
            case Found(block=block) if block.header.parent == self.chain.head:
                return [Send(block, "everybody"), *self._on_block(block, now_s)]
            case _:
                return []

    def _on_message(self, message: Message, now_s: float) -> list[Send]:
        try:
            with self._watch("signing"):
                self._pool.add(message)
        except InvalidMessage as error:
            self._refuse(now_s, str(error))
        return self._begin_work(now_s) if message.parent == self.chain.head else []

    def _on_block(self, block: Block, now_s: float) -> list[Send]:
        before = self.chain.head
        try:
            with self._watch("ledger"):
                added = self.chain.add(block, _milliseconds(now_s))
            for reason in added.refused:  # orphans that had waited for this block
                self._refuse(now_s, reason)
        except InvalidBlock as error:
            self._refuse(now_s, str(error))
        if self.chain.head == before:
            return []
        self._pool.forget_below(self.chain.height - KEPT_ROUNDS)
        return self.start() + self._begin_work(now_s)

    def _begin_work(self, now_s: float) -> list[Send]:
        head, height = self.chain.head, self.chain.height
        if self._working_on == head or height >= self._rules.rounds:
            return []
        enough = self._rules.quorum if self._past_deadline == head else self._effort.expected
        if self._pool.count(head) < max(enough, self._rules.quorum):
            return []
        self._working_on = head
        most = limits_of(self._rules).messages
        return self._search(self._template(self._pool.messages(head)[:most], now_s), 0)

    def _template(self, messages: tuple[Message, ...], now_s: float) -> Block:
        head = self.chain.head
        recalled = self._recall(head, self.address)
        if recalled is not None:
            return recalled
        after = self._transition(self.chain.state(head), messages)
        header = Header(
            version=VERSION,
            chain_id=self.chain.chain_id,
            height=self.chain.height + 1,
            parent=head,
            time_ms=max(_milliseconds(now_s), self.chain.median_time(head) + 1),
            bits=self.chain.expected_bits(head),
            address=self.address,
            messages_root=messages_root(messages),
            weights_hash=hash_weights(after),
            memory_hash=hash_memory(after),
            rules_hash=rules_hash(self._rules),
            nonce=0,
        )
        return Block(header, messages)

    def _search(self, block: Block, first_nonce: int) -> list[Send]:
        nonce = self._nonce(block, first_nonce)
        if nonce is None:
            later = TRIES / self._effort.hashes_per_second
            return [Send(Searching(block, first_nonce + TRIES), self.node, later)]
        found = Block(replace(block.header, nonce=nonce), block.messages)
        seconds = (nonce - first_nonce + 1) / self._effort.hashes_per_second
        return [Send(Found(found), self.node, seconds)]

    def _nonce(self, block: Block, first_nonce: int) -> int | None:
        known = block.header.nonce
        if known or self._recall(block.header.parent, self.address) is not None:
            # The search of an interrupted run, at its pace and without its hashing.
            return known if known < first_nonce + TRIES else None
        with self._watch("work"):
            target = target_from_compact(block.header.bits)
            return search(header_prefix(block.header), first_nonce, TRIES, target)

    def _refuse(self, now_s: float, reason: str) -> None:
        if len(self.refusals) < KEPT_REFUSALS:
            self.refusals.append(Refusal(now_s, reason))


def _milliseconds(seconds: float) -> int:
    return int(seconds * 1000.0)
