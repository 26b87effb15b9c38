"""Forecast of a scenario before it is run: noise, epsilon, time, memory, disk."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from fedchain.errors import Problem, ScenarioError
from fedchain.forecasts import rates
from fedchain.forecasts.costs import (
    ROUGH,
    Configuration,
    block_bytes,
    seconds,
    state_bytes,
    stored_bytes,
    wire_bytes,
)
from fedchain.forecasts.counting import configuration, learning
from fedchain.learning.evaluation import dimension, layout
from fedchain.learning.task import Task, tasks
from fedchain.ledger.chain.verdict_cache import kept
from fedchain.nodes.compute.hashing import expected_hashing_s, hashing_words
from fedchain.privacy.guarantee import figures, unprotected, warnings_for
from fedchain.privacy.mechanisms import Mechanism
from fedchain.registry import Part
from fedchain.runs.manifest import guarantee_of, tuning_of
from fedchain.scenario import Scenario, plain
from fedchain.secure_aggregation.member import sent_bytes
from fedchain.simulation.setup import mechanism_of, sampling_of
from fedchain.system import peak_memory

COUNTED = 1000
"""Holders whose records are counted; of more holders, at most so many, evenly spread."""
SAMPLE = {"records_per_holder": 50, "held_out": 2}
"""Data that a task makes for counting, if it makes its own data."""
LATER_MB = 100
"""Measured memory of libraries that a run imports later: Opacus and dp-accounting for the
cross-check, matplotlib for the pictures."""
COPIES = 4
"""Copies of the data in memory: as measured or simulated, as features, records, tensors."""
UNSAID = 0.01
"""Share of a round below which a stage is not named."""


@dataclass(frozen=True, kw_only=True)
class Forecast:
    """What a run promises and costs on this machine; times and sizes are estimates."""

    scenario: Scenario
    """The scenario."""
    mechanism: Mechanism
    """The mechanism, with its noise solved."""
    most_asked: int
    """Most rounds in which one holder takes part."""
    dimension: int
    """Number of parameters of the model."""
    records: int
    """Records of one holder, on average."""
    words: str
    """The guarantee, in words."""
    warnings: tuple[str, ...]
    """What to know before one relies on the guarantee."""
    asked: Configuration
    """The numbers on which the cost of a round depends."""
    round_seconds: Mapping[str, float]
    """Wall time of a round in seconds, by stage."""
    calibrated: bool
    """Whether the times come from rates that were measured on this machine."""
    memory_mb: float
    """Peak memory of the process."""
    disk_mb: float
    """Size of the run folder."""
    hashing_s: float
    """Wall time of the search for nonces in the whole run, measured; a part of the rounds' time."""

    @property
    def seconds(self) -> float:
        """Wall time of all rounds; making and reading data takes extra time."""
        return self.scenario.rounds * sum(self.round_seconds.values())

    def plain(self) -> dict[str, Any]:
        """Return everything as plain values, the scenario resolved."""
        terms = self.mechanism.terms
        return {
            "scenario": plain(self.scenario),
            "noise_multiplier": self.mechanism.noise_multiplier,
            "epsilon": {
                "per_release": self.mechanism.epsilon_per_release,
                "total": self.mechanism.epsilon_after(terms.releases),
                "delta": terms.delta,
                "releases": terms.releases,
            },
            "guarantee": self.words,
            "warnings": list(self.warnings),
            "tuning": tuning_of(self.scenario),
            "dimension": self.dimension,
            "estimates": {
                "seconds": round(self.seconds, 1),
                "hashing_seconds": round(self.hashing_s, 6),
                "memory_mb": round(self.memory_mb),
                "disk_mb": round(self.disk_mb, 1),
            },
            "round": {
                "seconds": {what: round(spent, 6) for what, spent in self.round_seconds.items()},
                "wire_bytes": wire_bytes(self.asked),
                "stored_bytes": stored_bytes(self.asked),
                "calibrated": self.calibrated,
            },
        }

    def rows(self) -> list[tuple[str, str]]:
        """Return the lines of `explain`: a name and a text each."""
        found, nodes = self.mechanism, self.scenario.nodes
        terms = found.terms
        hint = "" if self.calibrated else "; nearer after: fedchain doctor --calibrate"
        who, times = f"{nodes.holders} data holders", f"{self.scenario.rounds} rounds"
        if nodes.groups:
            who = f"{who} in {nodes.participants} groups of {nodes.groups.size}"
        if nodes.asked < nodes.participants:
            who = f"{who}, {nodes.asked} of them asked in a round"
            times = f"{self.most_asked} of {times} that one {nodes.participant} is asked in at most"
        return [
            ("who", f"{who}, {nodes.miners} compute nodes"),
            *self._groups(),
            ("model", f"{self.dimension:,} parameters"),
            ("records", f"about {self.records} a holder"),
            ("noise multiplier", f"{found.noise_multiplier:.4g}"),
            ("epsilon", figures(found, terms.releases)),
            ("delta", f"{terms.delta:g}"),
            ("releases", f"{terms.releases} at most, for {times}"),
            ("guarantee", self.words),
            *(("warning", warning) for warning in self.warnings),
            ("private tuning", tuning_of(self.scenario)),
            ("time", f"about {_duration(self.seconds)}, and making or reading the data{hint}"),
            ("of a round", self._shares()),
            ("hashing", hashing_words(self.hashing_s)),
            ("on the wire", f"about {wire_bytes(self.asked)['all'] / 1e6:.1f} MB a round"),
            ("memory", f"about {self.memory_mb:.0f} MB"),
            ("disk", f"about {self.disk_mb:.1f} MB"),
        ]

    def _groups(self) -> list[tuple[str, str]]:
        groups = self.scenario.nodes.groups
        if groups is None:
            return []
        sent = sent_bytes(groups.size, self.dimension)
        return [
            (
                "groups",
                f"a sum needs {groups.threshold} of {groups.size} members; noise is calibrated to "
                f"{groups.counted_on}: {groups.honest_members} honest, less {groups.dropouts} that "
                f"may be lost; a member sends {sent / 1e3:,.1f} kB to the assembler of its group",
            )
        ]

    def _shares(self) -> str:
        whole = sum(self.round_seconds.values())
        shares = sorted(((s / whole, what) for what, s in self.round_seconds.items()), reverse=True)
        named = ", ".join(f"{what} {share:.0%}" for share, what in shares if share >= UNSAID)
        return f"{1000 * whole:.3g} ms: {named}"


def forecast(scenario: Scenario) -> Forecast:
    """Solve the noise of a scenario and estimate its cost from the rates of this machine.

    Args:
        scenario: checked.

    Raises:
        DataError: the task's data cannot be read.
        ScenarioError: a part refuses its parameters.
    """
    task, examples, held_out = _sample(scenario)
    size, most = dimension(layout(task.model())), sampling_of(scenario).most_releases
    try:
        mechanism = mechanism_of(scenario, size)
    except ValueError as error:
        raise ScenarioError([Problem(("privacy",), str(error))], str(error)) from error
    terms, first = mechanism.terms, task.holders[0]
    counted = learning(task, terms.clip, terms.unit, examples * terms.sampling_rate, held_out)
    asked = configuration(scenario, counted, private=math.isfinite(terms.clip))
    records, found = math.ceil(examples * first.count / first.examples), rates.here()
    words = guarantee_of(scenario, mechanism, task.record)
    return Forecast(
        scenario=scenario,
        mechanism=mechanism,
        most_asked=most,
        dimension=size,
        records=records,
        words=words(terms.releases),
        warnings=(
            *warnings_for(mechanism, [records]),
            *unprotected(task.public, task.record),
        ),
        asked=asked,
        round_seconds=seconds(asked, found or ROUGH),
        calibrated=found is not None,
        memory_mb=_memory_mb(scenario, asked, task),
        disk_mb=scenario.rounds * stored_bytes(asked) / 1e6,
        hashing_s=expected_hashing_s(scenario),
    )


def _sample(scenario: Scenario) -> tuple[Task, float, int]:
    """Return a task for counting, the mean examples of a holder, and the held-out examples.

    A task that makes its own data makes only a little, for one holder; others are read whole.
    """
    given, holders = scenario.task.parameters, scenario.nodes.holders
    made = {k: min(v, given[k]) for k, v in SAMPLE.items() if isinstance(given.get(k), int)}
    try:
        if len(made) == len(SAMPLE):
            part = Part(scenario.task.kind, {**given, **made})
            task = tasks.build(part, 1, scenario.seed)
            first = task.holders[0]
            examples = given["records_per_holder"] * first.examples / first.count
            return task, examples, given["held_out"]
        task = tasks.build(scenario.task, holders, scenario.seed)
    except ValueError as error:
        raise ScenarioError([Problem(("task",), str(error))], str(error)) from error
    few = [task.holders[k].examples for k in range(0, holders, math.ceil(holders / COUNTED))]
    return task, sum(few) / len(few), task.held_out.examples


def _memory_mb(scenario: Scenario, asked: Configuration, task: Task) -> float:
    """Return this process's peak memory, plus data, libraries and the ledger's caches, in MB."""
    from fedchain.learning.gradients.cohort import REMEMBERED

    first = task.holders[0]
    example = (first.inputs.nbytes + first.targets.nbytes) / first.examples
    made = isinstance(task.holders, list | tuple)  # other sequences make records on demand
    holders = scenario.nodes.holders if made else min(scenario.nodes.holders, REMEMBERED)
    data = example * (holders * asked.learning.examples + asked.learning.held_out)
    blocks = min(scenario.rounds, kept(block_bytes(asked))) * block_bytes(asked)
    states = min(scenario.rounds, kept(state_bytes(asked))) * state_bytes(asked)
    return peak_memory() / 1e6 + LATER_MB + (COPIES * data + blocks + states) / 1e6


def _duration(seconds: float) -> str:
    """Return a time in words.

    >>> _duration(0.4), _duration(110), _duration(7300)
    ('1 s', '1 min 50 s', '2 h 1 min')
    """
    whole = max(1, round(seconds))
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"
