"""Trial: measures the time and the bytes of one round of a scenario, with a few of its records."""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from fedchain.agreement import mechanism_of, registered_records, rules_of
from fedchain.engines.engine import Source
from fedchain.errors import Problem, ScenarioError
from fedchain.forecasts.rates import Rates
from fedchain.forecasts.stages import keys_s, requests_of, stages_s
from fedchain.learning.evaluation import flat_weights, layout
from fedchain.learning.task import Task, tasks
from fedchain.ledger.chain.block import START_BYTES, messages_parts
from fedchain.ledger.chain.state import State, tensor_parts, weights_parts
from fedchain.nodes.holders.release import (
    declaration_of,
    messages_of,
)
from fedchain.privacy.accounting import cross_checked
from fedchain.privacy.mechanisms import Mechanism
from fedchain.registry import Part
from fedchain.scenario import Scenario
from fedchain.transition import check_quorum
from fedchain.update import updates

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
        holders, compute = self.scenario.slots, self.scenario.nodes.miners
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
        rows = self.scenario.slots * MESSAGE_ROWS + BLOCK_ROWS
        return self.block - START_BYTES + self.weights + self.memory + rows

    def wire_bytes(self) -> dict[str, int]:
        """Return the bytes that nodes exchange in a round if every node is a separate machine.

        Returns:
            Bytes of one ``message`` and of one ``block``; bytes that one ``holder`` and one
            ``compute node`` send and receive; and bytes that ``all`` nodes send.
        """
        holders, compute = self.scenario.slots, self.scenario.nodes.miners
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
    weights, asked, ledger = flat_weights(task.model()), scenario.slots, scenario.ledger
    try:
        mechanism = mechanism_of(scenario, len(weights))
    except ValueError as error:
        raise ScenarioError([Problem(("privacy",), str(error))], str(error)) from error
    _check_quorum(scenario, task, mechanism, records)
    source = Source(scenario, mechanism, task)
    _ = source.gradients  # tries model and loss, as a run does
    begin_s = time.perf_counter() - began + keys_s(scenario)
    cross_checked(mechanism)
    (sender,), said = requests_of(scenario, [0]), declaration_of(mechanism, 1)
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
        begin_s=begin_s,
        spent_s=stages_s(source, weights, examples=examples, held_out=held_out),
        message=message.size,
        direction=message.direction.nbytes,
        block=START_BYTES + sum(map(len, messages_parts((message,) * asked))),
        weights=sum(map(len, weights_parts(state))),
        memory=sum(map(len, tensor_parts(state.memory))),
    )


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
