"""Simulation: it runs the nodes of one run through all events, and records each round."""

# One round, from a block to the next:
# 1. A block arrives at a holder (_act_on_holder). If the holder's light client accepts the block,
#    the holder plans a release (_plan).
# 2. When the gradient is due (_speak), the release service computes the private gradients of the
#    cohort at the block's weights, adds noise, normalises, quantises and signs (_release).
# 3. The network carries the message to the mempools of the compute nodes.
# 4. A compute node with all messages, or with the quorum at the deadline, aggregates, updates, does
#    its work and sends the block. Every full node recomputes the block and appends it.
# 5. The recorder makes the record of the round (rounds).

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from fedchain.ledger.chain.block import Block
from fedchain.ledger.chain.message import Message
from fedchain.ledger.chain.verdict_cache import VerdictCache
from fedchain.ledger.storage.recall import recorded_block
from fedchain.ledger.storage.store import Store
from fedchain.nodes.holders.data_holder import (
    BUDGET_SPENT,
    GRADIENT_S,
    NOT_FINITE,
    TOO_FEW,
    DataHolder,
    Speak,
)
from fedchain.nodes.holders.dropouts import DropoutOutcome
from fedchain.nodes.payloads import Send
from fedchain.results import MessageRecord, RoundRecord
from fedchain.simulation.recorder import Measure, NodeTracker, Recorder, UnfinishedRound
from fedchain.simulation.release_service import Ask, ReleaseService
from fedchain.simulation.run_blocks import RunBlocks
from fedchain.simulation.setup import (
    RunSetup,
    build_compute_nodes,
    build_data_holders,
    deepest_fork,
)
from fedchain.simulation.transport import Event, Trace, Transport
from fedchain.timing import Stopwatch
from fedchain.transition import Steps


class Simulation:
    """The nodes of a run, and the events that they act on."""

    _is_stopped = False

    def __init__(
        self,
        *,
        setup: RunSetup,
        store: Store,
        ask: Ask,
        measure: Measure,
        watch: Stopwatch,
        trace: Trace | None = None,
    ) -> None:
        """Start every node at genesis.

        If the store already has blocks, an interrupted run is resumed. All its events are simulated
        again, but its releases and blocks are read from the store. ``trace`` is called for every
        block and message that spreads.
        """
        self._setup, self._store, self._watch = setup, store, watch
        self._steps = Steps(setup.rules, watch, trust_user_parts=True)
        limits, threads = setup.rules.limits, os.cpu_count() or 1
        self._verdict_cache = VerdictCache.sized(limits, store.state, store.block, threads)
        self.blocks = RunBlocks(setup, store, self._verdict_cache, watch)
        """The blocks and states of the run."""
        self._releases = ReleaseService(
            setup=setup,
            store=store,
            ask=ask,
            blocks=self.blocks,
            verdict_cache=self._verdict_cache,
            watch=watch,
        )
        self._unfinished: UnfinishedRound | None = None
        self._transport = Transport(setup, self._keep, trace)
        self.compute_nodes = build_compute_nodes(
            setup=setup,
            steps=self._steps,
            verdict_cache=self._verdict_cache,
            recall=self._recall if store.highest else None,
            slowest_s=lambda: self._transport.slowest_s,
            watch=watch,
        )
        """The compute nodes, in the order of their ids."""
        self.blocks.nodes = self.compute_nodes
        listeners = [node.node for node in self.compute_nodes if node.schedule.hears_at_once]
        self._transport.listeners += listeners
        self._reporter = min(self.compute_nodes, key=lambda node: not node.schedule.honest)
        self.chain = self._reporter.chain
        """The chain of the first honest compute node; if all nodes attack, the chain of node 0."""
        self.holder_slots = build_data_holders(setup)
        """The data holders, one for each slot of the network."""
        self.silent: dict[int, str] = {}
        """The latest reason why a participant could not send a message, by participant id."""
        self.tracker = NodeTracker(self.compute_nodes)
        """Records incidents, and also the nodes' heads if links can be down."""
        self.wasted_releases = 0
        """Number of releases at blocks that no honest node accepts."""
        self._recorder = self._build_recorder(measure)

    def _build_recorder(self, measure: Measure) -> Recorder:
        scenario = self._setup.scenario
        return Recorder(
            chain=self.chain,
            steps=self._steps,
            state_of=self.blocks.state,
            measure=measure,
            measured_every=scenario.evaluate.every,
            miners={node.address: node.node for node in self.compute_nodes},
            watch=self._watch,
            keep=deepest_fork(scenario),
        )

    def close(self) -> None:
        """Stop the threads that check messages in the background."""
        self._verdict_cache.close()

    def stop(self) -> None:
        """Simulate no further event: the rounds that were made by now are the last ones."""
        self._is_stopped = True

    def rounds(self) -> Iterator[tuple[RoundRecord, list[MessageRecord]]]:
        """Simulate the run until no event is left, or until ``stop`` is called.

        With ``on_exhausted: stop`` the run also ends when a participant has spent its privacy
        budget.

        Yields:
            The record of each round of the reported chain, and the records of the round's messages.
            If a reorganisation replaces a round, the round is yielded again.
        """
        for node in self.compute_nodes:
            self._transport.post(node.node, node.start(), 0.0)
        for slot in self.holder_slots:
            self._plan(slot, slot.start(), 0.0)
        ends_early = self._setup.scenario.nodes.on_exhausted == "stop"
        while self._transport.queue and not self._is_stopped:
            if ends_early and BUDGET_SPENT in self.silent.values():
                break
            now_s = self._play()
            self._recorder.note(self._releases.released)
            for block in self._recorder.new_blocks():
                yield from self._finish_round()
                if not self._reporter.schedule.honest:  # it may never send the block
                    self._keep(self._reporter.node, block, now_s)
                self._unfinished = self._recorder.round_record(block, now_s, self._releases.worst)
        yield from self._finish_round()

    def _play(self) -> float:
        """Handle events until the chain has a new head; return the simulated time in seconds."""
        transport, queue, head, now_s = self._transport, self._transport.queue, self.chain.head, 0.0
        breaks = self._setup.scenario.gossip.breaks
        with self._watch("network"):
            while queue and self.chain.head == head:
                event = queue.take()
                now_s = event.time_s
                if breaks and (transport.waits(event) or self._is_void(event)):
                    continue
                self._act(event)
                if breaks:
                    self.tracker.look(event.to, now_s)
        return now_s

    def _act(self, event: Event) -> None:
        """Deliver an event to its receiver, and send the payloads that the receiver returns."""
        if event.to >= len(self.compute_nodes):
            self._act_on_holder(event)
            return
        sends = self.compute_nodes[event.to].receive(event.payload, event.time_s)
        self._transport.post(event.to, sends, event.time_s)

    def _act_on_holder(self, event: Event) -> None:
        """Deliver a block or an objection to a holder, or release the holder's gradient."""
        slot = self.holder_slots[event.to - len(self.compute_nodes)]
        if not isinstance(event.payload, Speak):
            if not isinstance(event.payload, Block) or self.blocks.has_weights(event.payload):
                self._plan(slot, slot.receive(event.payload), event.time_s)
        elif slot.client.head == event.payload.parent:  # the holder has not moved on
            self._speak(slot, event.payload, event.time_s)

    def _plan(self, slot: DataHolder, intent: Speak | None, now_s: float) -> None:
        """Schedule the release that a data holder intends."""
        if intent is not None:
            self._transport.post(slot.node, [Send(intent, slot.node, GRADIENT_S)], now_s)

    def _speak(self, slot: DataHolder, intent: Speak, now_s: float) -> None:
        """Release a participant's gradient, unless its budget is spent or too few members stay."""
        participant = self._participant(slot, intent)
        if self._releases.budget(participant).noise_step(intent.parent, intent.round) is None:
            self.silent[participant] = BUDGET_SPENT
            return
        outcome = self._releases.attempt(participant, intent.parent, intent.round, intent.attempt)
        if outcome.reconstructs:
            self._release(slot, participant, intent, now_s)
        else:
            self._retry(slot, intent, outcome, now_s)

    def _release(self, slot: DataHolder, participant: int, intent: Speak, now_s: float) -> None:
        """Send the messages of a participant, and charge the release to its privacy budget."""
        parent = intent.parent
        messages = self._releases.release(participant, parent, intent.round)
        if not messages:
            self.silent[participant] = NOT_FINITE
            return
        self._releases.budget(participant).spend(parent, intent.round)
        self.wasted_releases += any(parent in node.claims for node in self.compute_nodes)
        sends = [Send(message, "compute") for message in messages]
        self._transport.post(slot.node, sends, now_s)

    def _retry(self, slot: DataHolder, intent: Speak, failed: DropoutOutcome, now_s: float) -> None:
        """Schedule a group's next attempt. Charge the failed attempt if it counts as a release."""
        participant = self._participant(slot, intent)
        if failed.is_release:
            attempt = intent.parent + bytes([failed.number])
            self._releases.budget(participant).spend(attempt, intent.round)
        if failed.again_s is None:
            self.silent[participant] = TOO_FEW
            return
        again = replace(intent, attempt=failed.number + 1)
        self._transport.post(slot.node, [Send(again, slot.node, failed.again_s)], now_s)

    def _participant(self, slot: DataHolder, intent: Speak) -> int:
        """Return the id of the participant (holder or group) on a slot in a round."""
        place = slot.node - len(self.compute_nodes)
        return self._setup.sampling.holders_of(intent.round)[place]

    def _is_void(self, event: Event) -> bool:
        """Return whether an event is a message that arrives too late for any block."""
        message = event.payload
        return isinstance(message, Message) and self.compute_nodes[event.to].is_over(message)

    def _finish_round(self) -> Iterator[tuple[RoundRecord, list[MessageRecord]]]:
        """Yield the latest round, as soon as its metrics are measured."""
        if self._unfinished is not None:
            record, measuring, messages = self._unfinished
            self._unfinished = None
            measured = measuring.result()
            record.keywords["seconds"]["evaluation"] = round(measured.seconds, 6)
            yield record(metrics=measured.metrics), messages

    def figures(self) -> dict[str, Any]:
        """Return the figures of the run so far for the manifest."""
        return {
            "stale_blocks": self.chain.stale,
            "reorganisations": self.chain.reorganisations,
            "chain": self._recorder.tally(self._setup.scenario.nodes.shares),
            "traffic": self._transport.traffic,
            "fooled": self.wasted_releases,
            "judged_by": self._recorder.judged_by,
            **self.tracker.figures(),
        }

    def stragglers(self) -> list[MessageRecord]:
        """Return the records of the messages that no block carries and no round has reported."""
        self._recorder.note(self._releases.released)
        return self._recorder.stragglers(self._setup.rules.rounds + 1)

    @property
    def releases(self) -> dict[int, int]:
        """Number of releases by participant id, including releases on forks."""
        return self._releases.counts

    def _keep(self, sender: int, block: Block, now_s: float) -> None:
        """Store a block that leaves its sender, and update the clips of holders."""
        if self.blocks.keep(sender, block, now_s):
            self._releases.carry(block)

    def _recall(self, parent: bytes, address: bytes) -> Block | None:
        """Return the block that a node found on a parent before an interruption, or None."""
        height = self.chain.height_of(parent)
        if height is not None and height >= self._store.highest:
            return None
        return recorded_block(self._store, parent, address)
