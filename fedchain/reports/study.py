"""Study: the run or the sweep that a report shows, and its numbers over seeds."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Literal, TypeVar

from fedchain.results import RoundRecord
from fedchain.results.tables import attackers_share, capture_of
from fedchain.statistics import Interval, interval

_Value = TypeVar("_Value")
SWEEP_FORMAT = 1
"""Version of the sweep folder's layout."""
DONE = ("finished", "budget_exhausted")
"""Statuses of a run with a result."""
EPSILON = "privacy.epsilon"
"""The grid key of the privacy budget."""
GridValue = float | str
"""One value of a grid: a number or a text."""
GridValues = tuple[GridValue, ...]
"""One value per grid key."""


@dataclass(frozen=True, kw_only=True)
class Recorded:
    """The data of one run for figures and tables."""

    folder: Path
    """The run folder."""
    manifest: Mapping[str, Any]
    """The content of ``manifest.json``."""
    metrics: list[dict[str, Any]]
    """One row per round. A metric that was not measured is absent."""
    messages: list[dict[str, Any]] = field(default_factory=list)
    """One row per message; empty for the runs of a sweep."""
    heads: list[dict[str, Any]] = field(default_factory=list)
    """One row per new head of a compute node; empty for the runs of a sweep."""
    values: GridValues = ()
    """One value per grid key; empty for a single run. YAML mappings are replaced by labels."""


Reading = Callable[[Recorded], float | None]
"""A function that reads a number from a run; None if the run does not have the number."""


@dataclass(frozen=True, kw_only=True)
class Study:
    """All data of a run or a sweep for figures, tables and the page."""

    folder: Path
    """Folder of the run or sweep."""
    kind: Literal["run", "sweep"]
    """Kind of the folder: a single run or a sweep."""
    name: str
    """The scenario's name."""
    score: str
    """The main metric of the study, such as ``iou`` or ``accuracy``."""
    runs: tuple[Recorded, ...]
    """The runs with results, in the order of the grid; a single run as far as it came."""
    keys: tuple[str, ...] = ()
    """The grid keys, dotted."""
    x: str = ""
    """The grid key of the horizontal axis; empty without a grid."""
    target: float | None = None
    """Figures and tables show time and epsilon until this score is reached; None: no target."""
    blocks: frozenset[str] = frozenset()
    """The grid keys whose values are labels of YAML mappings."""
    labels: Mapping[str, str] = field(default_factory=dict)
    """Names in figures and tables, as the scenario's ``labels`` have them."""
    unfinished: tuple[Mapping[str, str], ...] = ()
    """Rows of ``points.csv`` for points without a result."""
    begun: tuple[Recorded, ...] = ()
    """The runs without a result that have rounds; empty if ``runs`` has them for lack of others."""

    @property
    def first(self) -> Recorded:
        """The first run of the study."""
        return self.runs[0]

    @property
    def axis(self) -> int:
        """Index in ``keys`` of the grid key of the horizontal axis."""
        return self.keys.index(self.x)

    def groups(self) -> dict[GridValues, list[Recorded]]:
        """Return the runs by grid values. Runs that differ only in the seed are in one group."""
        found: dict[GridValues, list[Recorded]] = {}
        for run in self.runs:
            found.setdefault(run.values, []).append(run)
        return found


def without(values: tuple[_Value, ...], place: int) -> tuple[_Value, ...]:
    """Return all values except the value at an index.

    >>> without(("a", "b", "c"), 1)
    ('a', 'c')
    """
    return values[:place] + values[place + 1 :]


def finite_value(row: Mapping[str, Any], key: str) -> float | None:
    """Return the number under a key of a row; None if it is absent, empty or not finite."""
    value = row.get(key)
    if isinstance(value, (int, float)) and math.isfinite(value):
        return float(value)
    return None


def final(run: Recorded, metric: str) -> float | None:
    """Return a metric's last measured value; None if it was never measured."""
    measured = [finite_value(row, metric) for row in run.metrics]
    return next((value for value in reversed(measured) if value is not None), None)


def metric_names(run: Recorded) -> list[str]:
    """Return the names of the metrics that the run measured, first the score."""
    bookkeeping = {field.name for field in fields(RoundRecord)}
    names = dict.fromkeys(key for row in run.metrics for key in row)
    score = run.manifest.get("score")
    found = [n for n in names if n not in bookkeeping and not n.startswith("seconds_")]
    return sorted(found, key=lambda name: name != score)


def total_epsilon(run: Recorded) -> float | None:
    """Return the total epsilon of the holder with the most releases; None without a guarantee."""
    return finite_value(run.manifest.get("epsilon") or {}, "total")


def capture(run: Recorded) -> float | None:
    """Return the share of the attacked rounds that attackers captured; None if nobody attacked."""
    return capture_of(run.metrics)


def byzantine_share(run: Recorded) -> float | None:
    """Return the attackers' mean share of the global gradient; None if nobody attacked."""
    return attackers_share(run.metrics)


def summed_count(run: Recorded, name: str) -> float:
    """Return the sum of a count over all rounds, such as ``byzantine_used``."""
    return float(sum(row.get(name) or 0 for row in run.metrics))


def over_seeds(runs: list[Recorded], measure: Reading, *, whole: bool = False) -> Interval | None:
    """Return the mean and the 95 % interval of a number over runs; None if no run has the number.

    With ``whole``, the result is None unless all runs have the number.
    """
    values = [value for run in runs if (value := measure(run)) is not None]
    return interval(values) if values and not (whole and len(values) < len(runs)) else None


def best_baseline(study: Study, metric: str) -> tuple[str, float] | None:
    """Return the name of the best baseline and the mean of its metric over the runs.

    The result is None if no baseline has the metric.
    """
    found: dict[str, list[float]] = {}
    for run in study.runs:
        for name, metrics in run.manifest.get("baselines", {}).items():
            if (value := finite_value(metrics, metric)) is not None:
                found.setdefault(str(name), []).append(value)
    means = ((sum(values) / len(values), name) for name, values in found.items())
    best = (min if metric == "loss" else max)(means, key=lambda pair: pair[0], default=None)
    return best and (best[1], best[0])
