"""Inner products of directions with their sum, and with given points; all of them are exact."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from fedchain.aggregation.directions import Directions, spread
from fedchain.arrays import Matrix, Vector
from fedchain.native.loading import library

EXACT_ROWS = 2048
"""Largest number of rows whose inner products with the sum of all rows are exact in float64."""
SPLIT = 2.0**16
"""The sum of many rows is split into two vectors of whole numbers: sum = SPLIT high + low."""


@dataclass(frozen=True)
class Agreement:
    """Inner products and cosines of n rows with the sum of all rows."""

    inner: Vector
    """Inner product of each row with the sum, shape (n,): exact whole numbers for up to 2048 rows.
    With more rows, each number is rounded once."""
    squares: Vector
    """Squared norm of each row, shape (n,): exact whole numbers."""
    projections: Vector
    """Inner product of each row with the sum, divided by the norm of the row, shape (n,); 0 for a
    row of zeros. These numbers have the same bits on every node."""
    cosines: Vector
    """Cosine of each row with the sum, shape (n,); 0 for a row of zeros, and all 0 if the sum is
    zero."""


def agreement_of(directions: Directions) -> Agreement:
    """Return the inner products and cosines of all directions with their sum.

    Args:
        directions: at most 65,536 rows of at most 2^24 entries.

    Reference:
        Chen et al., LearningChain, IEEE Big Data 2018, (14) and (15), reconstructed.

    >>> agreement_of(Directions.of([[3, 4], [0, 1]])).projections.tolist()
    [5.8, 5.0]
    """
    shifts, count = directions.shifts, len(directions)
    kernels, addresses = library(), directions.addresses

    def work(columns: slice) -> Matrix:
        sums = np.zeros((3, count))
        if kernels is not None and addresses is not None and count <= EXACT_ROWS:
            size, ends = directions.integers[0].itemsize, (columns.start, columns.stop)
            kernels.inner_products(addresses, shifts, count, size, *ends, sums[1], sums[2])
            sums[2] *= shifts
            sums *= shifts
            return sums
        for _, block in directions.blocks(columns):
            sums += products(block, shifts)
        return sums

    high, low, squares = sum(spread(directions, work), np.zeros((3, count)))
    return agreement_from(high * SPLIT + low, squares)


def products(block: Matrix, shifts: Vector) -> Matrix:
    """Return what a block of columns adds to three inner products of each row, shape (3, n).

    The sum of all n rows is SPLIT high + low, where high is 0 unless n is above EXACT_ROWS. The
    three inner products of a row are those with high, with low, and with the row itself. ``block``
    holds the integers of all messages, shape (n, columns).

    >>> products(np.array([[3.0, 4.0], [0.0, 1.0]]), np.array([1.0, 2.0])).tolist()
    [[0.0, 0.0], [33.0, 12.0], [25.0, 4.0]]
    """
    # The inner products are exact in float64. The codec accepts no row with a norm above 2^21, so
    # norm(v) is at most n 2^21. By Cauchy-Schwarz, no partial sum of <r_k, v>, in any order, is
    # above n 2^42, which is at most 2^53 for n <= 2048 rows. With more rows v is split, with
    # 0 <= low < 2^16. For n <= 2^16 rows and d <= 2^24 columns, the norm of a vector of ones is at
    # most 2^12, so
    #     norm(low)  < 2^16 2^12 = 2^28,                sums of |r_k low|  stay below 2^49;
    #     norm(high) <= norm(v) / 2^16 + 2^12 < 2^22,   sums of |r_k high| stay below 2^43.
    # Multiplying by 2^16 is exact too. Only adding the two sums rounds, once.
    shares = np.zeros((3, len(block)))
    low = shifts @ block
    if len(block) > EXACT_ROWS:
        high = np.floor(low / SPLIT)
        low -= high * SPLIT
        shares[0] = block @ high
    shares[1] = block @ low
    shares[2] = np.vecdot(block, block) * shifts
    return np.asarray(shares * shifts)


def agreement_from(inner: Vector, squares: Vector) -> Agreement:
    """Return the agreement of rows with their sum.

    ``inner`` has the inner product of each row with the sum, and ``squares`` the squared norm of
    each row.
    """
    # The inner product is exact, and root and division round correctly: the same bits everywhere.
    projections = np.zeros_like(inner)
    np.divide(inner, np.sqrt(squares), out=projections, where=squares > 0)
    square = math.fsum(inner)
    # norm(v)^2 is the sum of all <r_k, v>.
    cosines = projections / math.sqrt(square) if square > 0 else np.zeros_like(inner)
    return Agreement(inner, squares, projections, cosines)


def inner_with(directions: Directions, point: Vector) -> Vector:
    """Return the inner product of each row with a point, with the same bits on every node.

    Args:
        directions: at most 65,536 rows of at most 2^24 entries.
        point: 2^20 times the point, rounded to whole numbers; the norm is below 2^47.

    Returns:
        The inner products, one for each row.

    Raises:
        ValueError: an entry of the point is not a whole number, or the norm is too large.

    >>> inner_with(Directions.of([[3, 4], [0, 1]]), np.array([10.0, -1.0])).tolist()
    [26.0, -1.0]
    """
    if not (np.rint(point) == point).all() or not math.fsum(point * point) < 2.0**94:
        raise ValueError("point: must be whole numbers with a norm below 2^47; round 2^20 p")
    # The inner products with both halves are exact: rows are short (at most 2^21), norm(low) is at
    # most 2^28 and norm(high) 2^32, so no partial sum exceeds 2^53. Only adding the two rounds.
    high = np.floor(point / SPLIT)
    halves = np.stack([high, point - high * SPLIT], axis=1)

    def work(columns: slice) -> Matrix:
        sums = np.zeros((len(directions), 2))
        for part, block in directions.blocks(columns):
            sums += block @ halves[part]
        return sums

    sums = sum(spread(directions, work), np.zeros((len(directions), 2))).T * directions.shifts
    return np.asarray(sums[0] * SPLIT + sums[1])
