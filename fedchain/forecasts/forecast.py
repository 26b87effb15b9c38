"""Forecast: computes a run's noise and epsilon, and estimates its time, memory and disk space."""

from __future__ import annotations

import math
import statistics
from dataclasses import dataclass
from typing import Any

from fedchain.aggregation.settling import tolerated
from fedchain.aggregation.weights import takes_weights, weights_in_words
from fedchain.agreement import byzantine_messages, registered_records, rule_of, sampling_of
from fedchain.cache import size_words
from fedchain.forecasts.disk import disk_bytes
from fedchain.forecasts.rates import ROUGH, Rates, read_rates
from fedchain.forecasts.stale import StaleBlocks, expected_stale
from fedchain.forecasts.trial import Trial, tried
from fedchain.learning.gradients.cohort import KEPT_HOLDERS
from fedchain.ledger.chain.verdict_cache import kept
from fedchain.ledger.chain.work import works
from fedchain.names import counted_words
from fedchain.nodes.compute.hashing import expected_hashing_s, hashing_words
from fedchain.privacy.guarantee import figures
from fedchain.privacy.local_steps import releases_in_message
from fedchain.runs.privacy_statement import all_warnings, guarantee_of, tuning_of
from fedchain.scenario import Scenario, plain_values
from fedchain.scenario.checking import NO_TASK
from fedchain.scenario.idle import idle_parts
from fedchain.secure_aggregation.member import sent_bytes
from fedchain.system import peak_memory
from fedchain.timing import duration_words

START_S = 2.5
"""Measured processor time in which a new process loads the libraries of a run, seconds."""
LATER_MB = 100
"""Measured memory of the libraries that a run imports after the forecast, MB."""
COPIES = 4
"""Number of copies of the data in memory: raw data, features, records and tensors."""
UNSAID = 0.01
"""A stage is listed if its share of a round's time is at least this number."""
BLOCK_S, HEARD_S, BLOCK_BYTES, BLOCK_MEMORY = 1.6e-4, 2.4e-5, 1_400, 1_000
"""Rough costs of a chain without learning. BLOCK_S: seconds per block. HEARD_S: seconds per
delivery of a block to one compute node. BLOCK_BYTES: bytes per block in ledger and events.
BLOCK_MEMORY: bytes of memory per block."""


@dataclass(frozen=True)
class Forecast:
    """The guarantee of a run, and its estimated cost on this machine."""

    values: dict[str, Any]
    """The object that ``fedchain explain --format json`` prints."""
    rows: list[tuple[str, str]]
    """The lines that ``fedchain explain`` prints: a name and a text each."""


def forecast(scenario: Scenario) -> Forecast:
    """Compute the noise of a scenario, and estimate its cost.

    Raises:
        DataError: the task's data cannot be read.
        ScenarioError: a part refuses its parameters.
    """
    if scenario.task.kind == NO_TASK:
        return _forecast_of_chain(scenario)
    trial = tried(scenario)
    stale = expected_stale(scenario)
    values = _values(trial, read_rates(), stale)
    return Forecast(values, _rows(trial, values, stale))


def _values(trial: Trial, rates: Rates | None, stale: StaleBlocks) -> dict[str, Any]:
    scenario, found, task = trial.scenario, trial.mechanism, trial.task
    rounds, releases, first = scenario.rounds, found.terms.releases, task.holders[0]
    records = list(trial.records) or [math.ceil(trial.examples * first.count / first.examples)]
    spent, stored = trial.seconds(rates or ROUGH), trial.stored_bytes()
    counts = records if trial.records else records * scenario.nodes.holders
    return {
        "scenario": plain_values(scenario),
        "noise_multiplier": found.noise_multiplier,
        "epsilon": {
            "per_release": found.epsilon_per_release,
            "total": found.epsilon_after(releases),
            "delta": found.terms.delta,
            "releases": releases,
        },
        "guarantee": guarantee_of(scenario, found, task.record)(releases),
        "warnings": idle_parts(scenario) + all_warnings(scenario, found, task, releases, records),
        "tuning": tuning_of(scenario),
        "dimension": trial.dimension,
        "records": {
            "least": min(records),
            "mean": round(statistics.fmean(records), 1),
            "most": max(records),
            "known": bool(trial.records),
        },
        "aggregation": rule_of(scenario, found, registered_records(scenario, counts)).plain(),
        "estimates": {
            "seconds": round(START_S + trial.begin_s + rounds * sum(spent.values()), 1),
            "hashing_seconds": round(rounds * spent["work"], 6),
            "memory_mb": round(_memory_mb(trial)),
            "disk_mb": round(disk_bytes(trial) / 1e6, 1),
            "stale_share": round(stale.share, 3),
        },
        "begin": {"libraries": START_S, "data_and_keys": round(trial.begin_s, 3)},
        "round": {
            "seconds": {what: round(seconds, 6) for what, seconds in spent.items()},
            "wire_bytes": trial.wire_bytes(),
            "stored_bytes": stored,
            "calibrated": rates is not None,
        },
    }


def _rows(trial: Trial, values: dict[str, Any], stale: StaleBlocks) -> list[tuple[str, str]]:
    scenario, terms = trial.scenario, trial.mechanism.terms
    bound = "most" if trial.mechanism.noise_schedule is None else "least"
    nodes, told, spent = scenario.nodes, values["estimates"], values["round"]["seconds"]
    whole_s = sum(spent.values())
    shares = sorted(((s / whole_s, what) for what, s in spent.items()), reverse=True)
    named = ", ".join(f"{what} {share:.0%}" for share, what in shares if share >= UNSAID)
    hint = "" if values["round"]["calibrated"] else "; nearer after: fedchain doctor --calibrate"
    making = ", and making the data" if trial.generated else ""
    begin_s, keys = sum(values["begin"].values()), scenario.slots * scenario.rounds
    times = counted_words(scenario.rounds, "round")
    if nodes.asked < nodes.participants:
        most = sampling_of(scenario).most_releases
        times = f"{most} of {times} that one {nodes.participant} is asked in at most"
    return [
        *_participants(trial),
        ("model", f"{trial.dimension:,} parameters"),
        ("records", _records(**values["records"])),
        *_weights(values["aggregation"]),
        *_byzantine(trial),
        ("noise multiplier", f"{values['noise_multiplier']:.4g}"),
        ("epsilon", figures(trial.mechanism, terms.releases)),
        ("delta", f"{terms.delta:g}"),
        ("releases", f"{terms.releases} at {bound}, for {times}{_in_message(trial)}"),
        ("guarantee", values["guarantee"]),
        *(("warning", warning) for warning in values["warnings"]),
        ("private tuning", values["tuning"]),
        ("time", f"about {duration_words(told['seconds'])}{making}{hint}"),
        ("to the start", f"{begin_s:.3g} s: libraries, data and {keys:,} keys"),
        ("of a round", f"{1000 * whole_s:.3g} ms: {named}"),
        ("hashing", hashing_words(told["hashing_seconds"])),
        *_stale_blocks(stale),
        ("on the wire", f"about {size_words(trial.wire_bytes()['all'])} a round"),
        ("memory", f"about {told['memory_mb']} MB"),
        ("disk", f"about {told['disk_mb']} MB"),
    ]


def _in_message(trial: Trial) -> str:
    """Return how many releases a message of a round holds, if it holds several."""
    each = releases_in_message(trial.mechanism, trial.scenario.local)
    return f", {each} in each message (one a local step)" if each > 1 else ""


def _participants(trial: Trial) -> list[tuple[str, str]]:
    nodes, groups = trial.scenario.nodes, trial.scenario.nodes.groups
    who = counted_words(nodes.holders, "data holder")
    if groups:
        who = f"{who} in {nodes.participants} groups of {groups.size}"
    if nodes.asked < nodes.participants:
        who = f"{who}, {nodes.asked} of them asked in a round"
    root = ", a public root" if trial.scenario.rooted else ""
    who = f"{who}{root}, {counted_words(nodes.miners, 'compute node')}"
    if groups is None:
        return [("who", who)]
    words = (
        f"a sum needs {groups.threshold} of {groups.size} members; noise is calibrated to "
        f"{groups.counted_on}: {groups.honest_members} honest, less {groups.dropouts} that "
        f"may be lost; a member sends {sent_bytes(groups.size, trial.dimension) / 1e3:,.1f} kB to "
        "the assembler of its group"
    )
    return [("who", who), ("groups", words)]


def _records(least: int, mean: float, most: int, known: bool) -> str:
    if not known:
        return f"about {least} a holder on average, before they are dealt"
    return (
        f"{least} a holder" if least == most else f"{least} to {most} a holder, {mean} on average"
    )


def _weights(rule: dict[str, Any]) -> list[tuple[str, str]]:
    stated = rule.get("weights") if takes_weights(rule["kind"]) else None
    return [("weights", weights_in_words(stated))] if stated else []


def _byzantine(trial: Trial) -> list[tuple[str, str]]:
    """Return a row about the numbers of Byzantine messages that the rule is told, if it is."""
    scenario, nodes = trial.scenario, trial.scenario.nodes
    told = sorted(set(tolerated(rule_of(scenario, trial.mechanism, []))))
    if not told:
        return []
    numbers, sent = " and ".join(map(str, told)), byzantine_messages(scenario)
    words = f"the rule is told {numbers} of {nodes.asked} messages; the attacks send {sent}"
    return [("byzantine", words)]


def _stale_blocks(stale: StaleBlocks) -> list[tuple[str, str]]:
    return [("stale blocks", stale.words)] if stale.share >= UNSAID else []


def _memory_mb(trial: Trial) -> float:
    """Return the estimated peak memory of a run, MB."""
    rounds, holders, records = (
        trial.scenario.rounds,
        trial.scenario.nodes.holders,
        trial.task.holders,
    )
    example = (records[0].inputs.nbytes + records[0].targets.nbytes) / records[0].examples
    if not isinstance(records, list | tuple):  # a sequence that makes records on demand
        holders = min(holders, KEPT_HOLDERS)
    data = example * (holders * trial.examples + trial.held_out)
    state = trial.weights + trial.memory
    cached = sum(min(rounds, kept(size)) * size for size in (trial.block, state))
    return peak_memory() / 1e6 + LATER_MB + (COPIES * data + cached) / 1e6


def _forecast_of_chain(scenario: Scenario) -> Forecast:
    """Return the forecast for a chain without learning."""
    nodes, rounds, work = scenario.nodes, scenario.rounds, works.build(scenario.ledger.work)
    hashing_s = expected_hashing_s(scenario)
    seconds = round(START_S + rounds * (BLOCK_S + HEARD_S * nodes.miners) + hashing_s, 1)
    stale = expected_stale(scenario)
    told = {
        "seconds": seconds,
        "hashing_seconds": round(hashing_s, 6),
        "memory_mb": round(peak_memory() / 1e6 + rounds * BLOCK_MEMORY / 1e6),
        "disk_mb": round(rounds * BLOCK_BYTES / 1e6, 1),
        "stale_share": round(stale.share, 3),
    }
    shares = ", ".join(f"{share:.3g}" for share in sorted(nodes.shares, reverse=True)[:3])
    more = ", .." if nodes.miners > 3 else ""
    rows = [
        ("who", f"{nodes.miners} compute nodes, shares of work {shares}{more}"),
        ("learned", "nothing: no data holders, no messages, no privacy"),
        *(("warning", warning) for warning in idle_parts(scenario)),
        ("work", f"{work.kind}, a block every {work.interval_ms / 1000:g} simulated seconds"),
        ("hashing", hashing_words(hashing_s)),
        *_stale_blocks(stale),
        ("time", f"about {duration_words(seconds)}, stale blocks on top"),
        ("memory", f"about {told['memory_mb']} MB"),
        ("disk", f"about {told['disk_mb']} MB"),
    ]
    values = {"scenario": plain_values(scenario), "warnings": idle_parts(scenario)}
    return Forecast({**values, "estimates": told}, rows)
