"""Privacy statement: states a run's guarantee, its releases and its warnings."""

from __future__ import annotations

import functools
import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from fedchain.learning.task import Task
from fedchain.privacy.guarantee import (
    figures,
    guarantee,
    outnumbered,
    replaced,
    unprotected,
    warnings_for,
)
from fedchain.privacy.local_steps import releases_in_message
from fedchain.privacy.mechanisms import Mechanism
from fedchain.registry import plain_value
from fedchain.scenario import Groups, Scenario, attackers_of
from fedchain.scenario.idle import idle_parts
from fedchain.simulation.release_service import finite
from fedchain.simulation.setup import RunSetup

LISTED = 1000
"""Limit on the holders that a privacy statement lists one by one."""


def epsilon_spent(setup: RunSetup, releases: Mapping[int, int]) -> dict[str, Any]:
    """Return epsilon and delta for the participant with the most releases.

    ``releases`` is the number of releases by participant id, including those on forks.
    """
    # A holder that gets the last block late may release after the last round is recorded.
    mechanism, worst = setup.mechanism, max(releases.values(), default=0)
    promised = math.isfinite(mechanism.epsilon_per_release)
    return {
        "per_release": finite(mechanism.epsilon_per_release),
        "total": finite(mechanism.epsilon_after(worst)) if promised else None,
        "delta": mechanism.terms.delta,
        "worst_holder_releases": worst,
    }


def privacy_statement(setup: RunSetup, releases: Mapping[int, int]) -> dict[str, Any]:
    """Return the content of ``privacy.json``, given the number of releases by participant id."""
    if not setup.task.learns:
        return {"guarantee": "nothing is released: the chain has no data holders", "warnings": []}
    mechanism, nodes, terms = setup.mechanism, setup.scenario.nodes, setup.mechanism.terms
    # A release of a group counts as a release of each of its members.
    by_participant = [releases.get(k, 0) for k in range(nodes.participants)]
    made = np.repeat(by_participant, len(nodes.members_of(0)))
    worst, counts = int(made.max()), [records.count for records in setup.task.holders]
    guaranteed = guarantee_of(setup.scenario, mechanism, setup.task.record, setup.hidden)
    return {
        "guarantee": guaranteed(worst),
        "warnings": warnings_of(setup, worst),
        "tuning": tuning_of(setup.scenario),
        "public_records": setup.task.public,
        "public_scans": list(setup.task.public_scans),
        "figures": figures(mechanism, worst),
        "mechanism": mechanism.name,
        "sampling_rate": terms.sampling_rate,
        "unit": terms.unit,
        "record": setup.task.record,
        "records": _each(np.array(counts)),
        "noise_multiplier": mechanism.noise_multiplier,
        "noise_norm": expected_noise(setup),
        "clip": finite(terms.clip),
        "clip_automatic": terms.automatic,
        "clip_quantile": terms.clip_quantile,
        "delta": terms.delta,
        "groups": in_groups(nodes.groups),
        "momentum": nodes.momentum and nodes.momentum.plain(),
        **in_steps(setup.scenario, mechanism),
        "epsilon_per_release": finite(mechanism.epsilon_per_release),
        "epsilon_total": finite(mechanism.epsilon_after(worst)),
        "epsilon_replaced": finite(replaced(mechanism, worst)[0]),
        "delta_replaced": replaced(mechanism, worst)[1],
        "epsilon_pure_total": mechanism.pure_total and worst * mechanism.epsilon_per_release,
        "releases": _each(made),
        "holders_by_releases": dict(Counter(sorted(made.tolist()))),
        "releases_allowed": terms.releases,
        "on_exhausted": setup.scenario.nodes.on_exhausted,
        "worst_holder": int(made.argmax()),
    }


def expected_noise(setup: RunSetup) -> list[float] | None:
    """Return the expected norm of the noise in a message of each participant, from public values.

    It is in the unit of a message's norm. It is None if it is not known: if the clip follows a
    quantile, if messages are running means or are projected on a subspace, or if there are more
    participants than ``LISTED``.
    """
    mechanism, nodes = setup.mechanism, setup.scenario.nodes
    projected = setup.task.subspace is not None
    if mechanism.terms.clip_quantile or nodes.momentum or projected or nodes.participants > LISTED:
        return None
    # The shares of all members add up, and epsilon counts on those of the fewest honest ones.
    groups = nodes.groups
    more = 1.0 if groups is None else math.sqrt(groups.size / groups.counted_on)
    more *= math.sqrt(releases_in_message(mechanism, setup.scenario.local))
    counts = [
        sum(setup.task.holders[member].count for member in nodes.members_of(k))
        for k in range(nodes.participants)
    ]
    of, dimension = mechanism.terms.sensitivity, setup.rules.dimension
    return [more * mechanism.noise_norm(of(count), dimension) for count in counts]


def run_warnings(setup: RunSetup) -> list[str]:
    """Return all warnings on a run, each a sentence: on what never happens, and on privacy."""
    return [*idle_parts(setup.scenario), *warnings_of(setup)]


def warnings_of(setup: RunSetup, releases: int | None = None) -> list[str]:
    """Return a run's warnings on privacy, each a sentence.

    ``releases`` is the largest number of releases of one holder; None: the number for which the
    noise is calibrated.
    """
    if not setup.task.learns:
        return []
    counts = [records.count for records in setup.task.holders]
    made = setup.mechanism.terms.releases if releases is None else releases
    return all_warnings(setup.scenario, setup.mechanism, setup.task, made, counts)


def all_warnings(
    scenario: Scenario, mechanism: Mechanism, task: Task, releases: int, records: Sequence[int]
) -> list[str]:
    """Return all warnings on a guarantee, given each holder's number of records."""
    return [
        *warnings_for(mechanism, records),
        *outnumbered(mechanism, releases, scenario.nodes.groups, attackers_in(scenario)),
        *unprotected(task.public, task.record, task.public_scans),
    ]


def guarantee_of(
    scenario: Scenario, mechanism: Mechanism, record: str, hidden: bool = False
) -> Callable[[int], str]:
    """Return a function that takes a number of releases and returns the guarantee in words."""
    nodes = scenario.nodes
    return functools.partial(
        guarantee,
        mechanism,
        record=record,
        sampled=nodes.asked < nodes.participants,
        groups=nodes.groups,
        momentum=nodes.momentum,
        local=scenario.local,
        hidden=hidden,
    )


def attackers_in(scenario: Scenario) -> set[int]:
    """Return the ids of all data holders that attack in some round."""
    entries = dict(enumerate(scenario.attacks))
    found = attackers_of(entries, scenario.nodes.holders, scenario.seed)
    return {holder for holders in found.values() for holder in holders}


def tuning_of(scenario: Scenario) -> str:
    """Return the scenario's text on private tuning, which no guarantee covers."""
    return scenario.tuning or "none was declared"


def in_steps(scenario: Scenario, mechanism: Mechanism) -> dict[str, Any]:
    """Return the local training, and how many releases a message holds because of it."""
    each = releases_in_message(mechanism, scenario.local)
    return {"local": plain_value(scenario.local), "releases_in_message": each}


def in_groups(groups: Groups | None) -> dict[str, int] | None:
    """Return the group settings on which the guarantee depends; None if there are no groups."""
    if groups is None:
        return None
    return {
        "size": groups.size,
        "honest": groups.honest_members,
        "dropouts": groups.dropouts,
        "threshold": groups.threshold,
        "counted_on": groups.counted_on,
    }


def _each(counts: npt.NDArray[np.int64]) -> list[int] | dict[str, float]:
    """Return each holder's count; for more than ``LISTED`` holders, the range and median."""
    if len(counts) <= LISTED:
        return [int(count) for count in counts]
    return {
        "min": int(counts.min()),
        "median": float(np.median(counts)),
        "max": int(counts.max()),
    }
