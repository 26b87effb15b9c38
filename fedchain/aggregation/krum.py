"""Krum: a rule that averages the gradients with the closest neighbours."""

from __future__ import annotations

from typing import Annotated

import numpy as np
import numpy.typing as npt
from pydantic import Field

from fedchain.aggregation.directions import Directions, spread
from fedchain.aggregation.inner_products import agreement_of
from fedchain.aggregation.rule import Aggregate, Received, Scale, aggregations
from fedchain.aggregation.weights import mean_of_used
from fedchain.arrays import ONE, Matrix
from fedchain.registry import AtMost

Whole = npt.NDArray[np.int64]
MOST_MESSAGES = 2**13
"""Largest number of messages in a block. It is limited because every two messages are compared."""
STRIP_ENTRIES = 2**22
"""Number of inner products that are computed at a time."""


@aggregations
def krum(
    received: Received,
    *,
    byzantine: Annotated[
        int, Field(ge=0), AtMost("nodes.asked", "the number of holders or groups asked in a round")
    ],
    keep: Annotated[
        int, Field(ge=1), AtMost("nodes.asked", "the number of holders or groups asked in a round")
    ] = 1,
    scale: Scale = "restore",
) -> Aggregate:
    """Average the gradients whose directions have the closest neighbours.

    Of n messages, f may be Byzantine. The score of a direction is the sum of its squared distances
    to its n - f - 2 nearest neighbours. The rule chooses the directions with the lowest scores.

    Args:
        received: the messages of the block.
        byzantine: the number f of messages that may be Byzantine. The quorum must be above 2f + 2.
        keep: number of directions to choose. Of equal scores, the smaller message id goes first.
            With 1 the rule is Krum, with more it is multi-Krum.
        scale: number that multiplies each chosen direction. ``restore``: the norm of the gradient;
            ``unit``: 1; ``median_clip``: the norm, but at most the median of all norms.

    Raises:
        ValueError: there are too few messages for f, or more than 8192.

    Reference:
        Blanchard et al., Machine Learning with Adversaries, NeurIPS 2017, section 4.

    >>> rows = Directions.of(2**20 * np.array([[1, 0], [1, 0], [0, 1], [-1, 0]]))
    >>> krum(Received(rows, np.ones(4), np.ones(4)), byzantine=0, keep=2).used.tolist()
    [True, True, False, False]
    """
    count = len(received.norms)
    if count <= 2 * byzantine + 2:
        needed = f"byzantine: {byzantine} needs at least {2 * byzantine + 3}"
        raise ValueError(f"krum: got {count} messages; {needed}")
    if count > MOST_MESSAGES:
        raise ValueError(f"krum: got {count} messages; at most {MOST_MESSAGES}")
    agreement, used = agreement_of(received.directions), np.zeros(count, dtype=np.bool_)
    distant = scores(received.directions, agreement.squares.astype(np.int64), byzantine)
    used[np.argsort(distant, kind="stable")[:keep]] = True
    return mean_of_used(
        received,
        used,
        agreement.cosines,
        scale=scale,
        reason="far from its nearest neighbours",
        scores=distant / ONE**2,
        score="Krum score",
    )


def gram(directions: Directions, part: slice = slice(None)) -> Whole:
    """Return the inner products of the rows in ``part`` with all rows, as exact whole numbers.

    >>> gram(Directions.of([[3, 4], [0, 1]])).tolist()
    [[25, 4], [4, 1]]
    """
    # No row has a norm above 2^21, so every partial sum is at most 2^42 and exact in float64.
    shifts = directions.shifts
    shape = len(shifts[part]), len(shifts)

    def work(columns: slice) -> Matrix:
        total = np.zeros(shape)
        for _, block in directions.blocks(columns):
            total += block[part] @ block.T
        return total

    # Each thread allocates an (s, n) matrix, which does not pay for fewer than n columns.
    total: Matrix = sum(spread(directions, work, least=len(shifts)), np.zeros(shape))
    total *= np.multiply.outer(shifts[part], shifts)
    return total.astype(np.int64)


def scores(directions: Directions, squares: Whole, byzantine: int) -> Whole:
    """Return the Krum score of each row as an exact whole number.

    The score is the sum of the squared distances to the n - f - 2 nearest of n rows, where f is
    ``byzantine``. ``squares`` has the squared norms of the rows.

    >>> scores(Directions.of([[5, 0], [0, 1], [0, 2]]), np.array([25, 1, 4]), 0).tolist()
    [26, 1, 1]
    """
    # A squared distance is at most 2^44, so the sum of 2^13 of them stays below 2^63.
    count = len(squares)
    found, kept, height = np.empty(count, np.int64), count - byzantine - 1, STRIP_ENTRIES // count
    for start in range(0, count, height):
        part = slice(start, start + height)
        distances = gram(directions, part)
        distances *= -2
        distances += squares
        distances += squares[part, None]
        distances.partition(kept - 1, axis=1)  # a row's distance to itself, 0, is among the first
        found[part] = distances[:, :kept].sum(axis=1)
    return found
