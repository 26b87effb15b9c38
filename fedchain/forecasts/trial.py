"""Trial: measures the time and the bytes of one round of a scenario, with a few of its records."""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace

import numpy as np

from fedchain.agreement import mechanism_of, registered_records, rules_of, sampling_of
from fedchain.arrays import Vector
from fedchain.engines.engine import Source, cores
from fedchain.engines.threads import threads
from fedchain.errors import Problem, ScenarioError
from fedchain.forecasts.rates import Rates
from fedchain.learning.evaluation import Evaluations, flat_weights, layout
from fedchain.learning.task import Task, tasks
from fedchain.ledger.chain.block import START_BYTES, messages_parts
from fedchain.ledger.chain.crypto import HASH, InclusionProof, public_key_of
from fedchain.ledger.chain.state import State, tensor_parts, weights_parts
from fedchain.nodes.compute.hashing import expected_hashing_s
from fedchain.nodes.holders.holder_pool import chunk_size, chunks_of
from fedchain.nodes.holders.identity import Identities, RoundKey, Sampling
from fedchain.nodes.holders.release import (
    ReleaseContext,
    ReleaseRequest,
    declaration_of,
    messages_of,
)
from fedchain.privacy.accounting import cross_checked
from fedchain.privacy.mechanisms import Mechanism
from fedchain.registry import Part
from fedchain.scenario import Scenario
from fedchain.transition import check_quorum
from fedchain.update import updates

TIMES = 3
"""Number of measurements of each part. The first one is ignored."""
TRIED_KEYS = 64
"""Number of keys that are made to measure how long a key takes."""
COUNTED_HOLDERS = 1000
"""Limit on the holders whose examples are counted."""
SAMPLE = {"records_per_holder": 50, "held_out": 10}
"""Size of the data that a task generates for the trial."""
EVEN = ("by_site", "iid", "dirichlet_mixtures")
"""Splits that give every holder the same number of generated records."""
MESSAGE_ROWS, BLOCK_ROWS = 207 + 341, 690 + 600
"""Measured bytes of a message (MESSAGE_ROWS) and of a block (BLOCK_ROWS). Each is a sum: bytes in
the database with its indexes, plus bytes in the events."""


@dataclass(frozen=True, kw_only=True)
class Trial:
    """Time and bytes of one round of a scenario."""

    scenario: Scenario
    """The scenario."""
    mechanism: Mechanism
    """The mechanism, with noise calibrated for the whole run."""
    task: Task
    """The task, possibly with fewer records than in the scenario."""
    records: Sequence[int]
    """Number of records of each holder in the scenario; empty if the trial cannot know them."""
    examples: float
    """Mean number of examples per holder in the scenario."""
    held_out: int
    """Number of held-out examples in the scenario."""
    generated: bool
    """Whether the task generates its data; the trial then has only a few of the records."""
    dimension: int
    """Number of entries of a gradient."""
    begin_s: float
    """Wall time until the first round, without loading libraries and generating data, seconds."""
    spent_s: Mapping[str, float]
    """Wall time of each measured stage of a round, seconds, by the stage's name."""
    message: int
    """Bytes of a message."""
    direction: int
    """Bytes of the direction in a message."""
    block: int
    """Bytes of a block with its messages."""
    weights: int
    """Bytes of the weights."""
    memory: int
    """Bytes of the update rule's memory."""

    @property
    def counts(self) -> Rates:
        """Number of operations of each kind in a round."""
        holders, compute = self.scenario.nodes.asked, self.scenario.nodes.miners
        return Rates(
            message=self.block - START_BYTES,
            state=self.weights + self.memory,
            event=holders * compute + (compute - 1 + holders),
            holder=holders,
            round=1,
        )

    def seconds(self, rates: Rates) -> dict[str, float]:
        """Return the wall time of each stage of a round, seconds, by the stage's name."""
        found = self.counts
        return {
            **self.spent_s,
            "messages": found.message * rates.message,
            "state": found.state * rates.state,
            "events": found.event * rates.event,
            "rest": found.holder * rates.holder + found.round * rates.round,
        }

    def stored_bytes(self) -> int:
        """Return the bytes that a round adds to the run folder."""
        rows = self.scenario.nodes.asked * MESSAGE_ROWS + BLOCK_ROWS
        return self.block - START_BYTES + self.weights + self.memory + rows

    def wire_bytes(self) -> dict[str, int]:
        """Return the bytes that nodes exchange in a round if every node is a separate machine.

        Returns:
            Bytes of one ``message`` and of one ``block``; bytes that one ``holder`` and one
            ``compute node`` send and receive; and bytes that ``all`` nodes send.
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


def tried(scenario: Scenario) -> Trial:
    """Measure the time and the bytes of one round.

    Raises:
        DataError: the task's data cannot be read.
        ScenarioError: the task or the mechanism refuses its parameters.
        FedchainError: two accountants disagree on epsilon.
    """
    began = time.perf_counter()
    task, records, examples, held_out = _sample(scenario)
    weights, asked, ledger = flat_weights(task.model()), scenario.nodes.asked, scenario.ledger
    try:
        mechanism = mechanism_of(scenario, len(weights))
    except ValueError as error:
        raise ScenarioError([Problem(("privacy",), str(error))], str(error)) from error
    _check_quorum(scenario, task, mechanism, records)
    source = Source(scenario, mechanism, task)
    _ = source.gradients  # tries model and loss, as a run does
    begin_s = time.perf_counter() - began
    cross_checked(mechanism)
    workers = min(cores(scenario.engine.parameters.get("workers")), cores(None))
    (sender,), said = _requests(scenario, [0]), declaration_of(mechanism, 1)
    (message,) = messages_of(np.ones((1, len(weights))), [sender], [said], ledger.storage)
    assert message is not None, "its release is not zero"
    step = updates.build(scenario.update, weights, {}, np.ones_like(weights), 1)
    state = State(step.weights.astype(ledger.weights), step.memory)
    return Trial(
        scenario=scenario,
        mechanism=mechanism,
        task=task,
        records=records,
        examples=examples,
        held_out=held_out,
        generated=is_generated(scenario.task),
        dimension=len(weights),
        begin_s=begin_s + keys_s(scenario),
        spent_s={
            **_releases_s(source, workers, examples),
            "accounting": _accounting_s(mechanism),
            "work": expected_hashing_s(scenario) / scenario.rounds,
            # Evaluation occupies one of the cores during the next gradients.
            "evaluation": _evaluation_s(scenario, task, weights) * held_out / workers,
        },
        message=message.size,
        direction=message.direction.nbytes,
        block=START_BYTES + sum(map(len, messages_parts((message,) * asked))),
        weights=sum(map(len, weights_parts(state))),
        memory=sum(map(len, tensor_parts(state.memory))),
    )


def _evaluation_s(scenario: Scenario, task: Task, weights: Vector) -> float:
    """Return the time of a round's measurements, seconds for each held-out example."""
    with closing(Evaluations(task)) as evaluations:
        measured = [evaluations.begin(weights).result().seconds for _ in range(TIMES)][1:]
    return statistics.fmean(measured) / task.held_out.examples / scenario.evaluate.every


def keys_s(scenario: Scenario) -> float:
    """Return the time in which a run makes and registers the keys of all rounds, seconds."""
    if scenario.nodes.identity != "registered":
        return 0.0
    few = Sampling(seed=0, holders=TRIED_KEYS, asked=TRIED_KEYS, rounds=1)
    began = time.perf_counter()
    Identities(bytes(HASH), few, lambda _: 1)
    each_s = (time.perf_counter() - began) / TRIED_KEYS
    return each_s * scenario.nodes.asked * scenario.rounds


def _check_quorum(
    scenario: Scenario, task: Task, mechanism: Mechanism, records: Sequence[int]
) -> None:
    """Raise ScenarioError if the aggregation rule fails for a block with the fewest messages."""
    registered = registered_records(scenario, records)
    try:
        check_quorum(rules_of(scenario, mechanism, layout(task.model()), registered))
    except ValueError as error:
        raise ScenarioError([Problem(("aggregation",), str(error))], str(error)) from error


def _sample(scenario: Scenario) -> tuple[Task, Sequence[int], float, int]:
    """Return a task for the trial, and how many records and examples the scenario has.

    A task that generates its data generates only a few records, for one holder.

    Returns:
        The task, the number of records of each holder, the mean number of examples per holder, and
        the number of held-out examples.
    """
    part, holders, given = scenario.task, scenario.nodes.holders, scenario.task.parameters
    generated = is_generated(part)
    if generated:
        part = Part(part.kind, {**given, **{k: min(v, given[k]) for k, v in SAMPLE.items()}})
    try:
        task = tasks.build(part, 1 if generated else holders, scenario.seed)
    except ValueError as error:
        raise ScenarioError([Problem(("task",), str(error))], str(error)) from error
    if generated:
        first = task.holders[0]
        own, split = given["records_per_holder"], given.get("split")
        records = [own] * holders if split is None or split.kind in EVEN else []
        examples = own * first.examples / first.count
        return replace(task, holders=(first,) * holders), records, examples, given["held_out"]
    counted = range(0, holders, math.ceil(holders / COUNTED_HOLDERS))
    examples = statistics.fmean(task.holders[k].examples for k in counted)
    records = [each.count for each in task.holders]
    return task, records, examples, task.held_out.examples


def is_generated(part: Part) -> bool:
    """Return whether a task generates as many records as its parameters say."""
    return all(isinstance(part.parameters.get(name), int) for name in SAMPLE)


def _requests(scenario: Scenario, participants: Sequence[int]) -> list[ReleaseRequest]:
    """Return one request per participant, with as many bytes as in a run."""
    nodes, zero = scenario.nodes, bytes(HASH)
    leaves = nodes.asked * scenario.rounds
    proof = InclusionProof(0, leaves, (zero,) * (leaves - 1).bit_length())
    key = RoundKey(zero, public_key_of(zero), proof if nodes.identity == "registered" else None)
    at = ReleaseContext(secret=zero, chain_id=zero, parent=zero, round=1, holder=0)
    return [ReleaseRequest(replace(at, holder=each), key) for each in participants]


def _accounting_s(mechanism: Mechanism) -> float:
    """Return the wall time of the epsilon that a round states, seconds.

    In each round, the participant with the most releases has made one more.
    """
    spent = []
    for count in range(mechanism.terms.releases, mechanism.terms.releases - TIMES, -1):
        began = time.perf_counter()
        mechanism.epsilon_bound(max(1, count))
        spent.append(time.perf_counter() - began)
    return min(spent)


def _releases_s(source: Source, workers: int, examples: float) -> dict[str, float]:
    """Return the wall time of a round's releases, seconds, by stage."""
    scenario, gradients = source.scenario, source.gradients
    task, members = gradients.task, scenario.nodes.members_of
    asked = _requests(scenario, sampling_of(scenario).holders_of(1))
    chunks = chunks_of(asked, chunk_size(gradients.method, gradients.dimension, len(members(0))))
    few, weights = chunks[:workers], flat_weights(task.model())
    spent = dict.fromkeys(("gradients", "noise", "signing"), 0.0)
    with closing(threads(source, workers=workers)) as engine:
        for lap in range(TIMES):
            parent = bytes([lap]) * HASH
            new = [[replace(r, context=replace(r.context, parent=parent)) for r in c] for c in few]
            # The first turn includes work that is done once per parent block. The second turn
            # stands for all further chunks.
            for turns in (1, math.ceil(len(chunks) / workers) - 1):
                batches = list(engine.map(weights, new))
                for stage in spent if lap else ():
                    each = statistics.fmean(batch.seconds[stage] for batch in batches)
                    spent[stage] += turns * each / (TIMES - 1)
    holders = [k for chunk in few for each in chunk for k in members(each.context.holder)]
    spent["gradients"] *= examples / statistics.fmean(task.holders[k].examples for k in holders)
    return spent
