"""Aggregation rules: the family that lists them, their result, and the mean of chosen messages."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from fedchain.aggregation.directions import Directions, spread
from fedchain.arrays import ONE, Flags, Vector, misshapen
from fedchain.registry import Family

Scale = Literal["restore", "unit", "median_clip"]
"""How a rule scales each direction: by its norm s_k, by 1, or by s_k cut at the median norm."""

STRIP = 32_768
"""Number of columns that are averaged at a time; they fit into the processor's cache."""


@dataclass(frozen=True)
class Aggregate:
    """The result of a rule: the global gradient, and the share of each message in it."""

    gradient: Vector
    """The global gradient g, shape (d,)."""
    cosines: Vector
    """Cosine of each direction with the sum of all directions, shape (n,)."""
    shares: Vector
    """The share of each message in the gradient, 0 or more, shape (n,).

    In a mean of l messages the share of each is 1/l, whatever its norm.
    """
    reasons: tuple[str, ...]
    """One text for each message: why its share is 0; empty if its share is above 0."""

    @property
    def used(self) -> Flags:
        """Which messages have a share above 0, shape (n,)."""
        return self.shares > 0


def _flaw(made: Aggregate, directions: Directions, *_: object) -> str | None:
    rows, columns = len(directions), directions.dimension
    shape = (
        misshapen("gradient", made.gradient, (columns,), "float64")
        or misshapen("cosines", made.cosines, (rows,), "float64")
        or misshapen("shares", made.shares, (rows,), "float64")
    )
    if shape:
        return shape
    if not (np.isfinite(made.shares).all() and (made.shares >= 0).all()):
        return f"shares must be numbers of 0 or more, got {made.shares.min():g} among them"
    if not isinstance(made.reasons, tuple) or len(made.reasons) != rows:
        return f"reasons must be a tuple of {rows} texts, got {made.reasons!r}"
    for row, (reason, share) in enumerate(zip(made.reasons, made.shares, strict=True)):
        if not isinstance(reason, str) or (share > 0) == (reason != ""):
            wanted = "must be empty" if share > 0 else "must say why nothing was taken"
            return f"reasons: row {row} has share {share:g}: its reason {wanted}, got {reason!r}"
    return None


aggregations: Family[Aggregate] = Family("aggregation", ("fedchain.aggregation",), Aggregate, _flaw)
"""The family of aggregation rules. Each rule is a function
``(directions, norms (n,), *, ...) -> Aggregate``; directions and norms are in order of message id.
"""


def scaled(norms: Vector, scale: Scale) -> Vector:
    """Return the factor of each direction, shape (n,), from the norm of each message.

    >>> scaled(np.array([1.0, 2.0, 1e9]), "median_clip").tolist()
    [1.0, 2.0, 2.0]
    """
    if scale == "unit":
        return np.ones_like(norms)
    if scale == "median_clip":
        return np.minimum(norms, np.median(norms))
    return norms


def reasons_for(shares: Vector, reason: str) -> tuple[str, ...]:
    """Return the reason for each message whose share is 0, and an empty text for the others.

    >>> reasons_for(np.array([0.5, 0.0, 0.5]), "far from the sum")
    ('', 'far from the sum', '')
    """
    return tuple("" if share > 0 else reason for share in shares)


def weighted_mean(directions: Directions, factors: Vector, used: Flags) -> Vector:
    """Return the mean of the used directions g_k*, each multiplied by its factor.

    Args:
        directions: the n directions g_k*.
        factors: the factor of each direction, shape (n,).
        used: which directions to average, at least one, shape (n,).

    Returns:
        The mean, shape (d,). Every library gives the same bits, because the multiplications and
        additions of each element have a fixed order, and each of them rounds separately.

    >>> rows = Directions.of(2**20 * np.eye(2))
    >>> weighted_mean(rows, np.array([2.0, 4.0]), np.array([True, True])).tolist()
    [1.0, 2.0]
    """
    total = np.zeros(directions.dimension)
    # Multiplying by a power of two only changes the exponent, so doing it first rounds nothing.
    shifted = directions.shifts * factors
    rows = [(directions.integers[k], shifted[k]) for k in np.flatnonzero(used)]
    parts = float(len(rows)) * ONE

    def work(columns: slice) -> None:
        room = np.empty(STRIP)
        for start in range(columns.start, columns.stop, STRIP):
            part = slice(start, min(start + STRIP, columns.stop))
            strip, term = total[part], room[: part.stop - start]
            for row, factor in rows:
                term[:] = row[part]
                term *= factor
                strip += term
            strip /= parts

    spread(directions, work)
    return total


def mean_of_used(
    directions: Directions, norms: Vector, scale: Scale, used: Flags, cosines: Vector, reason: str
) -> Aggregate:
    """Return the mean of the l messages that a rule has chosen, each with the share 1/l.

    Args:
        directions: the n directions g_k*.
        norms: the norm s_k of each message, positive, shape (n,).
        scale: the factor of each direction.
        used: which messages are chosen, at least one, shape (n,).
        cosines: cosine of each direction with the sum of all directions, shape (n,).
        reason: why the other messages were not chosen.

    >>> rows, norms = Directions.of(2**20 * np.eye(2)), np.array([2.0, 4.0])
    >>> mean_of_used(rows, norms, "restore", norms > 3.0, np.ones(2), "is small").shares.tolist()
    [0.0, 1.0]
    """
    gradient = weighted_mean(directions, scaled(norms, scale), used)
    shares = used / int(np.count_nonzero(used))
    return Aggregate(gradient, cosines, shares, reasons_for(shares, reason))
