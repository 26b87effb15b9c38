"""Krum: a rule that averages the gradients with the closest neighbours."""

from __future__ import annotations

from typing import Annotated

import numpy as np
import numpy.typing as npt
from pydantic import Field

from fedchain.aggregation.directions import Directions, gram
from fedchain.aggregation.inner_products import agreement_of
from fedchain.aggregation.rule import Aggregate, Received, Scale, aggregations
from fedchain.aggregation.vectors import (
    Byzantine,
    First,
    Vectors,
    check_number,
    combined,
    directions_between,
    mixed_vectors,
)
from fedchain.arrays import ONE, Matrix
from fedchain.ordered import applied
from fedchain.registry import AtMost, cites

Whole = npt.NDArray[np.int64]
MOST_MESSAGES = 2**13
"""Largest number of messages in a block. It is limited because every two messages are compared."""
STRIP_ENTRIES = 2**22
"""Number of inner products that are computed at a time."""


@aggregations
@cites("blanchard2017")
def krum(
    received: Received,
    *,
    byzantine: Byzantine = None,
    keep: Annotated[
        int, Field(ge=1), AtMost("nodes.asked", "the number of holders or groups asked in a round")
    ] = 1,
    scale: Scale = "restore",
    first: First = (),
) -> Aggregate:
    """Average the gradients whose directions have the closest neighbours.

    Of n messages, f may be Byzantine. The score of a direction is the sum of its squared distances
    to its n - f - 2 nearest neighbours. The rule chooses the directions with the lowest scores.

    Args:
        received: the messages of the block.
        byzantine: the number f of messages that may be Byzantine. The quorum must be above 2f + 2.
            null: the number of attackers in the scenario's attacks.
        keep: number of directions to choose. Of equal scores, the smaller message id goes first.
            With 1 the rule is Krum, with more it is multi-Krum.
        scale: number that multiplies each chosen direction. ``restore``: the norm of the gradient;
            ``unit``: 1; ``median_clip``: the norm, but at most the median of all norms.
        first: pre-aggregations, in their order. The directions of the mixed vectors are compared.

    Raises:
        ValueError: there are too few messages for f, or more than 8192.

    Reference:
        Blanchard et al., Machine Learning with Adversaries, NeurIPS 2017, section 4.

    >>> rows = Directions.of(2**20 * np.array([[1, 0], [1, 0], [0, 1], [-1, 0]]))
    >>> krum(Received(rows, np.ones(4), np.ones(4)), byzantine=0, keep=2).used.tolist()
    [True, True, False, False]
    """
    vectors, few = mixed_vectors(received, scale, first), byzantine or 0
    check_number("krum", vectors, "byzantine", few, 2 * few + 3)
    if len(received.norms) > MOST_MESSAGES:
        raise ValueError(f"krum: got {len(received.norms)} messages; at most {MOST_MESSAGES}")
    if first:
        ordered = np.sort(squared_distances(vectors), axis=1)[:, 1 : len(vectors) - few - 1]
        distant = applied(ordered, np.ones(ordered.shape[1]))
    else:
        squares = agreement_of(received.directions).squares.astype(np.int64)
        distant = scores(received.directions, squares, few) / ONE**2
    counts = np.zeros(len(vectors))
    counts[np.argsort(distant, kind="stable")[:keep]] = 1.0
    reason = "far from its nearest neighbours"
    return combined(vectors, counts, reason=reason, scores=distant, score="Krum score")


def squared_distances(vectors: Vectors) -> Matrix:
    """Return the squared distances of the directions of all vectors, shape (m, m)."""
    if vectors.mix is None:
        exact = vectors.received.directions.gram
        lengths = exact.diagonal()
        return (np.add.outer(lengths, lengths) - 2 * exact) / ONE**2
    cosines = directions_between(vectors)
    squares = cosines.diagonal()  # 1, or 0 for a vector of zeros
    return np.maximum(np.add.outer(squares, squares) - 2.0 * cosines, 0.0)


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
        distances = directions.gram * -2 if height >= count else gram(directions, part) * -2
        distances += squares
        distances += squares[part, None]
        distances.partition(kept - 1, axis=1)  # a row's distance to itself, 0, is among the first
        found[part] = distances[:, :kept].sum(axis=1)
    return found
