"""Manifest: builds the summary of a run, and its sample pictures."""

from __future__ import annotations

import datetime
import io
import json
import math
import platform
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy.typing as npt

from fedchain.aggregation.weights import takes_weights
from fedchain.learning.evaluation import plain_numbers
from fedchain.machine import arithmetic
from fedchain.names import legible
from fedchain.results import EVENTS, told_events
from fedchain.runs.privacy_statement import epsilon_spent, run_warnings
from fedchain.scans.pictures import draw_shown
from fedchain.scenario import Scenario, plain_values, provenance_of, run_digest
from fedchain.simulation.setup import RunSetup
from fedchain.system import peak_memory
from fedchain.timing import STAGES
from fedchain.version import __version__, version_of

PACKAGES = ("torch", "numpy", "scipy", "cryptography", "opacus", "dp-accounting")
"""Packages whose versions a manifest states."""


def initial_manifest(setup: RunSetup) -> dict[str, Any]:
    """Return the manifest of a run that has not begun yet."""
    scenario, rule = setup.scenario, json.loads(setup.rules.aggregation)
    manifest: dict[str, Any] = {
        "status": "running",
        "name": scenario.name,
        "description": scenario.description,
        "seed": scenario.seed,
        "secret": setup.hidden,
        **_origin(scenario),
        "scenario": plain_values(scenario),
        "versions": {"fedchain": __version__, **{name: version_of(name) for name in PACKAGES}},
        "platform": f"{platform.platform()} Python {platform.python_version()}",
        "arithmetic": arithmetic() if setup.task.learns else {},
        "started": _now(),
        "ended": None,
        "rounds": scenario.rounds,
        "height": 0,
        "head": None,
        "stale_blocks": 0,
        "reorganisations": 0,
        "chain": {},
        "traffic": {},
        "silent": {},
        "stopped": None,
        "refused": 0,
        "evidence": 0,
        "fooled": 0,
        "misconduct": [],
        "score": setup.task.score,
        "record": setup.task.record,
        "note": setup.task.note,
        "baselines": {name: plain_numbers(m) for name, m in setup.task.baselines.items()},
        "warnings": run_warnings(setup),
        "weights": rule["weights"] if takes_weights(rule["kind"]) else None,
        "epsilon": epsilon_spent(setup, {}),
        "seconds": dict.fromkeys(("total", *STAGES), 0.0),
        "peak_rss_mb": 0.0,
    }
    return {name: in_json(value) for name, value in manifest.items()}


def _origin(scenario: Scenario) -> dict[str, Any]:
    """Return what a run comes from besides its scenario and seed, and the digest of it all."""
    provenance = provenance_of(scenario).plain
    return {"digest": run_digest(scenario, provenance), "provenance": provenance}


def final_manifest(
    folder: Path, manifest: Mapping[str, Any], status: str, elapsed: float
) -> dict[str, Any]:
    """Return the manifest of a run that has ended or was interrupted.

    ``manifest`` is from the run's last start or resumption. ``elapsed`` is the wall time since
    then, in seconds.
    """
    stages, last = dict.fromkeys(STAGES, 0.0), None
    for last in told_events(folder / EVENTS, "round"):  # the last recorded one is the head
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


def silent_names(setup: RunSetup, silent: Mapping[int, str]) -> dict[str, list[str]]:
    """Return, by reason, the names of the participants that could not send a message."""
    nodes, found = setup.scenario.nodes, dict[str, list[str]]()
    for participant, reason in sorted(silent.items()):
        is_root = participant == nodes.participants
        name = "root" if is_root else f"{nodes.participant[0]}{participant}"
        found.setdefault(reason, []).append(name)
    return found


def sample_pictures(setup: RunSetup, outputs: npt.NDArray[Any]) -> Iterator[tuple[str, bytes]]:
    """Yield the name and the PNG bytes of each picture of held-out examples and model outputs."""
    count = setup.scenario.evaluate.samples
    if setup.task.shown is None or count == 0:
        return
    from matplotlib import image  # its import takes longer than a small run

    for name, picture in draw_shown(setup.task.shown(count), outputs).items():
        file = io.BytesIO()
        image.imsave(file, picture, format="png")
        yield name, file.getvalue()


def in_json(value: Any) -> Any:
    """Return a value in a form that JSON can hold: infinity becomes the text ``inf``.

    Characters that cannot be encoded become escapes.

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
