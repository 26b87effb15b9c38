"""Effort of a run: its stale blocks, releases per block, and costs until it reaches a score."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fedchain.errors import RunRefused
from fedchain.files import read_json
from fedchain.reports.study import Recorded, Study, finite_value

CHAIN = ("network.", "gossip.", "ledger.work.")
"""Prefixes of the grid keys that change how often the chain forks."""


def forks_varied(study: Study) -> bool:
    """Return whether a sweep of learning runs varies how often the chain forks."""
    learns = study.first.manifest.get("score", "") != ""
    return learns and any(key.startswith(CHAIN) for key in study.keys)


def stale_blocks(run: Recorded) -> float | None:
    """Return the share of all blocks that are stale: not on the main chain."""
    return finite_value(run.manifest.get("chain", {}), "stale_share")


def releases_per_block(run: Recorded) -> float | None:
    """Return the mean number of releases per asked holder and block of the main chain.

    Without forks it is 1. It is larger if holders also answered blocks that became stale. None if
    privacy.json does not list the holders because there are too many.

    Raises:
        RunError: the run's privacy.json cannot be read.
    """
    file = run.folder / "privacy.json"
    try:
        releases = read_json(file).get("releases")
    except (FileNotFoundError, AttributeError) as error:
        raise RunRefused(f"{file}: cannot be read: it is missing, or holds no statement") from error
    if not isinstance(releases, list):
        return None
    nodes = run.manifest["scenario"]["nodes"]
    asked = nodes.get("cohort") or nodes["holders"]
    return float(sum(releases) / (asked * int(run.manifest["height"])))


def reached(run: Recorded, score: str, target: float) -> Mapping[str, Any] | None:
    """Return the first round whose score is at least the target (at most, for a loss), or None."""
    sign = -1.0 if score == "loss" else 1.0
    for row in run.metrics:
        value = finite_value(row, score)
        if value is not None and sign * value >= sign * target:
            return row
    return None


def until(study: Study, column: str, run: Recorded) -> float | None:
    """Return a column's value at the first round that reaches the target score, or None."""
    return finite_value(reached(run, study.score, study.target or 0.0) or {}, column)
