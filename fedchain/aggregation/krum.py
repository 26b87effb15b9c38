"""Krum: a rule that averages the gradients with the closest neighbours."""

from __future__ import annotations

from typing import Annotated

import numpy as np
import numpy.typing as npt
from pydantic import Field

from fedchain.aggregation.directions import Directions, agreement_of, spread
from fedchain.aggregation.rule import Aggregate, Received, Scale, aggregations
from fedchain.aggregation.weights import mean_of_used
from fedchain.arrays import Matrix
from fedchain.registry import AtMost

Whole = npt.NDArray[np.int64]
MOST_MESSAGES = 2**13
"""Most messages of a block: every two of them are compared."""
STRIP_ENTRIES = 2**22
"""Number of inner products that are made at a time."""


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
    to its n - f - 2 nearest neighbours. The directions with the lowest scores are chosen. The
    distances are between unit vectors: a direction is multiplied by its norm s_k only if chosen.
    The direction of a gradient that is zero is zero, at distance 1 from every unit vector.

    Args:
        received: the n messages.
        byzantine: the number f of messages that may be Byzantine; n must be above 2f + 2, even if
            only the quorum (the fewest messages of a block) has arrived.
        keep: the number m of directions to choose. Of equal scores, the smaller message id goes
            first. With m = 1 the rule is Krum, with more it is multi-Krum.
        scale: the factor of each direction: ``restore`` takes its norm s_k, ``unit`` takes 1,
            ``median_clip`` takes the smaller of s_k and the median norm.

    Returns:
        The aggregate; a message's share is 1/m if it is chosen, and 0 otherwise.

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
    reason = "far from its nearest neighbours"
    return mean_of_used(received, used, agreement.cosines, scale=scale, reason=reason)


def gram(directions: Directions, part: slice = slice(None)) -> Whole:
    """Return the exact inner products of the s rows of a part with all n rows, shape (s, n).

    No row has a norm above 2^21, so every partial sum is at most 2^42 and exact in float64.

    >>> gram(Directions.of([[3, 4], [0, 1]])).tolist()
    [[25, 4], [4, 1]]
    """
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
    """Return each row's sum of squared distances to its n - f - 2 nearest rows, shape (n,).

    The scores are exact whole numbers: a squared distance is at most 2^44, so the sum of 2^13 of
    them stays below 2^63. Never are more than about 2^22 distances in memory.

    Args:
        directions: the n directions.
        squares: <r_k, r_k> of each row, shape (n,).
        byzantine: the number f of messages that may be Byzantine.

    >>> scores(Directions.of([[5, 0], [0, 1], [0, 2]]), np.array([25, 1, 4]), 0).tolist()
    [26, 1, 1]
    """
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
