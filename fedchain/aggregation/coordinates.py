"""Trimmed mean and median: rules that aggregate each coordinate of the gradients separately."""

from __future__ import annotations

import functools

import numpy as np
import numpy.typing as npt

from fedchain.aggregation.directions import spread
from fedchain.aggregation.inner_products import agreement_of
from fedchain.aggregation.rule import Aggregate, Received, Scale, aggregations, reasons_for
from fedchain.aggregation.vectors import Byzantine, First, Vectors, check_number, mixed_vectors
from fedchain.arrays import ONE, Matrix, Vector
from fedchain.native.loading import aligned, library
from fedchain.ordered import applied
from fedchain.registry import cites

TILE = 16
"""Largest number of columns that the kernels sort at a time."""
MOST_SORTED = 512
"""Largest number of rows for which the kernels sort the columns."""
Pairs = npt.NDArray[np.int32]
COUNTED_COLUMNS = 256
"""Largest number of coordinates in which the share of each message is counted."""


@aggregations
@cites("yin2018")
def trimmed_mean(
    received: Received,
    *,
    trim: Byzantine = None,
    scale: Scale = "restore",
    first: First = (),
) -> Aggregate:
    """Average every coordinate of the gradients, without its smallest and its largest values.

    Args:
        received: the messages of the block.
        trim: number of values to leave out at each end. The quorum must be above twice this number.
            null: the number of attackers in the scenario's attacks.
        scale: number that multiplies each direction before the values are sorted. ``restore``: the
            norm of the gradient; ``unit``: 1; ``median_clip``: the norm, but at most the median of
            all norms.
        first: pre-aggregations, in their order.

    Returns:
        The aggregate. The share of a message is the fraction of the averaged values that come from
        the message, counted in at most 256 coordinates.

    Raises:
        ValueError: there are too few messages to trim.

    Reference:
        Yin et al., Byzantine-Robust Distributed Learning, ICML 2018, definition 2.

    >>> from fedchain.aggregation.directions import Directions
    >>> rows = Directions.of(2**20 * np.array([[1], [1], [1], [-1]]))
    >>> four = Received(rows, np.array([1.0, 2.0, 6.0, 9.0]), np.ones(4))
    >>> trimmed_mean(four, trim=1).gradient.tolist()
    [1.5]
    """
    vectors, few = mixed_vectors(received, scale, first), trim or 0
    check_number("trimmed_mean", vectors, "trim", few, 2 * few + 1)
    reason = f"among the {few} smallest or largest values of every coordinate counted"
    return _average_untrimmed(vectors, few, reason)


@aggregations
@cites("yin2018")
def median(received: Received, *, scale: Scale = "restore", first: First = ()) -> Aggregate:
    """Take the median of every coordinate of the gradients.

    With an even number of values, the median is the mean of the two values in the middle.

    Args:
        received: the messages of the block.
        scale: number that multiplies each direction before the values are sorted. ``restore``: the
            norm of the gradient; ``unit``: 1; ``median_clip``: the norm, but at most the median of
            all norms.
        first: pre-aggregations, in their order.

    Returns:
        The aggregate. At most 256 coordinates are examined for the shares: a message's share is the
        fraction of all middle values there that come from the message.

    Reference:
        Yin et al., Byzantine-Robust Distributed Learning, ICML 2018, definition 1.

    >>> from fedchain.aggregation.directions import Directions
    >>> rows = Directions.of(2**20 * np.array([[1], [1], [-1]]))
    >>> median(Received(rows, np.array([2.0, 5.0, 9.0]), np.ones(3))).gradient.tolist()
    [2.0]
    """
    reason, vectors = "the median of no coordinate counted", mixed_vectors(received, scale, first)
    return _average_untrimmed(vectors, (len(vectors) - 1) // 2, reason)


def _average_untrimmed(vectors: Vectors, trim: int, reason: str) -> Aggregate:
    gradient, kept = untrimmed_means(vectors, trim), _kept_shares(vectors, trim)
    shares = kept if vectors.taken is None else applied(vectors.taken.T, kept)
    cosines = agreement_of(vectors.received.directions).cosines
    return Aggregate(gradient, cosines, shares, reasons_for(shares, reason))


def untrimmed_means(vectors: Vectors, trim: int) -> Vector:
    """Return the mean of each column without its ``trim`` smallest and largest values.

    Args:
        vectors: m vectors.
        trim: number of values to leave out at each end, below m / 2.

    Returns:
        The means, one for each weight; the same bits on every node.

    >>> from fedchain.aggregation.directions import Directions
    >>> rows = Directions.of(2**20 * np.array([[1], [3], [9]]))
    >>> untrimmed_means(Vectors(Received(rows, np.ones(3), np.ones(3)), np.ones(3)), 1)
    array([3.])
    """
    directions = vectors.received.directions
    means, count = np.empty(directions.dimension), len(vectors)
    kernels, addresses = library(), directions.addresses if vectors.mix is None else None
    scales = vectors.factors * directions.shifts  # exact: the shifts are powers of two

    def work(columns: slice) -> None:
        if kernels is not None and addresses is not None and count <= MOST_SORTED:
            size, ends = directions.integers[0].itemsize, (columns.start, columns.stop)
            rows, exchanges = (addresses, scales, count, size), _exchanges(count, trim)
            network = exchanges.ravel(), len(exchanges)
            kernels.trimmed_means(*rows, *ends, trim, *network, ONE, aligned(TILE * count), means)
            return
        for part, block in vectors.blocks(columns):
            means[part] = _means(_sorted_columns(block)[:, trim : count - trim])

    spread(directions, work)
    return means


@functools.lru_cache(maxsize=16)
def _exchanges(count: int, trim: int) -> Pairs:
    """Return the exchanges that bring ``count`` values into order, shape (exchanges, 2).

    The first and the last ``trim`` places need no order, so exchanges for them alone are left out.

    Reference:
        Knuth, The Art of Computer Programming, volume 3, algorithm 5.2.2M (Batcher's merges).
    """
    found, top = list[tuple[int, int]](), 1 << max(0, (count - 1).bit_length() - 1)
    p = top
    while p:
        q, r, d = top, 0, p
        while True:
            found += [(i, i + d) for i in range(count - d) if i & p == r]
            if q == p:
                break
            q, r, d = q // 2, p, q - p
        p //= 2
    needed, kept = set(range(trim, count - trim)), list[tuple[int, int]]()
    for pair in reversed(found):
        if needed.intersection(pair):
            needed.update(pair)
            kept.append(pair)
    return np.array(kept[::-1], dtype=np.int32).reshape(-1, 2)


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


def _kept_shares(vectors: Vectors, trim: int) -> Vector:
    """Return each vector's share of the values that trimming keeps, shape (m,)."""
    # In some columns alone, which takes little time.
    values = vectors.sample(COUNTED_COLUMNS)
    kept = np.argsort(values, axis=0, kind="stable")[trim : len(values) - trim]
    return np.bincount(kept.ravel(), minlength=len(values)) / kept.size
