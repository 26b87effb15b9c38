"""The run itself: nodes that act on events, and a record of every round.

One round as a straight line: a block arrives at a holder, its light client accepts it; the
cohort's private gradients are computed at w_t; noise, attack, normalise, quantise, sign; the
network; the mempool of a compute node; quorum or deadline; the transition; proof of work; the
block goes to all, and every full node recomputes it and appends it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from dataclasses import replace
from typing import Any, Protocol

from fedchain.delivery import Delivery
from fedchain.errors import LedgerError
from fedchain.events import Event, Send
from fedchain.heads import Heads
from fedchain.incidents import Incidents
from fedchain.learning.evaluation import Measured
from fedchain.ledger.block import Block, block_hash
from fedchain.ledger.chain import KEPT_HEIGHTS, Chain
from fedchain.ledger.library import sized
from fedchain.ledger.mempool import Mempool
from fedchain.ledger.message import Message, identity_of
from fedchain.ledger.rules import chain_id_of, limits_of
from fedchain.ledger.signature import public_key_of
from fedchain.ledger.state import State
from fedchain.ledger.store import Store
from fedchain.ledger.work import work_of
from fedchain.nodes.compute_node import ComputeNode, Effort
from fedchain.nodes.data_holder import BUDGET_SPENT, DataHolder
from fedchain.nodes.dishonest import Place, schedule_of
from fedchain.nodes.light_client import LightClient
from fedchain.observer import Measure, Observer
from fedchain.randomness import digest, uniforms
from fedchain.releases import Ask, Releases
from fedchain.results import MessageRecord, RoundRecord
from fedchain.timing import Stopwatch
from fedchain.transition import Steps
from fedchain.world import World, deepest_fork


class Node(Protocol):
    """Whoever acts on events; it holds no clock and no reference to another node."""

    @property
    def node(self) -> int:
        """Its number in the network."""

    def start(self) -> list[Send]:
        """Act on genesis."""

    def receive(self, payload: object, now_s: float) -> list[Send]:
        """Act on what arrives."""


class Simulation:
    """The nodes of a world, and their events."""

    def __init__(
        self, world: World, store: Store, ask: Ask, measure: Measure, watch: Stopwatch
    ) -> None:
        """Put every node at genesis.

        A store that has blocks already is one of an interrupted run: the same events happen
        again, and releases and blocks that it has are taken from it instead of being computed.

        Args:
            world: the parts.
            store: the ledger on disk, open, of the same genesis.
            ask: computes what several holders say at the same weights.
            measure: metrics of a block's weights.
            watch: counts wall time by stage.
        """
        self._world, self._store, self._watch = world, store, watch
        self._chain_id = chain_id_of(world.genesis)
        self._steps = Steps(world.rules, watch, trust_user_parts=True)
        limits, threads = limits_of(world.rules), os.cpu_count() or 1
        self._library = sized(limits, store.state, store.block, threads)
        self._releases = Releases(world, store, ask, self.state, self._library, watch)
        self._breaks = world.scenario.gossip.breaks
        self._deepest = deepest_fork(world.scenario)
        self._untold: tuple[RoundRecord, Future[Measured], list[MessageRecord]] | None = None
        self._delivery = Delivery(world, self._keep)
        self.compute = tuple(self._compute_node(node) for node in world.compute)
        """The compute nodes, with what they refused."""
        for node in self.compute:
            if node.schedule.hears_at_once:
                self._delivery.listen(node.node)
        self.seats = tuple(self._data_holder(seat) for seat in range(len(world.seats)))
        """The data holders of a round, each on its seat."""
        self.incidents = Incidents(self.compute)
        """What honest compute nodes held against others."""
        self.heads = Heads(self.compute)
        """Their heads, followed where nodes can be cut off."""
        self.fooled = 0
        """Releases at blocks that no honest node accepts."""
        self._observer = Observer(
            self.chain,
            self._steps,
            self.state,
            measure,
            world.scenario.evaluate.every,
            {node.address: node.node for node in self.compute},
            watch,
            self._deepest,
        )

    def close(self) -> None:
        """Let the threads end that check messages ahead."""
        self._library.close()

    @property
    def chain(self) -> Chain:
        """The chain that is reported: that of the first honest compute node."""
        honest = (node for node in self.compute if node.schedule.honest)
        return next(honest, self.compute[0]).chain

    def rounds(self) -> Iterator[tuple[RoundRecord, list[MessageRecord]]]:
        """Let everything happen, until nothing is left to happen.

        Yields:
            The record of each round when the observer's chain reaches it, with the records of
            its messages; again for rounds that a reorganisation replaces.
        """
        nodes: tuple[Node, ...] = (*self.compute, *self.seats)
        for node in nodes:
            self._delivery.post(node.node, node.start(), 0.0)
        while self._delivery.queue and not self._stopped:
            now_s = self._play(nodes, self.chain)
            for block in self._observer.new_blocks():
                yield from self._told()
                record, measuring = self._observer.round_record(block, now_s)
                self._untold = record, measuring, self._observer.message_records(block)
        yield from self._told()

    def _play(self, nodes: Sequence[Node], chain: Chain) -> float:
        """Let nodes act until a chain has another head, or nothing is left; return when that is."""
        delivery, queue, head, now_s = self._delivery, self._delivery.queue, chain.head, 0.0
        with self._watch("network"):
            while queue and chain.head == head:
                event = queue.take()
                now_s = event.time_s
                if self._breaks and (delivery.waits(event) or self._is_void(event)):
                    continue
                sends = nodes[event.to].receive(event.payload, now_s)
                delivery.post(event.to, sends, now_s)
                if self._breaks:
                    self.heads.look(event.to, now_s)
        return now_s

    def _is_void(self, event: Event) -> bool:
        """Say whether a message has come, after an outage, when no block can carry it any more."""
        message = event.payload
        return isinstance(message, Message) and self.compute[event.to].is_over(message)

    def _told(self) -> Iterator[tuple[RoundRecord, list[MessageRecord]]]:
        """Yield the last round, which was measured beside the gradients of the next."""
        if self._untold is not None:
            record, measuring, messages = self._untold
            self._untold = None
            measured = measuring.result()
            seconds = {**record.seconds, "evaluation": round(measured.seconds, 6)}
            yield replace(record, metrics=measured.metrics, seconds=seconds), messages

    @property
    def tally(self) -> dict[str, Any]:
        """The figures of the chain that is reported: ``chain`` of a run's summary."""
        return self._observer.tally(self._world.scenario.nodes.shares)

    @property
    def traffic(self) -> dict[str, Any]:
        """Bytes on the links: of each compute node, and of all data holders together."""
        return self._delivery.traffic

    def stragglers(self) -> list[MessageRecord]:
        """Return the messages that no block carries and no round has told of."""
        return self._observer.stragglers(self._world.rules.rounds + 1)

    @property
    def releases(self) -> dict[int, int]:
        """Releases so far of every holder that has been asked, forks included."""
        return self._releases.counts

    @property
    def silent(self) -> dict[int, str]:
        """Holders that did not speak when they should have, and the last reason why."""
        return {holder: why for seat in self.seats for holder, why in seat.silent.items()}

    @property
    def _stopped(self) -> bool:
        """Whether a budget is spent that the run is to stop at."""
        if self._world.scenario.nodes.on_exhausted == "leave":
            return False
        return any(BUDGET_SPENT in seat.silent.values() for seat in self.seats)

    def _keep(self, sender: int, block: Block, now_s: float) -> None:
        name = block_hash(block.header)
        state = self._library.states.get(name)
        if state is None and sender < len(self.compute) and name in self.compute[sender].chain:
            # withheld for so long that no shelf has its body or its state any more
            self._library.blocks.put(name, block)
            state = self.compute[sender].chain.state(name)
        if state is not None:
            with self._watch("ledger"):
                self._store.append(block, state, int(now_s * 1000.0))

    def state(self, block: bytes) -> State:
        """Return the state after a block of this run."""
        state = self._world.state if block == self._chain_id else self._library.states.get(block)
        for node in self.compute if state is None else ():
            state = state or node.claims.get(block)
        if state is None:
            raise LedgerError(f"block {block.hex()[:8]}: the state after it is gone")
        return state

    def _compute_node(self, node: int) -> ComputeNode:
        world = self._world
        keep = max(KEPT_HEIGHTS, self._deepest)
        chain = Chain(world.genesis, world.state, world.rules, self._steps, self._library, keep)
        pool = Mempool(world.rules, self._chain_id, chain.height_of, self._library)
        tries_per_second = 1000.0 * work_of(world.work.bits) / world.work.interval_ms
        effort = Effort(
            deadline_s=world.scenario.ledger.deadline_s,
            hashes_per_second=tries_per_second * world.scenario.nodes.shares[node],
            expected=len(world.seats),
            draw=uniforms(world.scenario.seed, "work", node),
        )
        return ComputeNode(
            node,
            self._address(node),
            chain,
            pool,
            world.rules,
            self._steps,
            effort,
            self._recalled,
            self._watch,
            schedule_of(world.scenario, node, lambda: self._place(node)),
        )

    def _place(self, node: int) -> Place:
        """Return what a dishonest compute node knows."""
        world = self._world
        return Place(
            node=node,
            seed=world.scenario.seed,
            quorum=world.rules.quorum,
            shares=dict(zip(world.compute, world.scenario.nodes.shares, strict=True)),
            makers={self._address(other): other for other in world.compute},
            slowest_s=self._delivery.slowest_s,
            key_of=lambda holder, round_: world.identities.of(holder, round_).public_key,
        )

    def _address(self, node: int) -> bytes:
        """Return the name under which a compute node makes blocks."""
        secret = digest(self._world.scenario.seed, "compute node", node)
        return identity_of(public_key_of(secret))

    def _data_holder(self, seat: int) -> DataHolder:
        world = self._world
        return DataHolder(
            world.seats[seat],
            LightClient(world.genesis.header, world.work.kind, self._deepest),
            lambda round_: world.sampling.holders_of(round_)[seat],
            self._releases.budget,
            self._releases.begin,
            self._releases.attend,
            self._release,
            world.scenario.rounds,
            len(world.compute) - 1,
        )

    def _recalled(self, parent: bytes, address: bytes) -> Block | None:
        """Return what the ledger of an interrupted run has from this compute node."""
        height = self.chain.height_of(parent)
        if height is not None and height >= self._store.highest:
            return None
        return self._store.block_by(parent, address)

    def _release(self, holder: int, parent: bytes, round_: int) -> tuple[Message, ...]:
        messages, released = self._releases.of(holder, parent, round_)
        if messages:
            self.fooled += any(parent in node.claims for node in self.compute)
        for each in released:
            self._observer.note(each)
        return messages
