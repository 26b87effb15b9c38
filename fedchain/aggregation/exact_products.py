"""How every direction lies to the sum of all of them: (14) and (15), exactly.

Why float64 is exact here. The codec lets no row be longer than 2^21, so the sum v of n rows is no
longer than n 2^21, and by Cauchy-Schwarz no partial sum of <q_k, v>, in whatever order, is above
n 2^42: at most 2^53 up to 2048 rows. With more rows v is split as v = 2^16 high + low, whole
numbers with 0 <= low < 2^16. For n <= 2^16 rows and d <= 2^24 columns, where a vector of ones is
no longer than 2^12,

    norm(low)  < 2^16 2^12 = 2^28,                  sums of |q_k low|  stay below 2^49;
    norm(high) <= norm(v) / 2^16 + 2^12 < 2^22,     sums of |q_k high| stay below 2^43.

Both are exact; 2^16 high is a shift; and the one addition of the two rounds once.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from fedchain.aggregation.directions import Directions, spread
from fedchain.arrays import Matrix, Vector

EXACT_ROWS = 2048
"""So many rows need no split of their sum."""
SPLIT = 2.0**16
"""Where the sum of more rows is split."""


@dataclass(frozen=True)
class Agreement:
    """Every row beside the sum v of all rows, in whole numbers."""

    inner: Vector
    """<q_k, v>, shape (n,); rounded once above 2048 rows."""
    squares: Vector
    """<q_k, q_k>, shape (n,)."""

    @property
    def projections(self) -> Vector:
        """<q_k, v> / norm(q_k), shape (n,): the cosine but for norm(v), the same for all.

        An exact integer over a correctly rounded root: the order of two rows is that of all nodes.
        """
        return self.inner / np.sqrt(self.squares)

    @property
    def cosines(self) -> Vector:
        """Cosine of every row with v, shape (n,); zeros if the rows cancel.

        norm(v)^2 is the sum of all <q_k, v>.
        """
        square = math.fsum(self.inner)
        return self.projections / math.sqrt(square) if square > 0 else np.zeros_like(self.inner)


def agreement_of(directions: Directions) -> Agreement:
    """Return how every direction lies to the sum of all of them, in one pass over the columns.

    Args:
        directions: n <= 65,536 rows, none zero, of d <= 2^24 entries.

    Returns:
        Exact inner products and squares: the same for any number of threads.

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
        shifts: what brings each row to exponent 20, (n,).

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
    """Return the agreement whose ``products``, summed over all blocks, are these (3, n)."""
    return Agreement(shares[0] * SPLIT + shares[1], shares[2])
