"""Trimmed mean and median: rules that treat every coordinate by itself."""

from __future__ import annotations

from typing import Annotated

import numpy as np
from pydantic import Field

from fedchain.aggregation.directions import Directions, spread
from fedchain.aggregation.exact_products import joined, products
from fedchain.aggregation.rule import Aggregate, Scale, aggregations, reasons_for, scaled
from fedchain.arrays import ONE, Matrix, Vector
from fedchain.registry import AtMost

COUNTED = 256
"""Most coordinates in which it is counted whose values were taken: to count all of them would cost
more than the rule itself."""


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
        The global gradient, the cosines of all rows with their sum, and the share of each row
        in the values that were kept, counted in at most 256 coordinates.

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
    reason = f"among the {trim} smallest or largest values of every coordinate counted"
    return _between(directions, scaled(norms, scale), trim, reason)


@aggregations
def median(directions: Directions, norms: Vector, *, scale: Scale = "restore") -> Aggregate:
    """Take the median of every coordinate.

    Of an even number of values it is the mean of the two in the middle.

    Args:
        directions: g_k* as they were sent, n of them.
        norms: s_k, positive, shape (n,).
        scale: as in ``l_nearest``; comes before the sorting.

    Returns:
        The global gradient, the cosines of all rows with their sum, and the share of
        coordinates in which each row is the median (half where it is one of two), counted in
        at most 256 of them.

    Reference:
        Yin et al., Byzantine-Robust Distributed Learning, ICML 2018, definition 1.

    >>> rows = Directions.of(2**20 * np.array([[1], [1], [-1]]))
    >>> median(rows, np.array([2.0, 5.0, 9.0])).gradient.tolist()
    [2.0]
    """
    reason = "the median of no coordinate counted"
    return _between(directions, scaled(norms, scale), (len(norms) - 1) // 2, reason)


def _between(directions: Directions, factors: Vector, trim: int, reason: str) -> Aggregate:
    gradient, shifts = np.empty(directions.dimension), directions.shifts
    scales = factors * shifts  # rounds nothing: shifts are powers of two

    def work(columns: slice) -> Matrix:
        sums = np.zeros((3, len(factors)))
        for part, block in directions.blocks(columns):
            sums += products(block, shifts)
            block *= scales[:, None]
            middle = _sorted_columns(block)[:, trim : len(factors) - trim]
            gradient[part] = _means(middle)
        return sums

    agreement = joined(np.sum(spread(directions, work), axis=0))
    shares = _kept_shares(directions, scales, trim)
    return Aggregate(gradient, agreement.cosines, shares, reasons_for(shares, reason))


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


def _kept_shares(directions: Directions, scales: Vector, trim: int) -> Vector:
    """Return each row's share in the values between the trimmed ones, (n,), over some columns.

    The columns stand at even distances, so that the count is the same on every machine.
    """
    stride = -(-directions.dimension // COUNTED)
    values = np.stack([row[::stride] for row in directions.integers]) * scales[:, None]
    kept = np.argsort(values, axis=0, kind="stable")[trim : len(scales) - trim]
    return np.bincount(kept.ravel(), minlength=len(scales)) / kept.size
