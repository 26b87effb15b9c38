"""Effort of a run: share of stale blocks, releases per block, and cost of a target score."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fedchain.errors import RunRefused
from fedchain.files import read_json
from fedchain.reports.study import Recorded, Study, finite_value

CHAIN = ("network.", "gossip.", "ledger.work.")
"""Prefixes of the grid keys that influence how often the chain forks."""


def forks_varied(study: Study) -> bool:
    """Return whether a study of learning runs varies a setting that causes forks."""
    learns = study.first.manifest.get("score", "") != ""
    return learns and any(key.startswith(CHAIN) for key in study.keys)


def stale_blocks(run: Recorded) -> float | None:
    """Return the share of all blocks that are stale (not on the main chain); None if unknown."""
    return finite_value(run.manifest.get("chain", {}), "stale_share")


def releases_per_block(run: Recorded) -> float | None:
    """Return the mean number of releases per asked holder and block of the main chain.

    It is 1 if there are no forks and all asked holders answer, and None if ``privacy.json`` does
    not list all holders.

    Raises:
        RunError: the run's ``privacy.json`` cannot be read.
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
    """Return the row of the first round that reaches the target score; None if no round does."""
    sign = -1.0 if score == "loss" else 1.0  # a loss reaches its target from above
    for row in run.metrics:
        value = finite_value(row, score)
        if value is not None and sign * value >= sign * target:
            return row
    return None


def until(study: Study, column: str, run: Recorded) -> float | None:
    """Return a column's value in the first round that reaches the study's target score, or None."""
    return finite_value(reached(run, study.score, study.target or 0.0) or {}, column)
