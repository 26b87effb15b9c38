"""Manifest: the summary of a run; also its privacy statement and its sample pictures."""

from __future__ import annotations

import datetime
import functools
import io
import json
import math
import platform
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from fedchain.aggregation.weights import takes_weights
from fedchain.learning.evaluation import plain_numbers
from fedchain.learning.task import Task
from fedchain.names import legible
from fedchain.privacy.guarantee import (
    figures,
    guarantee,
    outnumbered,
    replaced,
    unprotected,
    warnings_for,
)
from fedchain.privacy.mechanisms import Mechanism
from fedchain.results import EVENTS, told_rounds
from fedchain.scenario import Groups, Scenario, attackers_of, plain_values, scenario_digest
from fedchain.simulation.release_service import finite
from fedchain.simulation.setup import RunSetup
from fedchain.system import peak_memory
from fedchain.timing import STAGES
from fedchain.version import __version__

PACKAGES = ("torch", "numpy", "scipy", "cryptography", "opacus", "dp-accounting")
"""Packages whose versions a manifest states beside fedchain's, since results depend on them."""

LISTED = 1000
"""A privacy statement lists up to this number of holders one by one; it summarises more holders."""


def initial_manifest(setup: RunSetup) -> dict[str, Any]:
    """Return the manifest of a run that has not begun yet."""
    scenario, rule = setup.scenario, json.loads(setup.rules.aggregation)
    manifest: dict[str, Any] = {
        "status": "running",
        "name": scenario.name,
        "description": scenario.description,
        "seed": scenario.seed,
        "secret": setup.hidden,
        "digest": scenario_digest(scenario),
        "scenario": plain_values(scenario),
        "versions": {
            "fedchain": __version__,
            **{name: metadata.version(name) for name in PACKAGES},
        },
        "platform": f"{platform.platform()} Python {platform.python_version()}",
        "started": _now(),
        "ended": None,
        "rounds": scenario.rounds,
        "height": 0,
        "head": None,
        "stale_blocks": 0,
        "reorganisations": 0,
        "chain": {},
        "traffic": {},
        "silenced": 0,
        "refused": 0,
        "evidence": 0,
        "fooled": 0,
        "misconduct": [],
        "score": setup.task.score,
        "record": setup.task.record,
        "note": setup.task.note,
        "baselines": {name: plain_numbers(m) for name, m in setup.task.baselines.items()},
        "weights": rule["weights"] if takes_weights(rule["kind"]) else None,
        "epsilon": epsilon_spent(setup, {}),
        "seconds": dict.fromkeys(("total", *STAGES), 0.0),
        "peak_rss_mb": 0.0,
    }
    return {name: in_json(value) for name, value in manifest.items()}


def final_manifest(
    folder: Path, manifest: Mapping[str, Any], status: str, elapsed: float
) -> dict[str, Any]:
    """Return the manifest of a run that has ended or was interrupted.

    Args:
        folder: the run folder; its event log says how far the run has come.
        manifest: the manifest from the last start or resumption of the run.
        status: how the run has ended.
        elapsed: wall time since the last start or resumption, seconds.
    """
    stages, last = dict.fromkeys(STAGES, 0.0), None
    for last in told_rounds(folder / EVENTS):  # the last recorded one is the head
        stages = {stage: spent + last["seconds"][stage] for stage, spent in stages.items()}
    epsilon = dict(manifest["epsilon"])
    if last and last["releases"] > epsilon["worst_holder_releases"]:
        epsilon |= {"total": last["epsilon"], "worst_holder_releases": last["releases"]}
    seconds = {stage: round(spent, 3) for stage, spent in stages.items()}
    return {
        **manifest,
        "status": status,
        "ended": _now(),
        "height": last["height"] if last else 0,
        "head": last["block"] if last else None,
        "epsilon": epsilon,
        "seconds": {"total": round(manifest["seconds"]["total"] + elapsed, 3), **seconds},
        "peak_rss_mb": max(manifest["peak_rss_mb"], round(peak_memory() / 1e6, 1)),
    }


def epsilon_spent(setup: RunSetup, releases: Mapping[int, int]) -> dict[str, Any]:
    """Return epsilon and delta for the participant with the most releases.

    ``releases`` is the number of releases by participant, including those on forks. A holder that
    receives the last block late may release once more after the last round is recorded. That
    release counts too.
    """
    mechanism, worst = setup.mechanism, max(releases.values(), default=0)
    promised = math.isfinite(mechanism.epsilon_per_release)
    return {
        "per_release": finite(mechanism.epsilon_per_release),
        "total": finite(mechanism.epsilon_after(worst)) if promised else None,
        "delta": mechanism.terms.delta,
        "worst_holder_releases": worst,
    }


def privacy_statement(setup: RunSetup, releases: Mapping[int, int]) -> dict[str, Any]:
    """Return the contents of ``privacy.json``, given the number of releases by participant."""
    if not setup.task.learns:
        return {"guarantee": "nothing is released: the chain has no data holders", "warnings": []}
    mechanism, nodes = setup.mechanism, setup.scenario.nodes
    terms = mechanism.terms
    by_participant = np.array([releases.get(k, 0) for k in range(nodes.participants)])
    # A release of a group counts as a release of each of its members.
    made = np.repeat(by_participant, len(nodes.members_of(0)))
    words = guarantee_of(setup.scenario, mechanism, setup.task.record, setup.hidden)
    worst = int(made.max())
    counts = np.array([records.count for records in setup.task.holders])
    return {
        "guarantee": words(worst),
        "warnings": warnings_of(setup.scenario, mechanism, worst, setup.task, counts.tolist()),
        "tuning": tuning_of(setup.scenario),
        "public_records": setup.task.public,
        "figures": figures(mechanism, worst),
        "mechanism": mechanism.name,
        "sampling_rate": terms.sampling_rate,
        "unit": terms.unit,
        "record": setup.task.record,
        "records": _each(counts),
        "noise_multiplier": mechanism.noise_multiplier,
        "clip": finite(terms.clip),
        "clip_automatic": terms.automatic,
        "clip_quantile": terms.clip_quantile,
        "delta": terms.delta,
        "groups": in_groups(nodes.groups),
        "momentum": nodes.momentum and nodes.momentum.plain(),
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


def guarantee_of(
    scenario: Scenario, mechanism: Mechanism, record: str, hidden: bool = False
) -> Callable[[int], str]:
    """Return a function that takes a number of releases and returns their guarantee in words."""
    nodes = scenario.nodes
    return functools.partial(
        guarantee,
        mechanism,
        record=record,
        sampled=nodes.asked < nodes.participants,
        groups=nodes.groups,
        momentum=nodes.momentum,
        hidden=hidden,
    )


def warnings_of(
    scenario: Scenario, mechanism: Mechanism, releases: int, task: Task, records: Sequence[int]
) -> list[str]:
    """Return all warnings on a guarantee; ``records`` are the holders' numbers of records."""
    return [
        *warnings_for(mechanism, records),
        *outnumbered(mechanism, releases, scenario.nodes.groups, attackers_in(scenario)),
        *unprotected(task.public, task.record),
    ]


def attackers_in(scenario: Scenario) -> set[int]:
    """Return the ids of all data holders that attack in some round."""
    entries = dict(enumerate(scenario.attacks))
    found = attackers_of(entries, scenario.nodes.holders, scenario.seed)
    return {holder for holders in found.values() for holder in holders}


def tuning_of(scenario: Scenario) -> str:
    """Return what the scenario declares as tuned on private records; no guarantee covers tuning."""
    return scenario.tuning or "none was declared"


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
    """Return the count of each holder; for more than ``LISTED`` holders, the range and median."""
    if len(counts) <= LISTED:
        return [int(count) for count in counts]
    return {
        "min": int(counts.min()),
        "median": float(np.median(counts)),
        "max": int(counts.max()),
    }


def sample_pictures(setup: RunSetup, outputs: npt.NDArray[Any]) -> Iterator[tuple[str, bytes]]:
    """Yield pictures of held-out examples and of the model's outputs: (name, PNG bytes)."""
    count = setup.scenario.evaluate.samples
    if setup.task.pictures is None or count == 0:
        return
    from matplotlib import image  # its import takes longer than a small run

    for name, picture in setup.task.pictures(outputs, count).items():
        file = io.BytesIO()
        image.imsave(file, picture, format="png")
        yield name, file.getvalue()


def in_json(value: Any) -> Any:
    """Return a value in a form that JSON can hold: infinity becomes the text ``inf``.

    Bytes of a file name that are not characters become escapes.

    >>> in_json({"epsilon": float("inf"), "grid": (1, 2)})
    {'epsilon': 'inf', 'grid': [1, 2]}
    """
    if isinstance(value, Mapping):
        return {legible(str(key)): in_json(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [in_json(inner) for inner in value]
    if isinstance(value, str):
        return legible(value)
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value


def as_json(value: Mapping[str, Any]) -> str:
    """Return a mapping as indented JSON text."""
    return json.dumps(in_json(value), indent=2, allow_nan=False) + "\n"


def _now() -> str:
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
