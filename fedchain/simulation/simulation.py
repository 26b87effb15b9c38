"""Simulation: one round after the other, from block to block.

One round as a straight line: a block arrives at a holder, whose light client accepts it
(``_act``); the holder wants to speak (``_plan``); when its gradient is due (``_speak``), the
release service computes the private gradients of the cohort at w_t, adds noise, normalises,
quantises and signs (``_release``); the network carries the message to the mempool of a compute
node; at the quorum's deadline the node aggregates, updates, does its work and sends the block;
every full node recomputes it and appends it; the observer writes the round down (``rounds``).
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import Future
from dataclasses import replace
from typing import Any

from fedchain.errors import LedgerError
from fedchain.events import Event, Send
from fedchain.learning.evaluation import Measured
from fedchain.ledger.chain.block import Block, block_hash
from fedchain.ledger.chain.chain import Chain
from fedchain.ledger.chain.message import Message
from fedchain.ledger.chain.rules import chain_id_of, limits_of
from fedchain.ledger.chain.state import State
from fedchain.ledger.chain.verdict_cache import sized
from fedchain.ledger.storage.store import Store
from fedchain.nodes.holders.data_holder import (
    BUDGET_SPENT,
    GRADIENT_S,
    NO_DIRECTION,
    TOO_FEW,
    DataHolder,
    Speak,
)
from fedchain.nodes.holders.dropouts import DropoutOutcome
from fedchain.nodes.holders.light_client import LightClient
from fedchain.results import MessageRecord, RoundRecord
from fedchain.simulation.compute_setup import build_compute_nodes
from fedchain.simulation.head_tracker import HeadTracker
from fedchain.simulation.incident_tracker import IncidentTracker
from fedchain.simulation.recorder import Measure, Recorder
from fedchain.simulation.release_service import Ask, ReleaseService
from fedchain.simulation.setup import RunSetup, deepest_fork
from fedchain.simulation.transport import Transport
from fedchain.timing import Stopwatch
from fedchain.transition import Steps


class Simulation:
    """The nodes of a world, and their events."""

    def __init__(
        self, *, setup: RunSetup, store: Store, ask: Ask, measure: Measure, watch: Stopwatch
    ) -> None:
        """Put every node at genesis.

        A store that has blocks already is one of an interrupted run: the same events happen
        again, and releases and blocks that it has are taken from it instead of being computed.

        Args:
            setup: the parts.
            store: the ledger on disk, open, of the same genesis.
            ask: computes what several holders say at the same weights.
            measure: metrics of a block's weights.
            watch: counts wall time by stage.
        """
        self._setup, self._store, self._watch = setup, store, watch
        self._chain_id = chain_id_of(setup.genesis)
        self._steps = Steps(setup.rules, watch, trust_user_parts=True)
        limits, threads = limits_of(setup.rules), os.cpu_count() or 1
        self._verdict_cache = sized(limits, store.state, store.block, threads)
        self._releases = ReleaseService(
            setup=setup,
            store=store,
            ask=ask,
            state=self.state,
            verdict_cache=self._verdict_cache,
            watch=watch,
        )
        self._breaks = setup.scenario.gossip.breaks
        self._deepest = deepest_fork(setup.scenario)
        self._untold: tuple[RoundRecord, Future[Measured], list[MessageRecord]] | None = None
        self._transport = Transport(setup, self._keep)
        self.compute = build_compute_nodes(
            setup=setup,
            steps=self._steps,
            verdict_cache=self._verdict_cache,
            recalled=self._recalled,
            slowest_s=lambda: self._transport.slowest_s,
            watch=watch,
        )
        """The compute nodes, with what they refused."""
        for node in self.compute:
            if node.schedule.hears_at_once:
                self._transport.listen(node.node)
        self.holder_slots = tuple(self._data_holder(node) for node in setup.holder_slots)
        """The data holders of a round, each on its seat."""
        self.silent: dict[int, str] = {}
        """Participants that did not speak when they should have, and the last reason why."""
        self.incidents = IncidentTracker(self.compute)
        """What honest compute nodes held against others."""
        self.heads = HeadTracker(self.compute)
        """Their heads, followed where nodes can be cut off."""
        self.fooled = 0
        """Releases at blocks that no honest node accepts."""
        self._recorder = Recorder(
            chain=self.chain,
            steps=self._steps,
            state_of=self.state,
            measure=measure,
            measured_every=setup.scenario.evaluate.every,
            miners={node.address: node.node for node in self.compute},
            watch=watch,
            keep=self._deepest,
        )

    def close(self) -> None:
        """Let the threads end that check messages ahead."""
        self._verdict_cache.close()

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
        for node in self.compute:
            self._transport.post(node.node, node.start(), 0.0)
        for slot in self.holder_slots:
            self._plan(slot, slot.start(), 0.0)
        while self._transport.queue and not self._stopped:
            now_s = self._play(self.chain)
            for block in self._recorder.new_blocks():
                yield from self._told()
                record, measuring = self._recorder.round_record(block, now_s)
                self._untold = record, measuring, self._recorder.message_records(block)
        yield from self._told()

    def _play(self, chain: Chain) -> float:
        """Let nodes act until a chain has another head, or nothing is left; return when that is."""
        delivery, queue, head, now_s = self._transport, self._transport.queue, chain.head, 0.0
        with self._watch("network"):
            while queue and chain.head == head:
                event = queue.take()
                now_s = event.time_s
                if self._breaks and (delivery.waits(event) or self._is_void(event)):
                    continue
                self._act(event)
                if self._breaks:
                    self.heads.look(event.to, now_s)
        return now_s

    def _act(self, event: Event) -> None:
        """Let the node to which an event comes act on it."""
        if event.to >= len(self.compute):
            self._act_on_holder(event)
            return
        sends = self.compute[event.to].receive(event.payload, event.time_s)
        self._transport.post(event.to, sends, event.time_s)

    def _act_on_holder(self, event: Event) -> None:
        """Let a holder take in a block, or release the gradient that it wanted to release."""
        slot = self.holder_slots[event.to - len(self.compute)]
        if not isinstance(event.payload, Speak):
            self._plan(slot, slot.receive(event.payload), event.time_s)
        elif slot.still_wants(event.payload):
            self._speak(slot, event.payload, event.time_s)

    def _plan(self, slot: DataHolder, intent: Speak | None, now_s: float) -> None:
        """Let the holder on a seat begin to compute the gradient that it wants to release."""
        if intent is not None:
            self._releases.begin(self._participant(slot, intent), intent.parent, intent.round)
            self._transport.queue.put(now_s + GRADIENT_S, slot.node, intent)

    def _speak(self, slot: DataHolder, intent: Speak, now_s: float) -> None:
        """Release the gradient of the participant on a seat, if its budget and its group allow."""
        participant = self._participant(slot, intent)
        if not self._releases.budget(participant).allows(intent.parent):
            self.silent[participant] = BUDGET_SPENT
            return
        outcome = self._releases.attempt(participant, intent.parent, intent.round, intent.attempt)
        if outcome.reconstructs:
            self._release(slot, participant, intent, now_s)
        else:
            self._retry(slot, participant, intent, outcome, now_s)

    def _release(self, slot: DataHolder, participant: int, intent: Speak, now_s: float) -> None:
        """Send the messages of a participant, and count them against its budget."""
        parent = intent.parent
        messages, released = self._releases.release(participant, parent, intent.round)
        if not messages:
            self.silent[participant] = NO_DIRECTION
            return
        self._releases.budget(participant).spend(parent)
        self.fooled += any(parent in node.claims for node in self.compute)
        for each in released:
            self._recorder.note(each)
        sends = [Send(message, "compute") for message in messages]
        self._transport.post(slot.node, sends, now_s)

    def _retry(
        self,
        slot: DataHolder,
        participant: int,
        intent: Speak,
        failed: DropoutOutcome,
        now_s: float,
    ) -> None:
        """Count an attempt that failed after its members had sent their shares; plan the next."""
        if failed.is_release:
            budget = self._releases.budget(participant)
            budget.spend(intent.parent + bytes([failed.number]))
        if failed.again_s is None:
            self.silent[participant] = TOO_FEW
            return
        again = replace(intent, attempt=failed.number + 1)
        self._transport.queue.put(now_s + failed.again_s, slot.node, again)

    def _participant(self, slot: DataHolder, intent: Speak) -> int:
        """Return the holder or group that sits on a seat in a round."""
        place = slot.node - len(self.compute)
        return self._setup.sampling.holders_of(intent.round)[place]

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
        return self._recorder.tally(self._setup.scenario.nodes.shares)

    @property
    def traffic(self) -> dict[str, Any]:
        """Bytes on the links: of each compute node, and of all data holders together."""
        return self._transport.traffic

    def stragglers(self) -> list[MessageRecord]:
        """Return the messages that no block carries and no round has told of."""
        return self._recorder.stragglers(self._setup.rules.rounds + 1)

    @property
    def releases(self) -> dict[int, int]:
        """Releases so far of every holder that has been asked, forks included."""
        return self._releases.counts

    @property
    def _stopped(self) -> bool:
        """Whether a budget is spent that the run is to stop at."""
        if self._setup.scenario.nodes.on_exhausted == "leave":
            return False
        return BUDGET_SPENT in self.silent.values()

    def _keep(self, sender: int, block: Block, now_s: float) -> None:
        name = block_hash(block.header)
        state = self._verdict_cache.states.get(name)
        if state is None and sender < len(self.compute) and name in self.compute[sender].chain:
            # withheld for so long that no shelf has its body or its state any more
            self._verdict_cache.blocks.put(name, block)
            state = self.compute[sender].chain.state(name)
        if state is not None:
            with self._watch("ledger"):
                self._store.append(block, state, int(now_s * 1000.0))

    def state(self, block: bytes) -> State:
        """Return the state after a block of this run."""
        state = (
            self._setup.state if block == self._chain_id else self._verdict_cache.states.get(block)
        )
        for node in self.compute if state is None else ():
            state = state or node.claims.get(block)
        if state is None:
            raise LedgerError(f"block {block.hex()[:8]}: the state after it is gone")
        return state

    def _data_holder(self, node: int) -> DataHolder:
        setup = self._setup
        client = LightClient(setup.genesis.header, setup.work.kind, self._deepest)
        return DataHolder(
            node=node, client=client, rounds=setup.scenario.rounds, judges=len(setup.compute) - 1
        )

    def _recalled(self, parent: bytes, address: bytes) -> Block | None:
        """Return what the ledger of an interrupted run has from this compute node."""
        height = self.chain.height_of(parent)
        if height is not None and height >= self._store.highest:
            return None
        return self._store.block_by(parent, address)
