"""Forecast of a run before it starts: noise, epsilon, time, memory and disk space."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from fedchain.aggregation.weights import settled, takes_weights, weights_in_words
from fedchain.agreement import mechanism_of, registered_records, sampling_of
from fedchain.cache import size_words
from fedchain.errors import Problem, ScenarioError
from fedchain.forecasts.rates import ROUGH, Rates, read_rates
from fedchain.forecasts.trial import Trial, tried
from fedchain.learning.evaluation import dimension
from fedchain.learning.task import Task, tasks
from fedchain.ledger.chain.verdict_cache import kept
from fedchain.ledger.chain.work import works
from fedchain.nodes.compute.hashing import hashing_words
from fedchain.privacy.guarantee import figures, unprotected, warnings_for
from fedchain.privacy.mechanisms import Mechanism
from fedchain.registry import Part
from fedchain.runs.manifest import guarantee_of, tuning_of
from fedchain.scenario import Scenario, plain_values
from fedchain.secure_aggregation.member import sent_bytes
from fedchain.system import peak_memory

COUNTED_HOLDERS = 1000
"""Largest number of holders whose records are counted. They are evenly spaced among all holders."""
SAMPLE = {"records_per_holder": 50, "held_out": 10}
"""Size of the data that a task generates for the trial."""
LATER_MB = 100
"""Measured memory of libraries that a run imports only later, MB: Opacus and dp-accounting for the
cross-check of epsilon, matplotlib for pictures."""
COPIES = 4
"""Number of copies of the data in memory: raw data, features, records and tensors."""
UNSAID = 0.01
"""Share of a round's time below which a stage is not listed."""
BLOCK_S, HEARD_S, BLOCK_BYTES = 1.6e-4, 2.4e-5, 1_400
"""Rough costs of a bare chain. BLOCK_S: seconds per block. HEARD_S: seconds per delivery of a block
to one compute node. BLOCK_BYTES: bytes per block in the ledger and the events."""


@dataclass(frozen=True, kw_only=True)
class Forecast:
    """The guarantee and the cost of a run on this machine; times and sizes are estimates."""

    trial: Trial
    """Time and bytes of a round, measured by a trial of the round's parts."""
    rates: Rates | None
    """Measured seconds per operation of this machine; None if they were not measured."""
    mechanism: Mechanism
    """The mechanism, with its noise level computed."""
    records: int
    """Mean number of records of a holder."""
    words: str
    """The guarantee, in words."""
    warnings: tuple[str, ...]
    """Warnings about the guarantee."""
    memory_mb: float
    """Peak memory of the process, MB."""
    rule: Part
    """The aggregation rule, with weights as genesis will state them."""

    @cached_property
    def round_s(self) -> dict[str, float]:
        """Wall time of a round in seconds, by stage."""
        return self.trial.seconds(self.rates or ROUGH)

    def plain(self) -> dict[str, Any]:
        """Return the forecast as plain values, with the resolved scenario."""
        found, releases = self.mechanism, self.mechanism.terms.releases
        rounds, stored = self.trial.scenario.rounds, self.trial.stored_bytes()
        return {
            "scenario": plain_values(self.trial.scenario),
            "noise_multiplier": found.noise_multiplier,
            "epsilon": {
                "per_release": found.epsilon_per_release,
                "total": found.epsilon_after(releases),
                "delta": found.terms.delta,
                "releases": releases,
            },
            "guarantee": self.words,
            "warnings": list(self.warnings),
            "tuning": tuning_of(self.trial.scenario),
            "dimension": self.trial.dimension,
            "aggregation": self.rule.plain(),
            "estimates": {
                "seconds": round(rounds * sum(self.round_s.values()), 1),
                "hashing_seconds": round(rounds * self.round_s["work"], 6),
                "memory_mb": round(self.memory_mb),
                "disk_mb": round(rounds * stored / 1e6, 1),
            },
            "round": {
                "seconds": {what: round(spent, 6) for what, spent in self.round_s.items()},
                "wire_bytes": self.trial.wire_bytes(),
                "stored_bytes": stored,
                "calibrated": self.rates is not None,
            },
        }

    def rows(self) -> list[tuple[str, str]]:
        """Return the lines that ``fedchain explain`` prints, each a name and a text."""
        found, scenario, told = self.mechanism, self.trial.scenario, self.plain()["estimates"]
        terms, nodes, size = found.terms, scenario.nodes, self.trial.dimension
        whole_s = sum(self.round_s.values())
        shares = sorted(((s / whole_s, what) for what, s in self.round_s.items()), reverse=True)
        named = ", ".join(f"{what} {share:.0%}" for share, what in shares if share >= UNSAID)
        hint = "" if self.rates else "; nearer after: fedchain doctor --calibrate"
        times = f"{scenario.rounds} rounds"
        if nodes.asked < nodes.participants:
            most = sampling_of(scenario).most_releases
            times = f"{most} of {times} that one {nodes.participant} is asked in at most"
        return [
            *self._participants(),
            ("model", f"{size:,} parameters"),
            ("records", f"about {self.records} a holder"),
            *self._weights(),
            ("noise multiplier", f"{found.noise_multiplier:.4g}"),
            ("epsilon", figures(found, terms.releases)),
            ("delta", f"{terms.delta:g}"),
            ("releases", f"{terms.releases} at most, for {times}"),
            ("guarantee", self.words),
            *(("warning", warning) for warning in self.warnings),
            ("private tuning", tuning_of(scenario)),
            ("time", f"about {_duration(told['seconds'])}, and making or reading the data{hint}"),
            ("of a round", f"{1000 * whole_s:.3g} ms: {named}"),
            ("hashing", hashing_words(scenario.rounds * self.round_s["work"])),
            ("on the wire", f"about {size_words(self.trial.wire_bytes()['all'])} a round"),
            ("memory", f"about {told['memory_mb']} MB"),
            ("disk", f"about {told['disk_mb']} MB"),
        ]

    def _weights(self) -> list[tuple[str, str]]:
        stated = self.rule.parameters.get("weights") if takes_weights(self.rule.kind) else None
        return [("weights", weights_in_words(stated))] if stated else []

    def _participants(self) -> list[tuple[str, str]]:
        nodes = self.trial.scenario.nodes
        grouped = f" in {nodes.participants} groups of {nodes.groups.size}" if nodes.groups else ""
        who = f"{nodes.holders} data holders{grouped}"
        if nodes.asked < nodes.participants:
            who = f"{who}, {nodes.asked} of them asked in a round"
        who = f"{who}, {nodes.miners} compute nodes"
        if nodes.groups is None:
            return [("who", who)]
        groups, sent = nodes.groups, sent_bytes(nodes.groups.size, self.trial.dimension)
        words = (
            f"a sum needs {groups.threshold} of {groups.size} members; noise is calibrated to "
            f"{groups.counted_on}: {groups.honest_members} honest, less {groups.dropouts} that "
            f"may be lost; a member sends {sent / 1e3:,.1f} kB to the assembler of its group"
        )
        return [("who", who), ("groups", words)]


def forecast(scenario: Scenario) -> Forecast:
    """Compute the noise of a scenario, and estimate its cost from a trial of its parts.

    Args:
        scenario: a checked scenario.

    Raises:
        DataError: the task's data cannot be read.
        ScenarioError: a part refuses its parameters.
    """
    task, examples, held_out = _sample(scenario)
    try:
        mechanism = mechanism_of(scenario, dimension(task.model()))
    except ValueError as error:
        raise ScenarioError([Problem(("privacy",), str(error))], str(error)) from error
    trial, first = tried(scenario, mechanism, task, examples, held_out), task.holders[0]
    records = math.ceil(examples * first.count / first.examples)
    return Forecast(
        mechanism=mechanism,
        records=records,
        words=guarantee_of(scenario, mechanism, task.record)(mechanism.terms.releases),
        warnings=(*warnings_for(mechanism, [records]), *unprotected(task.public, task.record)),
        trial=trial,
        rates=read_rates(),
        memory_mb=_memory_mb(trial, task, examples, held_out),
        rule=settled(
            scenario.aggregation,
            registered_records(scenario, [each.count for each in task.holders]),
        ),
    )


def _sample(scenario: Scenario) -> tuple[Task, float, int]:
    """Return a task for the trial, the mean examples per holder, and the number of held-out ones.

    A task that generates its data generates only a little, for one holder; other data is read
    whole.
    """
    given, holders = scenario.task.parameters, scenario.nodes.holders
    made = {k: min(v, given[k]) for k, v in SAMPLE.items() if isinstance(given.get(k), int)}
    try:
        if len(made) == len(SAMPLE):
            part = Part(scenario.task.kind, {**given, **made})
            task = tasks.build(part, 1, scenario.seed)
            first = task.holders[0]
            examples = given["records_per_holder"] * first.examples / first.count
            return replace(task, holders=(first,) * holders), examples, given["held_out"]
        task = tasks.build(scenario.task, holders, scenario.seed)
    except ValueError as error:
        raise ScenarioError([Problem(("task",), str(error))], str(error)) from error
    every = math.ceil(holders / COUNTED_HOLDERS)
    few = [task.holders[k].examples for k in range(0, holders, every)]
    return task, sum(few) / len(few), task.held_out.examples


def _memory_mb(trial: Trial, task: Task, examples: float, held_out: int) -> float:
    """Return the peak memory of a run in MB: of this process, its data, libraries and caches."""
    from fedchain.learning.gradients.cohort import KEPT_HOLDERS

    scenario, first = trial.scenario, task.holders[0]
    example = (first.inputs.nbytes + first.targets.nbytes) / first.examples
    made = isinstance(task.holders, list | tuple)  # other sequences make records on demand
    holders = scenario.nodes.holders if made else min(scenario.nodes.holders, KEPT_HOLDERS)
    data = example * (holders * examples + held_out)
    state = trial.weights + trial.memory
    cached = sum(min(scenario.rounds, kept(size)) * size for size in (trial.block, state))
    return peak_memory() / 1e6 + LATER_MB + (COPIES * data + cached) / 1e6


def _duration(seconds: float) -> str:
    """Return a time in words.

    >>> _duration(0.4), _duration(110), _duration(7300)
    ('1 s', '1 min 50 s', '2 h 1 min')
    """
    minutes, rest = divmod(max(1, round(seconds)), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s" if minutes else f"{rest} s"
    return f"{minutes // 60} h {minutes % 60} min"


@dataclass(frozen=True)
class BareForecast:
    """The expected cost of a bare chain: nothing is learned, and blocks have no messages."""

    scenario: Scenario
    """A checked scenario, whose task learns nothing."""
    hashing_s: float
    """Wall time of the search for nonces, seconds."""

    def plain(self) -> dict[str, Any]:
        """Return the forecast as plain values, with the resolved scenario."""
        rounds, block_s = self.scenario.rounds, BLOCK_S + HEARD_S * self.scenario.nodes.miners
        estimates = {
            "seconds": round(rounds * block_s + self.hashing_s, 1),
            "hashing_seconds": round(self.hashing_s, 6),
            "disk_mb": round(rounds * BLOCK_BYTES / 1e6, 1),
        }
        return {"scenario": plain_values(self.scenario), "estimates": estimates}

    def rows(self) -> list[tuple[str, str]]:
        """Return the lines that ``fedchain explain`` prints, each a name and a text."""
        told = self.plain()["estimates"]
        nodes, work = self.scenario.nodes, works.build(self.scenario.ledger.work)
        shares = ", ".join(f"{share:.3g}" for share in sorted(nodes.shares, reverse=True)[:3])
        more = ", .." if nodes.miners > 3 else ""
        return [
            ("who", f"{nodes.miners} compute nodes, shares of work {shares}{more}"),
            ("learned", "nothing: no data holders, no messages, no privacy"),
            ("work", f"{work.kind}, a block every {work.interval_ms / 1000:g} simulated seconds"),
            ("hashing", hashing_words(self.hashing_s)),
            ("time", f"about {max(1, round(told['seconds']))} s, stale blocks on top"),
            ("disk", f"about {told['disk_mb']} MB"),
        ]
