"""Compute node: a full node that collects messages, does the work and appends blocks."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import replace

from fedchain.errors import EncodingError, InvalidBlock, InvalidMessage, WrongCopy
from fedchain.ledger.chain.block import Block, header_prefix, sign_block
from fedchain.ledger.chain.chain import Added, Chain
from fedchain.ledger.chain.crypto import public_key_of
from fedchain.ledger.chain.mempool import Mempool
from fedchain.ledger.chain.message import Message, identity_of
from fedchain.ledger.chain.rules import Rules
from fedchain.ledger.chain.state import State
from fedchain.ledger.chain.validity import Transition
from fedchain.ledger.chain.work import search, target_from_compact
from fedchain.nodes.compute.hashing import TRIES, Effort, SampledWork, stretch, worked
from fedchain.nodes.compute.incident_log import IncidentLog
from fedchain.nodes.compute.strategy import HONESTLY, Draft, Messages, Scene, Schedule
from fedchain.nodes.payloads import (
    DeadlinePassed,
    Drawn,
    NonceFound,
    Objection,
    Searching,
    Send,
)
from fedchain.timing import Stopwatch

KEPT_ROUNDS = 2
"""Number of rounds below the head whose messages stay in the mempool."""
KEPT_CLAIMS = 64
"""Largest number of its own refused blocks that a dishonest node keeps."""


class ComputeNode:
    """A full node with its own chain and mempool; it works on one block at a time."""

    def __init__(
        self,
        *,
        node: int,
        secret: bytes,
        chain: Chain,
        pool: Mempool,
        rules: Rules,
        transition: Transition,
        effort: Effort,
        recall: Callable[[bytes, bytes], Block | None] | None,
        watch: Stopwatch,
        schedule: Schedule = HONESTLY,
    ) -> None:
        """Start at the chain's head.

        Args:
            node: the node's id in the network.
            secret: the node's Ed25519 secret key, 32 bytes, with which it signs its blocks.
            chain: the node's chain.
            pool: the node's mempool.
            rules: the rules of the chain.
            transition: computes the state after a block from the block's messages.
            effort: when the node starts its work, and how fast it works.
            recall: returns the block that a node has found before an interruption, given the hash
                of the parent and the node's address; None if the run is new.
            watch: counts wall time by stage.
            schedule: the node's strategy in each round.
        """
        self.node, self.chain, self._secret = node, chain, secret
        self.address = identity_of(public_key_of(secret))
        """The node's address in block headers: SHA-256 of its public key, 32 bytes."""
        self.incidents = IncidentLog()
        """The node's log of refused messages and blocks."""
        self.schedule = schedule
        self.strategy = schedule.at(chain.height + 1)
        """The strategy for the block above the node's head."""
        self.claims: OrderedDict[bytes, tuple[Block, State]] = OrderedDict()
        """The node's own latest refused blocks and the states that these blocks claim, by block
        hash. Light clients may follow such a block, and then holders need the weights after it."""
        self._pool, self._rules, self._transition = pool, rules, transition
        self._effort, self._watch = effort, watch
        # A dishonest node may make two blocks on one parent, so it always searches again.
        self._recall = recall if schedule.honest else None
        self._target, self._height = chain.head, chain.height
        self._most = rules.limits.messages
        self._working_on = self._past_deadline = self._given_up = b""
        self._stretch = stretch(effort.hashes_per_second * rules.interval_ms / 1000.0)
        self._sampled = SampledWork(effort.hashes_per_second, effort.draw)
        self._carried: Messages = ()
        self._withheld: list[Block] = []
        self._claim = chain.state(chain.head)

    def start(self) -> list[Send]:
        """Begin to wait for messages at the head."""
        return self._begin(self._target, 0.0)

    def receive(self, payload: object, now_s: float) -> list[Send]:
        """Process a block, a message, an objection or a timer; stale timers are ignored."""
        match payload:
            case Message() as message:
                return self._on_message(message, now_s)
            case (Block() as block) | Objection(block=block):
                return self._on_block(block, now_s)
            case DeadlinePassed(parent=parent) if parent == self._target:
                self._past_deadline = parent
                sends = self._begin_work(now_s)
                return sends if self._working_on == parent else self._give_up(now_s)
            case Searching(block=block) if block.header.parent == self._target:
                return self._search(payload)
            case Drawn(due_s=due_s) if due_s == self._sampled.due_s:
                self._sampled.succeed()
                block = self._template(self._carried, now_s)
                return self._on_own_block(block, now_s)
            case NonceFound(block=block) if block.header.parent == self._target:
                return self._on_own_block(block, now_s)
            case _:
                return []

    def is_over(self, message: Message) -> bool:
        """Return whether a message's round is too old for the mempool."""
        return message.round < self.chain.height - KEPT_ROUNDS

    def _on_message(self, message: Message, now_s: float) -> list[Send]:
        """Add a message to the mempool, and begin the work if there are enough messages."""
        try:
            with self._watch("signing"):
                self._pool.add(message)
        except InvalidMessage as error:
            self.incidents.refuse_message(now_s, message, str(error))
        return self._begin_work(now_s) if message.parent == self._target else []

    def _on_block(self, block: Block, now_s: float) -> list[Send]:
        """Add another node's block, or object to a refused block whose work is done."""
        try:
            name = block.header.hash
            if name in self.incidents.ignored or name in self.chain:
                return []
            added = self._add(block, now_s)
        except WrongCopy as error:
            # Only messages or signature are wrong: the header may belong to a valid block. So the
            # node neither objects to it nor ignores it from now on.
            self.incidents.refuse_block(now_s, block, str(error))
            return []
        except (InvalidBlock, EncodingError) as error:
            return self._object(block, str(error), now_s)
        sends = [send for orphan, why in added.refused for send in self._object(orphan, why, now_s)]
        for name in () if self.schedule.honest else added.connected:
            sends += self._show(self.chain.block(name), False, True)
        return sends + self._turn_to_head(now_s)

    def _on_own_block(self, block: Block, now_s: float) -> list[Send]:
        """Sign and add a block that the node has found; return what the node sends then."""
        block = sign_block(block, self._secret)
        try:
            self._add(block, now_s)
        except InvalidBlock as error:
            self._own_refused(block, str(error), now_s)
            return self._show(block, True, False)
        self._withheld.append(block)
        sends = self._show(block, True, True)
        if not self.strategy.again:
            return sends + self._turn_to_head(now_s)
        self._working_on = b""
        return sends + (self._turn_to_head(now_s) or self._begin_work(now_s))

    def _own_refused(self, block: Block, reason: str, now_s: float) -> None:
        """Log an honest node's refused block; keep a dishonest node's block and claimed state."""
        if self.schedule.honest:
            self.incidents.refuse_block(now_s, block, reason)
            return
        self.incidents.ignore(block.header)
        self.claims[block.header.hash] = block, self._claim
        if len(self.claims) > KEPT_CLAIMS:
            self.claims.popitem(last=False)

    def _add(self, block: Block, now_s: float) -> Added:
        """Add a block to the node's chain, and look for equivocation in the accepted blocks."""
        with self._watch("ledger"):
            added = self.chain.add(block, int(now_s * 1000.0))
        self.strategy = self.schedule.at(self.chain.height + 1)
        for name in added.connected:
            self.incidents.saw(now_s, self.chain.link(name).signed)
        return added

    def _show(self, block: Block, own: bool, accepted: bool) -> list[Send]:
        """Return what the node sends after it has found or accepted a block."""
        scene = Scene(
            block=block, own=own, accepted=accepted, chain=self.chain, withheld=self._withheld
        )
        return self.schedule.at(block.header.height).publishes(scene)

    def _object(self, block: Block, reason: str, now_s: float) -> list[Send]:
        """Log a refused block; return an objection if the block's work is done."""
        self.incidents.refuse_block(now_s, block, reason)
        self.incidents.ignore(block.header)
        objection = Send(Objection(block, self.node), "everybody")
        return [objection] if worked(block.header, self._rules.work) else []

    def _give_up(self, now_s: float) -> list[Send]:
        """Turn to the head of the holders, since this node's head has no quorum at the deadline."""
        # Of blocks with equal work, holders follow the smallest hash, compute nodes the block that
        # they saw first. Without this turn, all compute nodes might wait for ever.
        if self.schedule.honest and self._target == self.chain.head:
            self._given_up = self._target
        return self._turn_to_head(now_s)

    def _turn_to_head(self, now_s: float) -> list[Send]:
        """Begin to work on another parent if the strategy now builds on another block."""
        target = self.strategy.works_on(self.chain)
        if target == self._given_up:
            target = self.chain.holders_head()
        if target == self._target:
            return []
        self._pool.forget_below(self.chain.height - KEPT_ROUNDS)
        return self._begin(target, now_s)

    def _begin(self, target: bytes, now_s: float) -> list[Send]:
        """Begin to work on a parent, or wait for messages until the deadline."""
        self._target, self._height = target, self.chain.link(target).header.height
        sends = self._begin_work(now_s)
        if self._working_on == target:
            return sends
        if self._rules.work == "sampled":
            self._sampled.pause(now_s)
        if self._height >= self._rules.rounds:
            return []
        return [Send(DeadlinePassed(target), self.node, self._effort.deadline_s)]

    def _begin_work(self, now_s: float) -> list[Send]:
        """Begin to work if there are enough messages and no work on this parent has begun."""
        parent, strategy = self._target, self.strategy
        if self._working_on == parent or self._height >= self._rules.rounds:
            return []
        enough = self._rules.quorum if self._past_deadline == parent else self._effort.expected
        least = max(enough, self._rules.quorum) if strategy.least is None else strategy.least
        if least and self._pool.count(parent) < least:
            return []
        self._working_on = parent
        messages = strategy.carries(self._pool.messages(parent)[: self._most])
        if self._rules.work == "sampled":
            return self._work_sampled(messages, now_s)
        block = self._template(messages, now_s)
        return self._search(Searching(block, 0, header_prefix(block.header), now_s))

    def _work_sampled(self, messages: Messages, now_s: float) -> list[Send]:
        """Begin or continue sampled work; return a new timer if the end of the work has changed."""
        self._carried, before = messages, self._sampled.due_s
        due_s = self._sampled.begin(self.chain.link(self._target).bits, now_s)
        return [] if due_s == before else [Send(Drawn(due_s), self.node, due_s - now_s)]

    def _template(self, messages: Messages, now_s: float) -> Block:
        """Return the block to work on, with nonce 0, or the block of an interrupted run."""
        parent = self._target
        if self._recall and (recalled := self._recall(parent, self.address)):
            return recalled
        time_ms = max(int(now_s * 1000.0), self.chain.link(parent).median_ms + 1)
        after = self.chain.state(parent)
        if len(messages) >= self._rules.quorum:  # otherwise the block is invalid anyway
            after = self._transition(after, messages)
        draft = self.strategy.writes(Draft(parent, time_ms, messages, after))
        self._claim = draft.after
        return draft.block(self.chain, self.address)

    def _search(self, begun: Searching) -> list[Send]:
        """Try the next nonces; return the timer of the success or of the next tries."""
        block, first = begun.block, begun.first_nonce
        nonce: int | None = block.header.nonce
        if nonce or (self._recall and self._recall(block.header.parent, self.address)):
            # An interrupted run has found this nonce. The search takes the same simulated time.
            nonce = nonce if block.header.nonce < first + self._stretch else None
        else:
            with self._watch("work"):
                target = target_from_compact(block.header.bits)
                nonce = search(begun.prefix, first, self._stretch, target)
        rate = self._effort.hashes_per_second
        if nonce is not None:
            found = replace(block, header=replace(block.header, nonce=nonce))
            tried = nonce - first + first % TRIES + 1
            return [Send(NonceFound(found), self.node, at_s=begun.began_s + tried / rate)]
        following, began_s = first + self._stretch, begun.began_s
        if not following % TRIES:
            began_s += TRIES / rate
        timer = Searching(block, following, begun.prefix, began_s)
        return [Send(timer, self.node, at_s=began_s + following % TRIES / rate)]
