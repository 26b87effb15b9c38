"""Simulation: it plays the events of a run, and yields one round after the other.

One round, from a block to the next:

1. A block arrives at a holder, and its light client accepts it (``_act``).
2. The holder plans a release at this block (``_plan``).
3. When its gradient is due (``_speak``), the release service computes the private gradients of
   the cohort at w_t, adds noise, normalises, quantises and signs (``_release``).
4. The network carries the message to the mempools of the compute nodes.
5. When a compute node has all messages, or the quorum at the deadline, it aggregates, updates,
   does its work and sends the block.
6. Every full node recomputes the block and appends it.
7. The recorder makes the record of the round (``rounds``).
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
from fedchain.ledger.chain.block import Block
from fedchain.ledger.chain.chain import Chain
from fedchain.ledger.chain.message import Message
from fedchain.ledger.chain.state import State
from fedchain.ledger.chain.verdict_cache import VerdictCache
from fedchain.ledger.storage.recall import recorded_block
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
from fedchain.simulation.recorder import Measure, Recorder
from fedchain.simulation.release_service import Ask, ReleaseService
from fedchain.simulation.setup import RunSetup, deepest_fork
from fedchain.simulation.trackers import HeadTracker, IncidentTracker
from fedchain.simulation.transport import Transport
from fedchain.timing import Stopwatch
from fedchain.transition import Steps


class Simulation:
    """The nodes of a run, and the events that they act on."""

    def __init__(
        self, *, setup: RunSetup, store: Store, ask: Ask, measure: Measure, watch: Stopwatch
    ) -> None:
        """Put every node at genesis.

        If the store already has blocks, it belongs to an interrupted run. The simulation then
        repeats the same events, but takes the releases and blocks that the store has from it
        instead of computing them.

        Args:
            setup: the parts of the run.
            store: the ledger on disk, open, with the same genesis.
            ask: computes the releases of several participants at the same weights.
            measure: measures the metrics of a block's weights.
            watch: counts wall time by stage.
        """
        self._setup, self._store, self._watch = setup, store, watch
        self._chain_id = setup.genesis.header.hash
        self._steps = Steps(setup.rules, watch, trust_user_parts=True)
        limits, threads = setup.rules.limits, os.cpu_count() or 1
        self._verdict_cache = VerdictCache.sized(limits, store.state, store.block, threads)
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
        self._unfinished: tuple[RoundRecord, Future[Measured], list[MessageRecord]] | None = None
        self._transport = Transport(setup, self._keep)
        self.compute = build_compute_nodes(
            setup=setup,
            steps=self._steps,
            verdict_cache=self._verdict_cache,
            recalled=self._recalled,
            slowest_s=lambda: self._transport.slowest_s,
            watch=watch,
        )
        """The compute nodes; each holds a log of what it refused."""
        for node in self.compute:
            if node.schedule.hears_at_once:
                self._transport.listen(node.node)
        self.holder_slots = tuple(self._data_holder(node) for node in setup.holder_slots)
        """The data holders of a round, one for each slot."""
        self.silent: dict[int, str] = {}
        """Participants that sent no message when they should have, and the last reason why."""
        self.incidents = IncidentTracker(self.compute)
        """The refusals and the evidence that honest compute nodes have logged."""
        self.heads = HeadTracker(self.compute)
        """The heads of the compute nodes; they are tracked only if nodes can be cut off."""
        self.fooled = 0
        """Number of releases at blocks that no honest node accepts."""
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
        """End the threads that check messages ahead of time."""
        self._verdict_cache.close()

    @property
    def chain(self) -> Chain:
        """The chain that is reported: the one of the first honest compute node, else of node 0."""
        honest = (node for node in self.compute if node.schedule.honest)
        return next(honest, self.compute[0]).chain

    def rounds(self) -> Iterator[tuple[RoundRecord, list[MessageRecord]]]:
        """Play all events, until none is left or the run has to stop.

        Yields:
            The record of each round when the reported chain reaches it, with the records of its
            messages. A round that a reorganisation replaces is yielded again.
        """
        for node in self.compute:
            self._transport.post(node.node, node.start(), 0.0)
        for slot in self.holder_slots:
            self._plan(slot, slot.start(), 0.0)
        while self._transport.queue and not self._stopped:
            now_s = self._play(self.chain)
            for block in self._recorder.new_blocks():
                yield from self._finish_round()
                record, measuring = self._recorder.round_record(block, now_s)
                self._unfinished = record, measuring, self._recorder.message_records(block)
        yield from self._finish_round()

    def _play(self, chain: Chain) -> float:
        """Play events until the chain has a new head or none is left; return the time then."""
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
        """Hand an event to the node that it is for, and send what the node wants to send."""
        if event.to >= len(self.compute):
            self._act_on_holder(event)
            return
        sends = self.compute[event.to].receive(event.payload, event.time_s)
        self._transport.post(event.to, sends, event.time_s)

    def _act_on_holder(self, event: Event) -> None:
        """Hand a block or an objection to a holder, or release the gradient that has come due."""
        slot = self.holder_slots[event.to - len(self.compute)]
        if not isinstance(event.payload, Speak):
            self._plan(slot, slot.receive(event.payload), event.time_s)
        elif slot.still_wants(event.payload):
            self._speak(slot, event.payload, event.time_s)

    def _plan(self, slot: DataHolder, intent: Speak | None, now_s: float) -> None:
        """Let the holder on a slot begin to compute a gradient, and schedule its release."""
        if intent is not None:
            self._releases.begin(self._participant(slot, intent), intent.parent, intent.round)
            self._transport.queue.put(now_s + GRADIENT_S, slot.node, intent)

    def _speak(self, slot: DataHolder, intent: Speak, now_s: float) -> None:
        """Release the gradient of the participant on a slot, if its budget and its group allow."""
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
        """Send the messages of a participant, and count the release against its budget."""
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
        """Plan the next attempt; charge the failed one if members were asked for their shares."""
        if failed.is_release:
            budget = self._releases.budget(participant)
            budget.spend(intent.parent + bytes([failed.number]))
        if failed.again_s is None:
            self.silent[participant] = TOO_FEW
            return
        again = replace(intent, attempt=failed.number + 1)
        self._transport.queue.put(now_s + failed.again_s, slot.node, again)

    def _participant(self, slot: DataHolder, intent: Speak) -> int:
        """Return the participant (holder or group) that has a slot in a round."""
        place = slot.node - len(self.compute)
        return self._setup.sampling.holders_of(intent.round)[place]

    def _is_void(self, event: Event) -> bool:
        """Return whether a message comes so late, after an outage, that no block can carry it."""
        message = event.payload
        return isinstance(message, Message) and self.compute[event.to].is_over(message)

    def _finish_round(self) -> Iterator[tuple[RoundRecord, list[MessageRecord]]]:
        """Yield the round that is not reported yet, with its metrics.

        Its metrics were measured while the gradients of the next round were computed.
        """
        if self._unfinished is not None:
            record, measuring, messages = self._unfinished
            self._unfinished = None
            measured = measuring.result()
            seconds = {**record.seconds, "evaluation": round(measured.seconds, 6)}
            yield replace(record, metrics=measured.metrics, seconds=seconds), messages

    @property
    def tally(self) -> dict[str, Any]:
        """The figures of the reported chain: ``chain`` in the summary of a run."""
        return self._recorder.tally(self._setup.scenario.nodes.shares)

    @property
    def traffic(self) -> dict[str, Any]:
        """Bytes sent and received: by each compute node, and by all data holders together."""
        return self._transport.traffic

    def stragglers(self) -> list[MessageRecord]:
        """Return the messages that no block carries and that are in no record yet."""
        return self._recorder.stragglers(self._setup.rules.rounds + 1)

    @property
    def releases(self) -> dict[int, int]:
        """Number of releases so far of every participant with a due release, forks included."""
        return self._releases.counts

    @property
    def _stopped(self) -> bool:
        """Whether a budget is spent and the scenario says that the run then stops."""
        if self._setup.scenario.nodes.on_exhausted == "leave":
            return False
        return BUDGET_SPENT in self.silent.values()

    def _keep(self, sender: int, block: Block, now_s: float) -> None:
        """Write a block that leaves its sender to the store, if the state after it is known."""
        name = block.header.hash
        state = self._verdict_cache.states.get(name)
        if state is None and sender < len(self.compute) and name in self.compute[sender].chain:
            # The block was withheld for so long that the cache has dropped its body and state.
            self._verdict_cache.blocks.put(name, block)
            state = self.compute[sender].chain.state(name)
        if state is not None:
            with self._watch("ledger"):
                self._store.append(block, state, int(now_s * 1000.0))

    def state(self, block: bytes) -> State:
        """Return the state after a block of this run.

        Raises:
            LedgerError: no store, cache or node has the state any more.
        """
        state = (
            self._setup.state if block == self._chain_id else self._verdict_cache.states.get(block)
        )
        for node in self.compute if state is None else ():
            state = state or node.claims.get(block)
        if state is None:
            raise LedgerError(f"block {block.hex()[:8]}: the state after it is gone")
        return state

    def _data_holder(self, node: int) -> DataHolder:
        """Return the data holder of a slot, with a light client at genesis."""
        setup = self._setup
        client = LightClient(setup.genesis.header, setup.work.kind, self._deepest)
        return DataHolder(
            node=node, client=client, rounds=setup.scenario.rounds, judges=len(setup.compute) - 1
        )

    def _recalled(self, parent: bytes, address: bytes) -> Block | None:
        """Return the block of a compute node on a parent that the ledger already has.

        Only the ledger of an interrupted run has one.
        """
        height = self.chain.height_of(parent)
        if height is not None and height >= self._store.highest:
            return None
        return recorded_block(self._store, parent, address)
