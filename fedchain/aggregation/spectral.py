"""Divide and conquer, and CAF: rules that look for the direction in which vectors differ most."""

from __future__ import annotations

from typing import Annotated

import numpy as np
from pydantic import Field

from fedchain.aggregation.rule import Aggregate, Received, Scale, aggregations
from fedchain.aggregation.vectors import Byzantine, First, check_number, combined, mixed_vectors
from fedchain.arrays import Matrix, Vector
from fedchain.ordered import applied, leading_eigenvector, ordered_sum
from fedchain.registry import cites

SHARE = "spectral share"
"""Name of the scores: the share of each vector in the variance along the leading direction."""


@aggregations
@cites("shejwalkar2021")
def dnc(
    received: Received,
    *,
    byzantine: Byzantine = None,
    iterations: Annotated[int, Field(ge=1, le=100)] = 1,
    scale: Scale = "restore",
    first: First = (),
) -> Aggregate:
    """Leave out the vectors that lie farthest along the direction of the largest variance (DnC).

    The score of a vector is its squared projection, less the mean's, on the leading eigenvector of
    the covariance. The f vectors with the largest scores are left out. Of equal scores, the smaller
    message id stays. All coordinates count: the paper draws some at random. One vector that is much
    longer than all others hides them in an iteration; ``scale: median_clip`` leaves no such vector.

    Args:
        received: the messages of the block.
        byzantine: the number f of vectors that may be Byzantine. null: the number of attackers in
            the scenario's attacks.
        iterations: number of times that f vectors are left out; the quorum must be above f times
            this number.
        scale: number that multiplies each direction before vectors are compared. ``restore``: the
            norm of the gradient; ``unit``: 1; ``median_clip``: the norm, but at most the median of
            all norms.
        first: pre-aggregations, in their order.

    Returns:
        The aggregate. Scores are shares of the variance along the first direction.

    Raises:
        ValueError: there are too few vectors for f, or more than 2048 messages.

    Reference:
        Shejwalkar and Houmansadr, Manipulating the Byzantine, NDSS 2021, algorithm 2.

    >>> from fedchain.aggregation.directions import Directions
    >>> rows = Directions.of(2**20 * np.array([[1, 0], [1, 0], [1, 0], [-1, 0]]))
    >>> dnc(Received(rows, np.ones(4), np.ones(4)), byzantine=1).used.tolist()
    [True, True, True, False]
    """
    vectors, few = mixed_vectors(received, scale, first), byzantine or 0
    check_number("dnc", vectors, "byzantine", few, max(2 * few, iterations * few) + 1)
    counts = np.ones(len(vectors))
    shares = spectral_shares(vectors.gram, counts)
    for turn in range(iterations):
        along = shares if turn == 0 else spectral_shares(vectors.gram, counts)
        along = np.where(counts > 0, along, np.inf)
        counts = np.zeros(len(vectors))
        counts[np.argsort(along, kind="stable")[: len(vectors) - (turn + 1) * few]] = 1.0
    reason = "far along the direction of the largest variance"
    return combined(vectors, counts, reason=reason, scores=shares, score=SHARE)


@aggregations
@cites("allouah2025")
def caf(
    received: Received,
    *,
    byzantine: Byzantine = None,
    scale: Scale = "restore",
    first: First = (),
) -> Aggregate:
    """Lower the weights of vectors along the directions of the largest variance (CAF).

    All n vectors begin with the weight 1. While the weights add up to more than n - 2f, each weight
    is multiplied by 1 - t / max(t), where t is the squared projection of the vector, less the
    weighted mean's, on the leading eigenvector of the weighted covariance, and the maximum is over
    vectors whose weight is above 0. The rule returns the mean of the weights whose covariance had
    the smallest leading eigenvalue.

    Args:
        received: the messages of the block.
        byzantine: the number f of vectors that may be Byzantine. The quorum must be above 2f. null:
            the number of attackers in the scenario's attacks.
        scale: number that multiplies each direction before vectors are compared. ``restore``: the
            norm of the gradient; ``unit``: 1; ``median_clip``: the norm, but at most the median of
            all norms.
        first: pre-aggregations, in their order.

    Returns:
        The aggregate. Scores are shares of the variance along the first direction.

    Raises:
        ValueError: there are too few vectors for f, or more than 2048 messages.

    Reference:
        Allouah et al., Towards Trustworthy Federated Learning with Untrusted Participants, ICML
        2025 (covariance-bound agnostic filter).

    >>> from fedchain.aggregation.directions import Directions
    >>> rows = Directions.of(2**20 * np.array([[1, 0], [1, 0], [1, 0], [-1, 0]]))
    >>> caf(Received(rows, np.ones(4), np.ones(4)), byzantine=1).used.tolist()
    [True, True, True, False]
    """
    vectors, few = mixed_vectors(received, scale, first), byzantine or 0
    check_number("caf", vectors, "byzantine", few, 2 * few + 1)
    counts = best = np.ones(len(vectors))
    squares, least = spread_along(vectors.gram, counts)
    shares = _shares(squares, counts)
    while (most := squares[counts > 0].max()) > 0.0:
        counts = counts * np.maximum(1.0 - squares / most, 0.0)
        if ordered_sum(counts) <= len(vectors) - 2 * few:
            break
        squares, value = spread_along(vectors.gram, counts)
        if value < least:
            least, best = value, counts
    reason = "far along a direction of large variance"
    return combined(vectors, best, reason=reason, scores=shares, score=SHARE)


def spread_along(gram: Matrix, counts: Vector) -> tuple[Vector, float]:
    """Return where vectors lie along the leading direction of their covariance.

    Args:
        gram: inner products of the vectors, shape (m, m).
        counts: how much each vector counts in mean and covariance, shape (m,), not all 0.

    Returns:
        The squared projection of each vector, less the mean's, on the leading eigenvector, shape
        (m,); all 0 if the vectors that count are equal. And the leading eigenvalue.

    >>> squares, value = spread_along(np.array([[1.0, -1.0], [-1.0, 1.0]]), np.ones(2))
    >>> squares.tolist(), value
    ([1.0, 1.0], 1.0)
    """
    whole = ordered_sum(counts)
    with_mean = applied(gram, counts / whole)
    square = ordered_sum(counts / whole * with_mean)
    centred = (gram - np.add.outer(with_mean, with_mean)) + square
    roots = np.sqrt(counts)
    vector, value = leading_eigenvector(centred * np.multiply.outer(roots, roots))
    along = applied(centred, roots * vector)
    # The leading direction is the sum of roots x vector over the centred vectors.
    length = float(value) * ordered_sum(vector * vector)
    if length <= 0.0:
        return np.zeros(len(gram)), 0.0
    return along * along / length, float(value) / whole


def spectral_shares(gram: Matrix, counts: Vector) -> Vector:
    """Return each vector's share in the variance along the leading direction, shape (m,).

    Shares of the vectors that count add up to 1; all are 0 if these vectors are equal.
    """
    squares, _ = spread_along(gram, counts)
    return _shares(squares, counts)


def _shares(squares: Vector, counts: Vector) -> Vector:
    whole = ordered_sum(squares * counts)
    return squares / whole if whole > 0.0 else np.zeros_like(squares)
