"""What a scenario promises and costs, before it is run: noise, epsilon, time, memory, disk."""

from __future__ import annotations

import hashlib
import math
import os
import time
from dataclasses import dataclass
from typing import Any

from fedchain.errors import Problem, ScenarioError
from fedchain.learning.task import Task, tasks
from fedchain.learning.weights import dimension, layout
from fedchain.privacy.guarantee import guarantee, warnings_for
from fedchain.privacy.mechanisms import Mechanism, mechanisms
from fedchain.registry import Part
from fedchain.scenario import Scenario, plain
from fedchain.statements import peak_rss_mb
from fedchain.world import sampling_of

COUNTED = 1000
"""Holders whose records are counted; of more, so many evenly spread ones."""
SAMPLE = {"records_per_holder": 50, "held_out": 2}
"""How much of a task that makes its own data is made to measure a gradient."""
FORWARD = 0.4
"""Time of a model's outputs over that of an example's gradient, about."""
OTHER_STAGES = 1.2
"""Everything but gradients, work and measuring adds about a fifth."""
MESSAGE_BYTES = 1200
"""A message without its direction: keys, signature, inclusion proof, index rows."""
STORED = {"int8": 1, "int16": 2, "int32": 4, "float32": 4, "float64": 8}
"""Bytes of one number."""


@dataclass(frozen=True)
class Forecast:
    """What to expect of a run on this machine; times and sizes are estimates."""

    scenario: Scenario
    """What was asked."""
    mechanism: Mechanism
    """The noise, solved."""
    most_asked: int
    """Rounds that one holder is asked in at most."""
    dimension: int
    """Number of parameters of the model."""
    records: int
    """Records of one holder, on average."""
    words: str
    """The guarantee, in words."""
    warnings: tuple[str, ...]
    """What to know before trusting the figures."""
    seconds: float
    """Wall time of the rounds; making and reading data comes on top."""
    memory_mb: float
    """Peak of the process."""
    disk_mb: float
    """Size of the run folder."""

    def plain(self) -> dict[str, Any]:
        """Return everything as plain values, the scenario resolved."""
        return {
            "scenario": plain(self.scenario),
            "noise_multiplier": self.mechanism.noise_multiplier,
            "epsilon": {
                "per_release": self.mechanism.epsilon_per_release,
                "total": self.mechanism.epsilon_after(self.mechanism.releases),
                "delta": self.mechanism.delta,
                "releases": self.mechanism.releases,
            },
            "guarantee": self.words,
            "warnings": list(self.warnings),
            "dimension": self.dimension,
            "estimates": {
                "seconds": round(self.seconds, 1),
                "memory_mb": round(self.memory_mb),
                "disk_mb": round(self.disk_mb, 1),
            },
        }

    def rows(self) -> list[tuple[str, str]]:
        """Return what a reader wants to know, a line each: its name and the words."""
        found, nodes = self.mechanism, self.scenario.nodes
        total = found.epsilon_after(found.releases)
        who, times = f"{nodes.holders} data holders", f"{self.scenario.rounds} rounds"
        if nodes.asked < nodes.holders:
            who = f"{who}, {nodes.asked} of them asked in a round"
            times = f"{self.most_asked} of {times} that one holder is asked in at most"
        return [
            ("who", f"{who}, {nodes.compute} compute nodes"),
            ("model", f"{self.dimension:,} parameters"),
            ("records", f"about {self.records} a holder"),
            ("noise multiplier", f"{found.noise_multiplier:.4g}"),
            ("epsilon", f"{found.epsilon_per_release:.4g} a release, {total:.4g} in total"),
            ("delta", f"{found.delta:g}"),
            ("releases", f"{found.releases} at most, for {times}"),
            ("guarantee", self.words),
            *(("warning", warning) for warning in self.warnings),
            ("time", f"about {_duration(self.seconds)}, and making or reading the data"),
            ("memory", f"about {self.memory_mb:.0f} MB"),
            ("disk", f"about {self.disk_mb:.1f} MB"),
        ]


LATER_MB = 100
"""Measured: Opacus and dp-accounting for the cross-check, matplotlib for the pictures."""
COPIES = 4
"""How often the data lie in memory: as measured or simulated, as features, records, tensors."""


def forecast(scenario: Scenario) -> Forecast:
    """Solve the noise of a scenario and estimate its cost by a few gradients on this machine.

    Args:
        scenario: checked.

    Raises:
        DataError: the task's data cannot be read.
        ScenarioError: parameters that only their part can judge.
    """
    task, records, held_out = _sample(scenario)
    model = task.model()
    size, most = dimension(layout(model)), sampling_of(scenario).most_releases
    try:
        mechanism = mechanisms.build(scenario.privacy, most, size)
    except ValueError as error:
        raise ScenarioError([Problem(("privacy",), str(error))], str(error)) from error
    nodes = scenario.nodes
    each = math.ceil(records / nodes.holders)
    sampled = nodes.asked < nodes.holders
    return Forecast(
        scenario,
        mechanism,
        most,
        size,
        each,
        guarantee(mechanism, mechanism.releases, task.record, sampled=sampled),
        tuple(warnings_for(mechanism, [each])),
        _seconds(scenario, task, mechanism, (each * nodes.asked, held_out)),
        _memory_mb(task, records if _is_whole(task) else each * nodes.asked),
        _disk_mb(scenario, size),
    )


def _sample(scenario: Scenario) -> tuple[Task, int, int]:
    """Return a task for one measurement, and how many records the whole task has, held out too.

    A task that makes its own data makes a little of it for one holder; others are read whole.
    """
    given, holders = scenario.task.parameters, scenario.nodes.holders
    made = {k: min(v, given[k]) for k, v in SAMPLE.items() if isinstance(given.get(k), int)}
    try:
        if len(made) == len(SAMPLE):
            part = Part(scenario.task.kind, {**given, **made})
            records = given["records_per_holder"] * holders
            return tasks.build(part, 1, scenario.seed), records, given["held_out"]
        task = tasks.build(scenario.task, holders, scenario.seed)
    except ValueError as error:
        raise ScenarioError([Problem(("task",), str(error))], str(error)) from error
    few = [task.holders[k].count for k in range(0, holders, math.ceil(holders / COUNTED))]
    return task, round(sum(few) / len(few) * holders), task.held_out.examples


def _seconds(
    scenario: Scenario, task: Task, mechanism: Mechanism, counts: tuple[int, int]
) -> float:
    """Estimate the wall time of all rounds from one holder's gradient."""
    records, held_out = counts
    rounds, workers = scenario.rounds, os.cpu_count() or 1
    one = _record_seconds(task, mechanism)
    gradients = rounds * records * one / workers
    measured = math.ceil(rounds / scenario.evaluate.every)
    measuring = measured * held_out * one * FORWARD
    hashes = 2.0 ** scenario.ledger.work.parameters.get("difficulty_bits", 0)
    work = rounds * hashes * _hash_seconds()
    return float((gradients + measuring) * OTHER_STAGES + work)


def _record_seconds(task: Task, mechanism: Mechanism) -> float:
    """Measure the private gradient of one holder, the second time: the first one warms up."""
    from fedchain.learning.gradients import CohortGradients
    from fedchain.learning.weights import flat_weights

    engine = CohortGradients(task, mechanism.clip, mechanism.unit)
    weights = flat_weights(task.model())
    engine(weights, [0])
    start = time.process_time()  # what else the machine does now says nothing of the run
    engine(weights, [0])
    return (time.process_time() - start) / task.holders[0].count


def _hash_seconds(tries: int = 5000) -> float:
    """Measure one double SHA-256 of a header."""
    prefix = hashlib.sha256(bytes(200))
    start = time.perf_counter()
    for nonce in range(tries):
        copied = prefix.copy()
        copied.update(nonce.to_bytes(8, "little"))
        hashlib.sha256(copied.digest()).digest()
    return (time.perf_counter() - start) / tries


def _memory_mb(task: Task, records: int) -> float:
    """Add the data and the libraries that only a run loads to what this process has needed."""
    holder = task.holders[0]
    data = (holder.inputs.nbytes + holder.targets.nbytes) / holder.count * records
    return peak_rss_mb() + LATER_MB + COPIES * data / 1e6


def _is_whole(task: Task) -> bool:
    """Say whether the records of all holders are in memory, or are made when asked for."""
    return isinstance(task.holders, tuple | list)


def _disk_mb(scenario: Scenario, size: int) -> float:
    """Count the bytes of messages, weights and the update's memory."""
    message = size * STORED[scenario.ledger.storage] + MESSAGE_BYTES
    tensors = {"gradient_descent": 1, "momentum": 2, "adam": 3}.get(scenario.update.kind, 1)
    state = size * tensors * STORED[scenario.ledger.weights]
    return scenario.rounds * (scenario.nodes.asked * message + state) / 1e6


def _duration(seconds: float) -> str:
    """Return a time as people say it.

    >>> _duration(0.4), _duration(110), _duration(7300)
    ('1 s', '1 min 50 s', '2 h 1 min')
    """
    whole = max(1, round(seconds))
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"
