"""The compute node: a full node that gathers messages, does the work and appends blocks."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, replace

from fedchain.errors import EncodingError, InvalidBlock, InvalidMessage, WrongMessages
from fedchain.events import Send
from fedchain.ledger.chain.block import (
    VERSION,
    Block,
    Header,
    block_hash,
    header_prefix,
    messages_root,
)
from fedchain.ledger.chain.chain import Added, Chain
from fedchain.ledger.chain.mempool import Mempool
from fedchain.ledger.chain.message import Message
from fedchain.ledger.chain.rules import Rules, limits_of, rules_hash
from fedchain.ledger.chain.state import State, hash_memory, hash_weights
from fedchain.ledger.chain.validity import Transition
from fedchain.ledger.chain.work import WorkKind, is_paid, search, target_from_compact
from fedchain.nodes.compute.behaviour import Draft, Messages, Scene, Strategy
from fedchain.nodes.compute.hashing import TRIES
from fedchain.nodes.compute.incident_log import IncidentLog, Objection
from fedchain.nodes.compute.sampled_work import SampledWork
from fedchain.nodes.compute.strategies import HONESTLY, Schedule
from fedchain.timing import Stopwatch

KEPT_ROUNDS = 2
"""Rounds below the head whose messages are kept: most forks are that short. After a deeper one
the holders, who follow the same head, send their messages again."""
KEPT_CLAIMS = 64
"""Own refused blocks whose claimed weights a node can still hand out."""


@dataclass(frozen=True)
class DeadlinePassed:
    """A note to oneself: no need to wait for more than the quorum any longer."""

    parent: bytes
    """The block at which the wait began."""


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
class Drawn:
    """A note to oneself: the work that was drawn is done."""

    due_s: float
    """When it was to be done, simulated seconds; another time is of a draw that has changed."""


@dataclass(frozen=True)
class Effort:
    """How a compute node spends its time."""

    deadline_s: float
    """Simulated seconds after a new head until the quorum is enough."""
    hashes_per_second: float
    """Tries in a simulated second."""
    expected: int
    """Messages at which there is nothing to wait for: the number of data holders."""
    draw: Callable[[int], float]
    """How many blocks it has found to a number in [0, 1) of its own, which decides about sampled
    work."""


class ComputeNode:
    """A full node with a view of its own: a chain, a memory pool, and work under way."""

    def __init__(
        self,
        *,
        node: int,
        address: bytes,
        chain: Chain,
        pool: Mempool,
        rules: Rules,
        transition: Transition,
        effort: Effort,
        recall: Callable[[bytes, bytes], Block | None],
        watch: Stopwatch,
        schedule: Schedule = HONESTLY,
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
            schedule: how it behaves in which round.
        """
        self._node = node
        self.address = address
        self.chain = chain
        self.findings = IncidentLog()
        """What it did not accept, and why."""
        self.schedule = schedule
        """How it behaves in which round."""
        self.claims: OrderedDict[bytes, State] = OrderedDict()
        """States that its own refused blocks commit to, by hash; the latest ones."""
        self._pool, self._rules, self._transition = pool, rules, transition
        self._effort, self._recall, self._watch = effort, recall, watch
        self._target, self._height = chain.head, chain.height
        self._working_on = b""
        self._past_deadline = b""
        self._sampled = SampledWork(effort.hashes_per_second, effort.draw)
        self._carried: Messages = ()
        self._withheld: list[Block] = []
        self._claim = chain.state(chain.head)

    @property
    def node(self) -> int:
        """The node's number in the network."""
        return self._node

    @property
    def conduct(self) -> Strategy:
        """How it behaves at the height of the block that comes next."""
        return self.schedule.at(self.chain.height + 1)

    def start(self) -> list[Send]:
        """Begin at genesis."""
        return self._begin(self._target, 0.0)

    def receive(self, payload: object, now_s: float) -> list[Send]:
        """Act on a block, a message, or a note to oneself; stale work is ignored."""
        match payload:
            case Message() as message:
                return self._on_message(message, now_s)
            case Block() as block:
                return self._on_block(block, now_s)
            case Objection(block=block):
                return self._on_block(block, now_s)
            case DeadlinePassed(parent=parent) if parent == self._target:
                self._past_deadline = parent
                return self._begin_work(now_s)
            case Searching(block=block) if block.header.parent == self._target:
                return self._search(block, payload.first_nonce)
            case Drawn(due_s=due_s) if due_s == self._sampled.due_s:
                self._sampled.succeed()
                block = self._template(self.conduct, self._carried, now_s)
                return self._on_own_block(block, now_s)
            case Found(block=block) if block.header.parent == self._target:
                return self._on_own_block(block, now_s)
            case _:
                return []

    def is_over(self, message: Message) -> bool:
        """Say whether a message is of a round whose messages are no longer kept."""
        return message.round < self.chain.height - KEPT_ROUNDS

    def _on_message(self, message: Message, now_s: float) -> list[Send]:
        try:
            with self._watch("signing"):
                self._pool.add(message)
        except InvalidMessage as error:
            self.findings.refuse_message(now_s, message, str(error))
        return self._begin_work(now_s) if message.parent == self._target else []

    def _on_block(self, block: Block, now_s: float) -> list[Send]:
        """Take in a block of somebody else; of one refused with its work done, warn the others."""
        try:
            name = block_hash(block.header)
            if self.findings.knows(name) or name in self.chain:
                return []
            added = self._add(block, now_s)
        except WrongMessages as error:
            # The header may be that of a good block: no reason to warn of it, or to forget it.
            self.findings.refuse_block(now_s, block.header, str(error))
            return []
        except (InvalidBlock, EncodingError) as error:
            return self._object(block, str(error), now_s)
        sends = [send for orphan, why in added.refused for send in self._object(orphan, why, now_s)]
        for name in () if self.schedule.honest else added.connected:
            sends += self._show(self.chain.block(name), False, True)
        return sends + self._turn_to_head(now_s)

    def _on_own_block(self, block: Block, now_s: float) -> list[Send]:
        """Add what was found; an honest node publishes nothing that its own chain refuses."""
        try:
            self._add(block, now_s)
        except InvalidBlock as error:
            self._own_refused(block, str(error), now_s)
            return self._show(block, True, False)
        self._withheld.append(block)
        if self.conduct.again:
            self._working_on = b""
            sends = self._show(block, True, True)
            return sends + (self._turn_to_head(now_s) or self._begin_work(now_s))
        return self._show(block, True, True) + self._turn_to_head(now_s)

    def _own_refused(self, block: Block, reason: str, now_s: float) -> None:
        """Note an own mistake, or remember what a lie claims: whoever follows it will ask."""
        if self.schedule.honest:
            self.findings.refuse_block(now_s, block.header, reason)
            return
        self.findings.ignore(block.header)
        self.claims[block_hash(block.header)] = self._claim
        if len(self.claims) > KEPT_CLAIMS:
            self.claims.popitem(last=False)

    def _add(self, block: Block, now_s: float) -> Added:
        with self._watch("ledger"):
            added = self.chain.add(block, _milliseconds(now_s))
        for name in added.connected:
            self.findings.saw(now_s, name, self.chain.link(name).header)
        return added

    def _show(self, block: Block, own: bool, accepted: bool) -> list[Send]:
        conduct = self.schedule.at(block.header.height)
        return conduct.publishes(
            Scene(
                block=block, own=own, accepted=accepted, chain=self.chain, withheld=self._withheld
            )
        )

    def _object(self, block: Block, reason: str, now_s: float) -> list[Send]:
        self.findings.refuse_block(now_s, block.header, reason)
        self.findings.ignore(block.header)
        if not worked(block.header, self._rules.work):
            return []
        return [Send(Objection(block, self.node), "everybody")]

    def _turn_to_head(self, now_s: float) -> list[Send]:
        """Begin anew if there is another block to build on."""
        target = self.conduct.works_on(self.chain)
        if target == self._target:
            return []
        self._pool.forget_below(self.chain.height - KEPT_ROUNDS)
        return self._begin(target, now_s)

    def _begin(self, target: bytes, now_s: float) -> list[Send]:
        """Wait for messages at the block to build on, up to the deadline."""
        self._target, self._height = target, self.chain.link(target).header.height
        sends = self._begin_work(now_s)
        if self._working_on == target:
            return sends
        self._sampled.pause(now_s)
        if self._height >= self._rules.rounds:
            return []
        return [Send(DeadlinePassed(target), self.node, self._effort.deadline_s)]

    def _begin_work(self, now_s: float) -> list[Send]:
        parent, conduct = self._target, self.conduct
        if self._working_on == parent or self._height >= self._rules.rounds:
            return []
        enough = self._rules.quorum if self._past_deadline == parent else self._effort.expected
        least = max(enough, self._rules.quorum) if conduct.least is None else conduct.least
        if least and self._pool.count(parent) < least:
            return []
        self._working_on = parent
        most = limits_of(self._rules).messages
        messages = conduct.carries(self._pool.messages(parent)[:most])
        if self._rules.work == "sampled":
            return self._work_sampled(messages, now_s)
        return self._search(self._template(conduct, messages, now_s), 0)

    def _work_sampled(self, messages: Messages, now_s: float) -> list[Send]:
        """Go on with the draw that is under way; a note is needed only if its time is new."""
        self._carried, before = messages, self._sampled.due_s
        due_s = self._sampled.begin(self.chain.link(self._target).bits, now_s)
        return [] if due_s == before else [Send(Drawn(due_s), self.node, due_s - now_s)]

    def _template(self, conduct: Strategy, messages: Messages, now_s: float) -> Block:
        parent = self._target
        recalled = self._recalled(parent)
        if recalled is not None:
            return recalled
        time_ms = max(_milliseconds(now_s), self.chain.link(parent).median_ms + 1)
        draft = conduct.writes(Draft(parent, time_ms, messages, self._after(parent, messages)))
        self._claim = draft.after
        header = Header(
            version=VERSION,
            chain_id=self.chain.chain_id,
            height=self._height + 1,
            parent=parent,
            time_ms=draft.time_ms,
            bits=self.chain.link(parent).bits,
            address=self.address,
            messages_root=messages_root(draft.messages),
            weights_hash=hash_weights(draft.after),
            memory_hash=hash_memory(draft.after),
            rules_hash=rules_hash(self._rules),
            nonce=0,
        )
        return Block(header, draft.messages)

    def _after(self, parent: bytes, messages: Messages) -> State:
        before = self.chain.state(parent)
        if len(messages) < self._rules.quorum:  # no block at all: there is no step to make
            return before
        return self._transition(before, messages)

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
        if known or self._recalled(block.header.parent) is not None:
            # The search of an interrupted run, at its pace and without its hashing.
            return known if known < first_nonce + TRIES else None
        with self._watch("work"):
            target = target_from_compact(block.header.bits)
            return search(header_prefix(block.header), first_nonce, TRIES, target)

    def _recalled(self, parent: bytes) -> Block | None:
        """Return the block of an interrupted run; who may make two on a parent searches again."""
        return self._recall(parent, self.address) if self.schedule.honest else None


def worked(header: Header, work: WorkKind) -> bool:
    """Say whether a header has the work that it claims: light clients could follow it."""
    try:
        return is_paid(work, block_hash(header), target_from_compact(header.bits))
    except (EncodingError, ValueError):
        return False


def _milliseconds(seconds: float) -> int:
    return int(seconds * 1000.0)
