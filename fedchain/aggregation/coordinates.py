"""Rules that treat every coordinate by itself: trimmed mean and median."""

from __future__ import annotations

from typing import Annotated

import numpy as np
from pydantic import Field

from fedchain.aggregation.agreement import joined, products
from fedchain.aggregation.rule import Aggregate, Scale, aggregations, scaled
from fedchain.arrays import ONE, Flags, Matrix, Vector
from fedchain.directions import Directions, spread
from fedchain.registry import AtMost


@aggregations
def trimmed_mean(
    directions: Directions,
    norms: Vector,
    *,
    trim: Annotated[
        int, Field(ge=0), AtMost("nodes.asked", "the number of holders or groups asked in a round")
    ],
    scale: Scale = "restore",
) -> Aggregate:
    """Average every coordinate without its smallest and its largest values.

    Of the n values s_k g_k* of a coordinate the ``trim`` smallest and the ``trim`` largest are
    left out; the others are added from the smallest to the largest.

    Args:
        directions: g_k* as they were sent, n of them.
        norms: s_k, positive, shape (n,).
        trim: how many values to leave out at each side; needs n > 2 trim, at the quorum too.
        scale: as in ``l_nearest``; comes before the sorting.

    Returns:
        The global gradient, the rows with a value among those kept in some coordinate, and
        the cosines of all rows with their sum.

    Raises:
        ValueError: too few messages to trim.

    Reference:
        Yin et al., Byzantine-Robust Distributed Learning, ICML 2018, definition 2.

    >>> rows = Directions.of(2**20 * np.array([[1], [1], [1], [-1]]))
    >>> trimmed_mean(rows, np.array([1.0, 2.0, 6.0, 9.0]), trim=1).gradient.tolist()
    [1.5]
    """
    if len(norms) <= 2 * trim:
        needed = f"trim: {trim} needs at least {2 * trim + 1}"
        raise ValueError(f"trimmed_mean: got {len(norms)} messages; {needed}")
    return _between(directions, scaled(norms, scale), trim)


@aggregations
def median(directions: Directions, norms: Vector, *, scale: Scale = "restore") -> Aggregate:
    """Take the median of every coordinate.

    Of an even number of values it is the mean of the two in the middle.

    Args:
        directions: g_k* as they were sent, n of them.
        norms: s_k, positive, shape (n,).
        scale: as in ``l_nearest``; comes before the sorting.

    Returns:
        The global gradient, the rows that are the median (or one of the two) in some
        coordinate, and the cosines of all rows with their sum.

    Reference:
        Yin et al., Byzantine-Robust Distributed Learning, ICML 2018, definition 1.

    >>> rows = Directions.of(2**20 * np.array([[1], [1], [-1]]))
    >>> median(rows, np.array([2.0, 5.0, 9.0])).gradient.tolist()
    [2.0]
    """
    return _between(directions, scaled(norms, scale), (len(norms) - 1) // 2)


def _between(directions: Directions, factors: Vector, trim: int) -> Aggregate:
    gradient, shifts = np.empty(directions.dimension), directions.shifts
    scales = factors * shifts  # rounds nothing: shifts are powers of two

    def work(columns: slice) -> tuple[Matrix, Flags]:
        sums, used = np.zeros((3, len(factors))), np.zeros(len(factors), dtype=np.bool_)
        for part, block in directions.blocks(columns):
            sums += products(block, shifts)
            block *= scales[:, None]
            middle = _sorted_columns(block)[:, trim : len(factors) - trim]
            gradient[part] = _means(middle)
            used |= _among(block, middle, used)
        return sums, used

    shares = spread(directions, work)
    used = np.any([flags for _, flags in shares], axis=0)
    agreement = joined(np.sum([sums for sums, _ in shares], axis=0))
    return Aggregate(gradient, used, agreement.cosines)


def _sorted_columns(values: Matrix) -> Matrix:
    ordered = np.array(values.T, order="C")
    ordered.sort(axis=1)
    return ordered


def _means(middle: Matrix) -> Vector:
    total = np.zeros(len(middle))
    for column in middle.T:
        total += column
    total /= float(middle.shape[1])
    total /= ONE
    return total


def _among(values: Matrix, middle: Matrix, used: Flags) -> Flags:
    found = used.copy()
    for row in np.flatnonzero(~used):  # after the first piece, few are left
        mine = values[row]
        found[row] = np.any((middle[:, 0] <= mine) & (mine <= middle[:, -1]))
    return found
