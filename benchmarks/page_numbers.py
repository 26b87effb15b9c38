"""Numbers of the page of the benchmark: medians, ratios, exponents, and tables in Markdown."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Sequence
from typing import Any

Row = dict[str, Any]
Results = dict[str, Any]


def milliseconds(row: Row) -> float | None:
    """Return the median over turns of the median time of a round; None if the row did not run.

    >>> runs = [{"found": {"rounds_ms": [1.0, 9.0, 2.0]}}, {"found": {"rounds_ms": [4.0]}}]
    >>> milliseconds({"runs": runs})
    3.0
    """
    medians = [statistics.median(run["found"]["rounds_ms"]) for run in row["runs"] if run["found"]]
    return statistics.median(medians) if medians else None


def find(rows: Iterable[Row], group: str, name: str) -> float | None:
    """Return the milliseconds of one row of a table."""
    found = [row for row in rows if (row["group"], row["name"]) == (group, name)]
    return milliseconds(found[0]) if found else None


def fastest(rows: Iterable[Row], group: str) -> float | None:
    """Return the milliseconds of the fastest other simulator of a table."""
    each = [milliseconds(row) for row in rows if row["group"] == group and row["peer"]]
    return min((ms for ms in each if ms is not None), default=None)


def ratio(above: float | None, below: float | None) -> float | None:
    """Return above / below; None if one of them is missing."""
    return None if above is None or not below else above / below


def exponent(sizes: Sequence[float], times: Sequence[float]) -> float:
    """Return the slope of log time over log size, by least squares.

    >>> round(exponent([1, 10, 100], [2, 20, 200]), 6)
    1.0
    """
    x, y = ([math.log(each) for each in numbers] for numbers in (sizes, times))
    return statistics.linear_regression(x, y).slope


def less(ways: dict[str, dict[str, float]]) -> float:
    """Return how many times less processor time the engine takes than torch's layers."""
    return ways["clipped, layers"]["processor"] / ways["clipped, engine"]["processor"]


def stages_of(rows: list[Row], group: str) -> dict[str, float]:
    """Return the median milliseconds of every stage of the full protocol."""
    for row in rows:
        if (row["group"], row["name"]) == (group, "fedchain, the full protocol"):
            runs = [run["found"]["stages_ms"] for run in row["runs"] if run["found"]]
            return {s: statistics.median(r[s] for r in runs) for s in runs[0]} if runs else {}
    return {}


def sum_of(floors: Results, *names: str) -> float | None:
    """Return the sum of floors; None if they were not measured."""
    return sum(floors[name] for name in names) if floors else None


def shown(value: float | None, mark: str = "") -> str:
    """Return a number with three significant digits.

    >>> shown(1234.5), shown(12.34), shown(None)
    ('1234', '12.3', '-')
    """
    if value is None:
        return "-"
    digits = max(0, 2 - math.floor(math.log10(value))) if value > 0 else 0
    return f"{value:.{min(digits, 3)}f}{mark}"


def table(head: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    """Return a table in Markdown."""
    rows = [head, ["---"] * len(head), *lines]
    return "\n" + "".join("| " + " | ".join(row) + " |\n" for row in rows)
