"""Trial: time and bytes of one round of a scenario, measured with a few of its records."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace

import numpy as np

from fedchain.engines.engine import Source, cores
from fedchain.engines.threads import threads
from fedchain.forecasts.rates import Rates
from fedchain.learning.evaluation import flat_weights
from fedchain.learning.task import Task
from fedchain.ledger.chain.block import START_BYTES, messages_parts
from fedchain.ledger.chain.crypto import HASH, InclusionProof, public_key_of
from fedchain.ledger.chain.state import State, tensor_parts, weights_parts
from fedchain.nodes.compute.hashing import expected_hashing_s
from fedchain.nodes.holders.holder_pool import chunk_size, chunks_of
from fedchain.nodes.holders.identity import RoundKey
from fedchain.nodes.holders.release import (
    ReleaseContext,
    ReleaseRequest,
    declaration_of,
    messages_of,
)
from fedchain.privacy.mechanisms import Mechanism
from fedchain.scenario import Scenario
from fedchain.simulation.setup import sampling_of
from fedchain.update import updates

TIMES = 3
"""Number of times that a part is run. The first run warms up; the mean of the others counts."""
MESSAGE_ROWS, BLOCK_ROWS = 207 + 341, 690 + 600
"""Measured bytes of a message (MESSAGE_ROWS) and of a block (BLOCK_ROWS): in the database with its
indexes, plus in the events."""


@dataclass(frozen=True, kw_only=True)
class Trial:
    """One round of a scenario: how long its parts take, and the bytes that it moves."""

    scenario: Scenario
    """The scenario."""
    dimension: int
    """Number of entries of a gradient."""
    spent_s: Mapping[str, float]
    """Wall time of those stages of a round that the trial covers, seconds, by stage."""
    message: int
    """Bytes of a message."""
    block: int
    """Bytes of a block on the network: its header and its messages."""
    weights: int
    """Bytes of the weights."""
    memory: int
    """Bytes of the update rule's memory."""

    @property
    def counts(self) -> Rates:
        """Number of operations of each kind in a round.

        Every message is delivered to all compute nodes, and the block to all other nodes.
        """
        holders, compute = self.scenario.nodes.asked, self.scenario.nodes.miners
        return Rates(
            message=self.block - START_BYTES,
            state=self.weights + self.memory,
            event=holders * compute + (compute - 1 + holders),
            holder=holders,
            round=1,
        )

    def seconds(self, rates: Rates) -> dict[str, float]:
        """Return the wall time of a round in seconds, by stage; the stages add up to the round."""
        found = self.counts
        return {
            **self.spent_s,
            "messages": found.message * rates.message,
            "state": found.state * rates.state,
            "events": found.event * rates.event,
            "rest": found.holder * rates.holder + found.round * rates.round,
        }

    def stored_bytes(self) -> int:
        """Return the bytes that a round adds to the run folder: blobs, database rows, events."""
        rows = self.scenario.nodes.asked * MESSAGE_ROWS + BLOCK_ROWS
        return self.block - START_BYTES + self.weights + self.memory + rows

    def wire_bytes(self) -> dict[str, int]:
        """Return the bytes that nodes would exchange in a round if each were a separate machine.

        A holder sends its message to every compute node, and fetches a header and weights. The
        compute node that found the block sends it, with all messages, to the others.

        Returns:
            Bytes by key. ``message`` and ``block``: the size of one. ``holder`` and
            ``compute node``: what one of them sends and receives in a round. ``all``: what all
            nodes send in a round.
        """
        holders, compute = self.scenario.nodes.asked, self.scenario.nodes.miners
        fetched = START_BYTES + self.weights
        holder = compute * self.message + fetched
        received = holders * self.message + (self.block if compute > 1 else 0)
        return {
            "message": self.message,
            "block": self.block,
            "holder": holder,
            "compute node": received + holders * fetched // compute,
            "all": holders * holder + (compute - 1) * self.block,
        }


def tried(
    scenario: Scenario, mechanism: Mechanism, task: Task, examples: float, held_out: int
) -> Trial:
    """Measure the time and the bytes of a round's parts; the bytes are those in the ledger.

    Args:
        scenario: a checked scenario.
        mechanism: the mechanism that draws the noise.
        task: the task, with records for every holder, possibly fewer than in the scenario.
        examples: mean number of examples of a holder in the scenario.
        held_out: number of examples on which the scenario measures the model.
    """
    from fedchain.learning.evaluation import Evaluations

    weights, asked, ledger = flat_weights(task.model()), scenario.nodes.asked, scenario.ledger
    workers = min(cores(scenario.engine.parameters.get("workers")), cores(None))
    (sender,), said = _requests(scenario, [0]), declaration_of(mechanism, 1)
    (message,) = messages_of(np.ones((1, len(weights))), [sender], [said], ledger.storage)
    assert message is not None, "its release is not zero"
    step = updates.build(scenario.update, weights, {}, np.ones_like(weights), 1)
    state = State(step.weights.astype(ledger.weights), step.memory)
    with closing(Evaluations(task)) as evaluations:
        measured = [evaluations.begin(weights).result().seconds for _ in range(TIMES)][1:]
    share = held_out / task.held_out.examples / scenario.evaluate.every
    return Trial(
        scenario=scenario,
        dimension=len(weights),
        spent_s={
            **_releases_s(Source(scenario, mechanism, task), workers, examples),
            "work": expected_hashing_s(scenario) / scenario.rounds,
            # Evaluation occupies one of the cores during the next gradients.
            "evaluation": statistics.fmean(measured) * share / workers,
        },
        message=message.size,
        block=START_BYTES + sum(map(len, messages_parts((message,) * asked))),
        weights=sum(map(len, weights_parts(state))),
        memory=sum(map(len, tensor_parts(state.memory))),
    )


def _requests(scenario: Scenario, participants: Sequence[int]) -> list[ReleaseRequest]:
    """Return one request for a release per participant.

    The inclusion proof of a key is as long as in a run of the scenario.
    """
    nodes, zero = scenario.nodes, bytes(HASH)
    leaves = nodes.asked * scenario.rounds
    proof = InclusionProof(0, leaves, (zero,) * (leaves - 1).bit_length())
    key = RoundKey(zero, public_key_of(zero), proof if nodes.identity == "registered" else None)
    at = ReleaseContext(seed=scenario.seed, chain_id=zero, parent=zero, round=1, holder=0)
    return [ReleaseRequest(replace(at, holder=each), key) for each in participants]


def _releases_s(source: Source, workers: int, examples: float) -> dict[str, float]:
    """Return the wall time of a round's releases in seconds, by stage.

    Every worker computes one chunk of releases twice. The first time also includes the public
    directions, which are computed once per parent block. The second time stands for all further
    chunks.
    """
    scenario, gradients = source.scenario, source.gradients
    task, members = gradients.task, scenario.nodes.members_of
    asked = _requests(scenario, sampling_of(scenario).holders_of(1))
    most = chunk_size(gradients.method, gradients.dimension, len(members(0)))
    chunks = chunks_of(asked, most)
    few, weights = chunks[:workers], flat_weights(task.model())
    spent = dict.fromkeys(("gradients", "noise", "signing"), 0.0)
    with closing(threads(source, workers=workers)) as engine:
        for lap in range(TIMES):
            parent = bytes([lap]) * HASH
            new = [[replace(r, context=replace(r.context, parent=parent)) for r in c] for c in few]
            for turns in (1, math.ceil(len(chunks) / workers) - 1):
                batches = list(engine.map(weights, new))
                for stage in spent if lap else ():
                    each = statistics.fmean(batch.seconds[stage] for batch in batches)
                    spent[stage] += turns * each / (TIMES - 1)
    holders = [k for chunk in few for each in chunk for k in members(each.context.holder)]
    spent["gradients"] *= examples / statistics.fmean(task.holders[k].examples for k in holders)
    return spent
