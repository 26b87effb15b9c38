"""Study: reads the run or the sweep that a report shows."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Literal, TypeVar

from fedchain.errors import NothingYet, RunError, RunRefused
from fedchain.files import check_folder, read_json, read_utf8
from fedchain.registry import suggest
from fedchain.reports.axis_labels import block_words
from fedchain.results import OVER, RoundRecord, Run
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


def open_study(folder: Path) -> Study:
    """Open a run folder or a sweep folder.

    Raises:
        RunError: the folder is neither a run nor a sweep, or has another format.
        NothingYet: the folder has no results yet.
    """
    check_folder(folder)
    if (folder / "manifest.json").is_file():
        return _open_run(folder)
    if (folder / "sweep.json").is_file():
        return _open_sweep(folder)
    what = "holds neither a manifest.json nor a sweep.json" if folder.exists() else "does not exist"
    raise RunRefused(f"{folder}: {what}; a run folder or a sweep folder is expected")


def read_points(folder: Path) -> tuple[dict[str, Any], list[dict[str, str]]]:
    """Read ``sweep.json`` and ``points.csv`` of a sweep folder.

    Raises:
        RunError: a file is missing, damaged, or of another format.
    """
    try:
        sweep, text = read_json(folder / "sweep.json"), read_utf8(folder / "points.csv")
    except FileNotFoundError as error:
        missing = f"{Path(str(error.filename)).name} is missing"
        raise RunRefused(f"{folder}: not a whole sweep folder: {missing}") from error
    if not isinstance(sweep, dict) or sweep.get("format") != SWEEP_FORMAT:
        raise RunRefused(f"{folder / 'sweep.json'}: format must be {SWEEP_FORMAT}")
    needed, rows = {"seed", "run", "status", *sweep["grid"]}, list[dict[str, str]]()
    try:
        for row in csv.DictReader(io.StringIO(text)):
            whole = needed <= row.keys() and None not in row.values()
            if not whole or Path(row["run"]).name != row["run"] or row["run"] in ("", ".."):
                raise RunRefused(f"{folder / 'points.csv'}: a damaged row, got {row}")
            rows.append(row)
    except csv.Error as error:
        raise RunRefused(f"{folder / 'points.csv'}: cannot be read: {error}") from error
    return sweep, rows


def read_value(text: str) -> GridValue:
    """Read a grid value from its text in ``points.csv``.

    >>> read_value("0.5"), read_value("inf"), read_value("krum")
    (0.5, inf, 'krum')
    """
    try:
        return float(text)
    except ValueError:
        return text


def read_run(folder: Path, messages: bool = False) -> Recorded:
    """Read one run folder; with ``messages``, also read the messages and the new heads.

    Raises:
        RunError: the folder holds no run, or a damaged run.
    """
    run = Run.open(folder)
    read = Recorded(folder=folder, manifest=run.manifest, metrics=run.metrics)
    return replace(read, messages=run.messages, heads=run.heads) if messages else read


def _open_run(folder: Path) -> Study:
    run = read_run(folder, messages=True)
    if not run.metrics:
        status, height = run.manifest["status"], run.manifest["height"]
        if height:
            lost = f"is {status} at height {height}, but events.ndjson records no round of it"
            raise RunRefused(f"{folder}: {lost}; restore the file")
        if status in OVER:
            raise RunRefused(f"{folder}: {status} before its first round; nothing can be shown")
        raise NothingYet(f"{folder}: no round is recorded yet; let the run go on first")
    name, score = str(run.manifest["name"]), str(run.manifest["score"])
    labels = _labels(run.manifest["scenario"])
    return Study(folder=folder, kind="run", name=name, score=score, runs=(run,), labels=labels)


def _labels(described: Mapping[str, Any]) -> dict[str, str]:
    """Return the labels that a manifest's scenario or ``sweep.json`` has; earlier ones have none.

    What is no text is left out: the files may come from a stranger.
    """
    labels = described.get("labels")
    if not isinstance(labels, Mapping):
        return {}
    return {key: words for key, words in labels.items() if isinstance(words, str)}


def _open_sweep(folder: Path) -> Study:
    sweep, rows = read_points(folder)
    keys = tuple(sweep["grid"])
    words = {key: block_words(key, list(dict.fromkeys(row[key] for row in rows))) for key in keys}

    def read(row: Mapping[str, str]) -> Recorded:
        values = tuple(words[key].get(row[key], read_value(row[key])) for key in keys)
        return replace(read_run(folder / "runs" / row["run"]), values=values)

    runs = tuple(read(row) for row in rows if row["status"] in DONE)
    left = tuple(row for row in rows if row["status"] not in DONE)
    begun = tuple(_with_rounds(read, left))
    if not runs:
        runs, begun = begun, ()
    if not runs:
        raise NothingYet(f"{folder}: no point has a round yet; let the sweep go on first")
    known = {name for run in runs for name in metric_names(run)}
    score = sweep["y"] or runs[0].manifest["score"]
    if sweep["y"] and known and score not in known:
        raise RunRefused(f"{folder}: sweep.y: no metric {score!r}; {suggest(score, known)}")
    return Study(
        folder=folder,
        kind="sweep",
        name=sweep["name"],
        score=score,
        runs=runs,
        keys=keys,
        x=sweep["x"] or (keys[0] if keys else ""),
        target=sweep.get("target"),
        blocks=frozenset(key for key in keys if words[key]),
        labels=_labels(sweep),
        unfinished=left,
        begun=begun,
    )


def _with_rounds(
    read: Callable[[Mapping[str, str]], Recorded], rows: Iterable[Mapping[str, str]]
) -> Iterator[Recorded]:
    """Yield the runs of rows without a result that can be read and have recorded a round."""
    for row in rows:
        try:
            run = read(row)
        except RunError:  # the row says why there is no run
            continue
        if run.metrics:
            yield run
