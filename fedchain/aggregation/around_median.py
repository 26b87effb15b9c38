"""Mean around the median, and Bulyan, which takes it of the vectors that Krum chooses."""

from __future__ import annotations

import numpy as np

from fedchain.aggregation.coordinates import COUNTED_COLUMNS
from fedchain.aggregation.directions import spread
from fedchain.aggregation.inner_products import agreement_of
from fedchain.aggregation.krum import squared_distances
from fedchain.aggregation.rule import (
    NO_SCORES,
    Aggregate,
    Received,
    Scale,
    aggregations,
    reasons_for,
)
from fedchain.aggregation.vectors import Byzantine, First, Vectors, check_number, mixed_vectors
from fedchain.arrays import ONE, Matrix, Vector, Wholes
from fedchain.ordered import applied
from fedchain.registry import cites


@aggregations
@cites("xie2018")
def mean_around_median(
    received: Received,
    *,
    byzantine: Byzantine = None,
    scale: Scale = "restore",
    first: First = (),
) -> Aggregate:
    """Average, in every coordinate, the values nearest to the median.

    Of n values, the n - f nearest to the median are averaged. Of equal distances, the smaller value
    goes first.

    Args:
        received: the messages of the block.
        byzantine: the number f of vectors that may be Byzantine. The quorum must be above 2f. null:
            the number of attackers in the scenario's attacks.
        scale: number that multiplies each direction before the values are compared. ``restore``:
            the norm of the gradient; ``unit``: 1; ``median_clip``: the norm, but at most the median
            of all norms.
        first: pre-aggregations, in their order.

    Returns:
        The aggregate. The share of a message is its fraction of the averaged values, counted in at
        most 256 coordinates.

    Raises:
        ValueError: there are too few vectors for f.

    Reference:
        Xie, Koyejo and Gupta, Generalized Byzantine-tolerant SGD, 2018, definition 4.

    >>> from fedchain.aggregation.directions import Directions
    >>> rows = Directions.of(2**20 * np.array([[1], [1], [1], [-1]]))
    >>> four = Received(rows, np.array([1.0, 2.0, 6.0, 9.0]), np.ones(4))
    >>> mean_around_median(four, byzantine=1).gradient.tolist()
    [3.0]
    """
    vectors, few = mixed_vectors(received, scale, first), byzantine or 0
    check_number("mean_around_median", vectors, "byzantine", few, 2 * few + 1)
    chosen = np.arange(len(vectors))
    reason = "nearest to the median in no coordinate counted"
    return _averaged(vectors, chosen, len(vectors) - few, reason)


@aggregations
@cites("elmhamdi2018")
def bulyan(
    received: Received,
    *,
    byzantine: Byzantine = None,
    scale: Scale = "restore",
    first: First = (),
) -> Aggregate:
    """Choose vectors by Krum one after the other, and average their values nearest to the median.

    Of n vectors, f may be Byzantine. Krum chooses n - 2f of them: each time among those that are
    left, with the sum of squared distances of directions to the r - f - 2 nearest of r vectors that
    are left, but at least one. Then in every coordinate the n - 4f values nearest to the median of
    the chosen are averaged.

    Args:
        received: the messages of the block.
        byzantine: the number f of vectors that may be Byzantine. The quorum must be at least 4f +
            3. null: the number of attackers in the scenario's attacks.
        scale: number that multiplies each direction before the values are compared. ``restore``:
            the norm of the gradient; ``unit``: 1; ``median_clip``: the norm, but at most the median
            of all norms.
        first: pre-aggregations, in their order.

    Returns:
        The aggregate. Scores are those of Krum when all vectors are left. The share of a message is
        its fraction of the averaged values, counted in at most 256 coordinates.

    Raises:
        ValueError: there are too few vectors for f, or more than 2048 messages.

    Reference:
        El Mhamdi, Guerraoui and Rouault, The Hidden Vulnerability of Distributed Learning in
        Byzantium, ICML 2018, algorithm 2.

    >>> from fedchain.aggregation.directions import Directions
    >>> rows = Directions.of(2**20 * np.array([[1]] * 6 + [[-1]]))
    >>> bulyan(Received(rows, np.ones(7), np.ones(7)), byzantine=1).gradient.tolist()
    [1.0]
    """
    vectors, few = mixed_vectors(received, scale, first), byzantine or 0
    check_number("bulyan", vectors, "byzantine", few, 4 * few + 3)
    distances = squared_distances(vectors)
    left, chosen, scores = np.arange(len(vectors)), list[int](), NO_SCORES
    for _ in range(len(vectors) - 2 * few):
        found = _krum_scores(distances[np.ix_(left, left)], few)
        scores = scores if len(scores) else found
        place = int(found.argmin())
        chosen.append(int(left[place]))
        left = np.delete(left, place)
    picked = np.array(sorted(chosen))
    reason = "not chosen by Krum, or nearest to the median in no coordinate counted"
    return _averaged(vectors, picked, len(picked) - 2 * few, reason, scores)


def _krum_scores(distances: Matrix, few: int) -> Vector:
    """Return the sum of each vector's smallest squared distances to other vectors."""
    count = len(distances)
    if count == 1:
        return np.zeros(1)
    number = min(max(count - few - 2, 1), count - 1)
    ordered = np.sort(distances, axis=1)[:, 1 : number + 1]  # the distance to itself goes first
    return applied(ordered, np.ones(number))


def _averaged(
    vectors: Vectors, chosen: Wholes, kept: int, reason: str, scores: Vector = NO_SCORES
) -> Aggregate:
    """Average, in every coordinate, some values of the chosen vectors nearest to their median."""
    directions = vectors.received.directions
    gradient = np.empty(directions.dimension)

    def work(columns: slice) -> None:
        for part, block in vectors.blocks(columns):
            gradient[part] = mean_of_nearest(block[chosen], kept)[0] / ONE

    spread(directions, work)
    parts = np.zeros(len(vectors))
    parts[chosen] = _taken(vectors, chosen, kept)
    shares = parts if vectors.taken is None else applied(vectors.taken.T, parts)
    cosines, reasons = agreement_of(directions).cosines, reasons_for(shares, reason)
    told, name = vectors.of_messages(scores), "Krum score" if len(scores) else ""
    return Aggregate(gradient, cosines, shares, reasons, scores=told, score=name)


def mean_of_nearest(block: Matrix, kept: int) -> tuple[Vector, Wholes]:
    """Return the mean of the values in each column that are nearest to the column's median.

    Args:
        block: values, shape (rows, columns).
        kept: number of values to average, from 1 to the number of rows.

    Returns:
        The means; and the place of the smallest of these values in each sorted column.

    >>> mean_of_nearest(np.array([[1.0], [2.0], [9.0]]), 2)
    (array([1.5]), array([0]))
    """
    ordered, rows = np.sort(block, axis=0), len(block)
    median = (ordered[(rows - 1) // 2] + ordered[rows // 2]) / 2.0
    # Nearest values stand side by side. While the smallest of them is farther from the median than
    # the next larger value, it gives way to that value.
    first = np.zeros(block.shape[1], dtype=np.int64)
    for place in range(rows - kept):
        first += median - ordered[place] > ordered[place + kept] - median
    total = np.zeros(block.shape[1])
    for step in range(kept):
        total += np.take_along_axis(ordered, (first + step)[None, :], axis=0)[0]
    return total / float(kept), first


def _taken(vectors: Vectors, chosen: Wholes, kept: int) -> Vector:
    """Return each chosen vector's share of the averaged values, in some evenly spaced columns."""
    values = vectors.sample(COUNTED_COLUMNS)[chosen]
    _, first = mean_of_nearest(values, kept)
    order = np.argsort(values, axis=0, kind="stable")
    places = first + np.arange(kept)[:, None]
    taken = np.take_along_axis(order, places, axis=0)
    return np.bincount(taken.ravel(), minlength=len(chosen)) / taken.size
