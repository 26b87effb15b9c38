"""Breaking points: the share of attackers at which a rule breaks, measured and in closed form."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from fedchain.reports.study import finite_value

SHARES = ("share", "count")
"""The last parts of grid keys that say how many holders attack."""


def is_attackers(key: str) -> bool:
    """Return whether a grid key says how many holders attack.

    >>> is_attackers("attacks[0].share"), is_attackers("attacks[0].z"), is_attackers("rounds")
    (True, False, False)
    """
    family, _, last = key.partition(".")
    return family.startswith("attacks[") and last in SHARES


def rho_of(cosines: Sequence[float]) -> float:
    """Return the cosine of an honest direction with the true mean, from one round's cosines.

    The sum S of n unit directions h has the length sum_i cos(h_i, S). If each direction has the
    cosine rho with the mean, and the rest of it is noise, S has the squared length
    n + n (n - 1) rho^2 in expectation.

    Args:
        cosines: the cosine of each direction with the sum of all, at least two.

    >>> round(rho_of([1.0, 1.0, 1.0]), 6), rho_of([0.5, 0.5, 0.5])
    (1.0, 0.0)
    """
    count, length = len(cosines), math.fsum(cosines)
    return math.sqrt(max(0.0, (length**2 - count) / (count * (count - 1))))


def rho_of_messages(messages: Iterable[Mapping[str, Any]]) -> float | None:
    """Return the mean of ``rho_of`` over a run's blocks; None without blocks of two messages.

    The messages of the run must be honest.
    """
    cosines: dict[str, list[float]] = {}
    for row in messages:
        if not row["late"] and (cosine := finite_value(row, "cosine")) is not None:
            cosines.setdefault(str(row["block"]), []).append(cosine)
    found = [rho_of(each) for each in cosines.values() if len(each) > 1]
    return statistics.fmean(found) if found else None


def breaking_share(rho: float, holders: int, *, orthogonal: bool = False) -> float:
    """Return the share of colluders above which they rank before all honest holders.

    This is the closed form for l-nearest if the directions of honest holders have the cosine rho
    with their mean, and all colluders send one direction. f colluders among n - f honest holders
    then win if f > 1 + (n - f - 1) rho for the opposite of the mean, and if
    f > 1 + (n - f - 1) rho^2 for a direction that is orthogonal to the mean.

    Args:
        rho: cosine of an honest direction with the mean, 0 to 1.
        holders: number n of all holders, colluders included.
        orthogonal: whether the colluders' direction is orthogonal to the mean.

    >>> breaking_share(0.0, 20), round(breaking_share(1.0, 20), 3)
    (0.05, 0.5)
    >>> round(20 * breaking_share(0.3, 20, orthogonal=True), 2)
    2.49
    """
    pull = rho**2 if orthogonal else rho
    return (1.0 + (holders - 1) * pull) / (1.0 + pull) / holders


def crossing(shares: Sequence[float], values: Sequence[float], bound: float) -> float:
    """Return the first share at which a value, linear between its points, falls below a bound.

    Args:
        shares: increasing numbers.
        values: the value at each share; NaN: not measured.
        bound: the bound.

    Returns:
        NaN if no value is below the bound.

    >>> crossing([0.0, 0.2, 0.4], [0.9, 0.8, 0.2], 0.5), crossing([0.0, 0.2], [0.9, 0.8], 0.5)
    (0.3, nan)
    """
    before: tuple[float, float] | None = None
    for share, value in zip(shares, values, strict=True):
        if value < bound:
            if before is None:
                return share
            step = (before[1] - bound) / (before[1] - value)
            return round(before[0] + step * (share - before[0]), 12)
        if not math.isnan(value):
            before = share, value
    return math.nan
