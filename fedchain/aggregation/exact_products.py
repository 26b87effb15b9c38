"""Exact products: the inner product of every direction with the sum of all, (14) and (15).

Why float64 is exact here: The codec accepts no row with a norm above 2^21, so the norm of the sum v
of n rows is at most n 2^21. By Cauchy-Schwarz, no partial sum of <q_k, v>, in any order, is above
n 2^42, which is at most 2^53 for up to 2048 rows. With more rows v is split as v = 2^16 high + low,
whole numbers with 0 <= low < 2^16. For n <= 2^16 rows and d <= 2^24 columns, where the norm of a
vector of ones is at most 2^12,

    norm(low)  < 2^16 2^12 = 2^28,                  sums of |q_k low|  stay below 2^49;
    norm(high) <= norm(v) / 2^16 + 2^12 < 2^22,     sums of |q_k high| stay below 2^43.

Both sums are exact, and multiplying by 2^16 is a shift. Only the addition of the two rounds, once.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from fedchain.aggregation.directions import Directions, spread
from fedchain.arrays import Matrix, Vector

EXACT_ROWS = 2048
"""Number of rows up to which their sum need not be split."""
SPLIT = 2.0**16
"""The factor at which the sum of more rows is split into high and low."""


@dataclass(frozen=True)
class Agreement:
    """Inner products of every row with the sum v of all rows and with itself, in whole numbers."""

    inner: Vector
    """<q_k, v>, shape (n,); rounded once above 2048 rows."""
    squares: Vector
    """<q_k, q_k>, shape (n,)."""

    @property
    def projections(self) -> Vector:
        """<q_k, v> / norm(q_k), shape (n,): the cosine times norm(v), which is the same for all.

        The division of an exact integer by a correctly rounded root gives every node the same
        bits, so all nodes sort the rows in the same order.
        """
        return self.inner / np.sqrt(self.squares)

    @property
    def cosines(self) -> Vector:
        """Cosine of every row with v, shape (n,); zeros if the rows cancel out.

        norm(v)^2 is the sum of all <q_k, v>.
        """
        square = math.fsum(self.inner)
        return self.projections / math.sqrt(square) if square > 0 else np.zeros_like(self.inner)


def agreement_of(directions: Directions) -> Agreement:
    """Return the inner products of the directions with their sum, in one pass over the columns.

    Args:
        directions: n <= 65,536 rows, none zero, of d <= 2^24 entries.

    Returns:
        Exact inner products and squares, which are the same for any number of threads.

    Reference:
        Chen et al., LearningChain, IEEE Big Data 2018, (14) and (15), reconstructed.

    >>> agreement_of(Directions.of([[3, 4], [0, 1]])).projections.tolist()
    [5.8, 5.0]
    """
    shifts = directions.shifts

    def work(columns: slice) -> Matrix:
        sums = np.zeros((3, len(directions)))
        for _, block in directions.blocks(columns):
            sums += products(block, shifts)
        return sums

    return joined(sum(spread(directions, work), np.zeros((3, len(directions)))))


def products(block: Matrix, shifts: Vector) -> Matrix:
    """Return a block's share of every <q_k, high>, <q_k, low> and <q_k, q_k>, shape (3, n).

    Args:
        block: whole numbers as they were sent, (n, b).
        shifts: the factor that brings each row to exponent 20, (n,).

    >>> products(np.array([[3.0, 4.0], [0.0, 1.0]]), np.array([1.0, 2.0])).tolist()
    [[0.0, 0.0], [33.0, 12.0], [25.0, 4.0]]
    """
    shares = np.zeros((3, len(block)))
    low = shifts @ block
    if len(block) > EXACT_ROWS:
        high = np.floor(low / SPLIT)
        low -= high * SPLIT
        shares[0] = block @ high
    shares[1] = block @ low
    shares[2] = np.vecdot(block, block) * shifts
    return np.asarray(shares * shifts)


def joined(shares: Matrix) -> Agreement:
    """Return the agreement from ``products`` that were summed over all blocks, (3, n)."""
    return Agreement(shares[0] * SPLIT + shares[1], shares[2])
