"""Aggregation rules, in arithmetic that gives every node the same bits.

Directions arrive as integers: row k is 2^20 g_k*, so that its norm is about 2^20. Sums and inner
products of such rows stay below 2^53, where float64 adds and multiplies integers exactly, in any
order and on any library. What is not a sum of integers is element-wise and in row order.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from fedchain.arrays import ONE, Flags, Matrix, Vector
from fedchain.registry import AtMost, Family

Scale = Literal["restore", "unit", "median_clip"]
"""What multiplies a direction in (16): its own s_k, 1, or s_k cut at the median of all s."""

EXACT_ROWS = 2048
"""Inner products with a sum of up to this many rows stay below 2^53: the codec lets no row be
longer than 2^21, so that they are at most rows times 2^42."""


@dataclass(frozen=True)
class Aggregate:
    """What a rule made of the gradients of one round."""

    gradient: Vector
    """The global gradient g, shape (d,)."""
    used: Flags
    """Which rows went into it, shape (n,)."""
    cosines: Vector
    """Cosine of each row with the sum direction (14), shape (n,)."""


Rule = Callable[..., Aggregate]
aggregations: Family[Aggregate] = Family("aggregation", ("fedchain.aggregation",))
"""Part: ``(directions (n, d), norms (n,), *, ...) -> Aggregate``; rows in order of message id."""


@aggregations
def l_nearest(
    directions: Matrix,
    norms: Vector,
    *,
    keep: Annotated[
        int, Field(ge=1), AtMost("nodes.asked", "the number of holders asked in a round")
    ],
    scale: Scale = "restore",
) -> Aggregate:
    """Average the gradients whose directions lie nearest to the sum of all directions.

    v = sum_k g_k*, theta_k = 1 - <g_k*, v> / (norm(g_k*) norm(v)), and
    g = (1/l) sum of s_k g_k* over the l smallest theta_k. Ties go to the smaller message id.

    Args:
        directions: 2^20 g_k*, integers held in float64, shape (n, d).
        norms: s_k, positive, shape (n,).
        keep: l, how many gradients to use; all of them if fewer arrived.
        scale: ``restore`` multiplies by s_k, ``unit`` by 1, ``median_clip`` by
            min(s_k, median s), which bounds what one sender can own.

    Returns:
        The global gradient, which rows it used, and their cosines.

    Reference:
        Chen et al., LearningChain, IEEE Big Data 2018, (14) to (16), reconstructed.

    >>> rows = ONE * np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 0.0]])
    >>> l_nearest(rows, np.ones(3), keep=2).used.tolist()
    [True, False, True]
    """
    projections = projections_on_sum(directions)
    cosines = cosines_of(projections, directions)
    used = np.zeros(len(norms), dtype=np.bool_)
    used[np.argsort(-projections, kind="stable")[:keep]] = True
    gradient = weighted_mean(directions, scaled(norms, scale), used)
    return Aggregate(gradient, used, cosines)


@aggregations
def mean(directions: Matrix, norms: Vector, *, scale: Scale = "restore") -> Aggregate:
    """Average all gradients: no defence, the yardstick of every rule that has one.

    Args:
        directions: 2^20 g_k*, integers held in float64, shape (n, d).
        norms: s_k, positive, shape (n,).
        scale: as in ``l_nearest``.

    Returns:
        The global gradient, with every row used.

    >>> mean(ONE * np.eye(2), np.array([2.0, 4.0])).gradient.tolist()
    [1.0, 2.0]
    """
    used = np.ones(len(norms), dtype=np.bool_)
    gradient = weighted_mean(directions, scaled(norms, scale), used)
    cosines = cosines_of(projections_on_sum(directions), directions)
    return Aggregate(gradient, used, cosines)


def projections_on_sum(directions: Matrix) -> Vector:
    """Return <g_k*, v> / norm(g_k*): the cosine but for norm(v), which is the same for all.

    Each is an exact integer over a correctly rounded root, so that the order is exact too.

    Args:
        directions: integers held in float64, no row zero, shape (n, d).

    Returns:
        Lengths of the projections of v on each row, shape (n,).

    >>> projections_on_sum(np.array([[3.0, 4.0], [0.0, 1.0]])).tolist()
    [5.8, 5.0]
    """
    lengths = np.sqrt(np.einsum("kd,kd->k", directions, directions))
    return np.asarray(_inner_products(directions, directions.sum(axis=0)) / lengths)


def cosines_of(projections: Vector, directions: Matrix) -> Vector:
    """Return the cosine of every row with the sum of all rows; for people, not for consensus.

    Args:
        projections: of the sum on each row, shape (n,).
        directions: integers held in float64, shape (n, d).

    Returns:
        Cosines, shape (n,); zeros if the rows cancel.

    >>> cosines_of(projections_on_sum(ONE * np.eye(2)), ONE * np.eye(2)).round(4).tolist()
    [0.7071, 0.7071]
    """
    length = np.linalg.norm(directions.sum(axis=0))
    return projections / length if length else np.zeros(len(directions))


def scaled(norms: Vector, scale: Scale) -> Vector:
    """Return what multiplies each direction, shape (n,).

    >>> scaled(np.array([1.0, 2.0, 1e9]), "median_clip").tolist()
    [1.0, 2.0, 2.0]
    """
    if scale == "unit":
        return np.ones_like(norms)
    if scale == "median_clip":
        return np.minimum(norms, np.median(norms))
    return norms


def weighted_mean(directions: Matrix, factors: Vector, used: Flags) -> Vector:
    """Return (1/l) sum of factor_k g_k* over the used rows, one rounded operation at a time.

    Args:
        directions: 2^20 g_k*, shape (n, d).
        factors: what multiplies each row, shape (n,).
        used: which rows take part, at least one, shape (n,).

    Returns:
        The mean, shape (d,): the same bits on every library, since each element sees the same
        multiplications and additions in row order, none of them fused.
    """
    total = np.zeros(directions.shape[1])
    term = np.empty_like(total)
    for row in np.flatnonzero(used):
        np.multiply(directions[row], factors[row], out=term)
        total += term
    total /= float(np.count_nonzero(used))
    total /= ONE
    return total


def _inner_products(directions: Matrix, total: Vector) -> Vector:
    if len(directions) <= EXACT_ROWS:
        return np.asarray(directions @ total)
    # Halves of the sum keep both products below 2^53; their one addition rounds once.
    high = np.floor(total / 65536.0)
    return np.asarray((directions @ high) * 65536.0 + directions @ (total - high * 65536.0))
