"""Tables in Markdown from the folders of sweeps: general tables, and helpers for all tables."""

from __future__ import annotations

import csv
import itertools
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fedchain.statistics import interval

Row = Mapping[str, str]
"""One run of a sweep: grid values, seed and metrics as points.csv writes them."""


@dataclass(frozen=True)
class Outcome:
    """Outputs of one command."""

    folder: Path
    """Folder of the sweep, run or audit, or the folder that the command was given."""
    told: Any
    """The JSON value that the command printed, or None."""


Made = Callable[[Sequence[Outcome]], str]
"""Function that makes a table from the outcomes of a maker's commands, in their order."""


@dataclass(frozen=True)
class Axis:
    """Rows or columns of a table: the values of one or several keys of a sweep."""

    heading: str
    """Heading of the column, if these are rows."""
    keys: tuple[str, ...]
    """Keys of the sweep's grid; several make an entry for each combination."""
    words: tuple[str, ...] = ()
    """A label for each combination, in the order of the grid; () for the values themselves."""

    def entries(self, grid: Mapping[str, Sequence[str]]) -> list[tuple[str, dict[str, str]]]:
        """Return the label and the values of every entry."""
        combinations = list(itertools.product(*(grid[key] for key in self.keys)))
        words = self.words or tuple(", ".join(values) for values in combinations)
        pairs = zip(words, combinations, strict=True)
        return [(word, dict(zip(self.keys, values, strict=True))) for word, values in pairs]


EPSILONS = ("privacy.epsilon",)


def grid_table(rows: Sequence[Axis], columns: Axis, metric: str) -> Made:
    """Return a table of means over the seeds, one row and column for each grid value.

    Args:
        rows: one axis for each of the first columns.
        columns: the axis of the other columns.
        metric: column of points.csv.
    """

    def made(outcomes: Sequence[Outcome]) -> str:
        folder = outcomes[0].folder
        grid, points = grid_of(folder), points_of(folder)
        heads = columns.entries(grid)
        lines = []
        for entries in itertools.product(*(axis.entries(grid) for axis in rows)):
            where = {key: value for _, values in entries for key, value in values.items()}
            cells = [cell(values_of(points, metric, {**where, **more})) for _, more in heads]
            lines.append([*(word for word, _ in entries), *cells])
        return table([*(axis.heading for axis in rows), *(word for word, _ in heads)], lines)

    return made


def law_table(
    first: str, curves: Sequence[str], beside: Callable[[float], str] | None = None
) -> Made:
    """Return the table that compares a sweep with a law: two columns for each curve.

    Args:
        first: heading of the first column, which holds the values x of the law's axis.
        curves: heading of the measured values of each curve, in the order of the curves.
        beside: function from x to the cell of one more column.
    """

    def made(outcomes: Sequence[Outcome]) -> str:
        (file,) = (outcomes[0].folder / "tables").glob("*_against_*.csv")
        found = read(file)
        names = list(dict.fromkeys(row["curve"] for row in found))
        head = [first, *(word for curve in curves for word in (curve, "law"))]
        lines = []
        for place in dict.fromkeys(row["x"] for row in found):
            at = {row["curve"]: row for row in found if row["x"] == place}
            cells = [short(float(place), 3) if "." in place else place]
            for name in names:
                mean, high = (float(at[name][f"measured_{end}"]) for end in ("mean", "high"))
                cells += [f"{short(mean)} ± {short(high - mean)}", short(float(at[name]["law"]))]
            lines.append([*cells, *([beside(float(place))] if beside else [])])
        return table([*head, *(["x / (1 + x)"] if beside else [])], lines)

    return made


def grid_of(folder: Path) -> dict[str, list[str]]:
    """Return the values of every key of a sweep's grid."""
    grid: dict[str, list[str]] = json.loads((folder / "sweep.json").read_text("utf-8"))["grid"]
    return grid


def points_of(folder: Path) -> list[Row]:
    """Return the runs of a sweep; all runs must have finished."""
    points = read(folder / "points.csv")
    left = [row["run"] for row in points if row["status"] not in ("finished", "budget_exhausted")]
    if left:
        raise ValueError(f"{folder}: {len(left)} runs have not finished, such as {left[0]}")
    return points


def read(file: Path) -> list[Row]:
    """Return the rows of a CSV file."""
    with file.open(encoding="utf-8", newline="") as text:
        return list(csv.DictReader(text))


def chosen(points: Iterable[Row], where: Mapping[str, str]) -> list[Row]:
    """Return the runs of one cell, in the order of their seeds."""
    found = [row for row in points if all(row[key] == value for key, value in where.items())]
    if not found:
        raise ValueError(f"points.csv: has no run with {dict(where)}")
    return found


def values_of(points: Iterable[Row], metric: str, where: Mapping[str, str]) -> list[float]:
    """Return the metric of one cell's runs, in the order of their seeds."""
    return [float(row[metric]) for row in chosen(points, where)]


def cell(values: Sequence[float]) -> str:
    """Return a mean and its 95 % interval, unless nothing varies.

    >>> cell([0.9, 0.92, 0.94]), cell([0.5, 0.5])
    ('.920 ± .050', '.500')
    """
    found = interval(values)
    return f"{short(found.mean)} ± {short(found.half)}" if found.varies else short(found.mean)


def short(value: float, digits: int = 3) -> str:
    """Return a number without the zero before its point.

    >>> short(0.5), short(-0.0312, 2), short(12.5, 1)
    ('.500', '-.03', '12.5')
    """
    text = f"{value:.{digits}f}"
    return text.replace("0.", ".", 1) if text.lstrip("-").startswith("0.") else text


def table(head: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    """Return a table in Markdown."""
    rows = [head, ["---"] * len(head), *lines]
    return "\n".join("| " + " | ".join(row) + " |" for row in rows)
