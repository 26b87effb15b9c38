"""Trimmed mean and median: rules that aggregate each coordinate of the gradients separately."""

from __future__ import annotations

import functools
from typing import Annotated

import numpy as np
import numpy.typing as npt
from pydantic import Field

from fedchain.aggregation.directions import Directions, spread
from fedchain.aggregation.inner_products import agreement_of
from fedchain.aggregation.rule import Aggregate, Received, Scale, aggregations, reasons_for, scaled
from fedchain.arrays import ONE, Matrix, Vector
from fedchain.native.loading import aligned, library
from fedchain.registry import AtMost

TILE = 16
"""Largest number of columns that the kernels sort at a time."""
MOST_SORTED = 512
"""Largest number of rows for which the kernels sort the columns."""
Pairs = npt.NDArray[np.int32]
COUNTED_COLUMNS = 256
"""Largest number of coordinates in which the share of each message is counted."""


@aggregations
def trimmed_mean(
    received: Received,
    *,
    trim: Annotated[
        int, Field(ge=0), AtMost("nodes.asked", "the number of holders or groups asked in a round")
    ],
    scale: Scale = "restore",
) -> Aggregate:
    """Average every coordinate of the gradients, without its smallest and its largest values.

    Args:
        received: the messages of the block.
        trim: number of values to leave out at each end. The quorum must be above twice this number.
        scale: number that multiplies each direction before the values are sorted. ``restore``: the
            norm of the gradient; ``unit``: 1; ``median_clip``: the norm, but at most the median of
            all norms.

    Returns:
        The aggregate. The share of a message is the fraction of the averaged values that come from
        the message, counted in at most 256 coordinates.

    Raises:
        ValueError: there are too few messages to trim.

    Reference:
        Yin et al., Byzantine-Robust Distributed Learning, ICML 2018, definition 2.

    >>> rows = Directions.of(2**20 * np.array([[1], [1], [1], [-1]]))
    >>> four = Received(rows, np.array([1.0, 2.0, 6.0, 9.0]), np.ones(4))
    >>> trimmed_mean(four, trim=1).gradient.tolist()
    [1.5]
    """
    count = len(received.norms)
    if count <= 2 * trim:
        needed = f"trim: {trim} needs at least {2 * trim + 1}"
        raise ValueError(f"trimmed_mean: got {count} messages; {needed}")
    reason = f"among the {trim} smallest or largest values of every coordinate counted"
    return _average_untrimmed(received, scale, trim, reason)


@aggregations
def median(received: Received, *, scale: Scale = "restore") -> Aggregate:
    """Take the median of every coordinate of the gradients.

    With an even number of values, the median is the mean of the two values in the middle.

    Args:
        received: the messages of the block.
        scale: number that multiplies each direction before the values are sorted. ``restore``: the
            norm of the gradient; ``unit``: 1; ``median_clip``: the norm, but at most the median of
            all norms.

    Returns:
        The aggregate. At most 256 coordinates are examined for the shares: a message's share is the
        fraction of all middle values there that come from the message.

    Reference:
        Yin et al., Byzantine-Robust Distributed Learning, ICML 2018, definition 1.

    >>> rows = Directions.of(2**20 * np.array([[1], [1], [-1]]))
    >>> median(Received(rows, np.array([2.0, 5.0, 9.0]), np.ones(3))).gradient.tolist()
    [2.0]
    """
    reason = "the median of no coordinate counted"
    return _average_untrimmed(received, scale, (len(received.norms) - 1) // 2, reason)


def _average_untrimmed(received: Received, scale: Scale, trim: int, reason: str) -> Aggregate:
    directions = received.directions
    # exact: the shifts are powers of two
    scales = scaled(received.norms, scale) * directions.shifts
    gradient = untrimmed_means(directions, scales, trim)
    shares = _kept_shares(directions, scales, trim)
    cosines = agreement_of(directions).cosines
    return Aggregate(gradient, cosines, shares, reasons_for(shares, reason))


def untrimmed_means(directions: Directions, scales: Vector, trim: int) -> Vector:
    """Return the mean of each column without its ``trim`` smallest and largest values.

    Args:
        directions: the n messages of a block.
        scales: factor of each row's integers, shape (n,).
        trim: number of values to leave out at each end, below n / 2.

    Returns:
        The means, divided by 2^20, one for each weight; the same bits on every node.

    >>> untrimmed_means(Directions.of(2**20 * np.array([[1], [3], [9]])), np.ones(3), 1)
    array([3.])
    """
    means, count = np.empty(directions.dimension), len(scales)
    kernels, addresses = library(), directions.addresses

    def work(columns: slice) -> None:
        if kernels is not None and addresses is not None and count <= MOST_SORTED:
            size, ends = directions.integers[0].itemsize, (columns.start, columns.stop)
            rows, exchanges = (addresses, scales, count, size), _exchanges(count, trim)
            network = exchanges.ravel(), len(exchanges)
            kernels.trimmed_means(*rows, *ends, trim, *network, ONE, aligned(TILE * count), means)
            return
        for part, block in directions.blocks(columns):
            block *= scales[:, None]
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


def _kept_shares(directions: Directions, scales: Vector, trim: int) -> Vector:
    """Return each message's share of the values that trimming keeps, shape (messages,)."""
    # Evenly spaced columns, so that the count is the same on every machine and takes little time.
    stride = -(-directions.dimension // COUNTED_COLUMNS)
    values = np.stack([row[::stride] for row in directions.integers]) * scales[:, None]
    kept = np.argsort(values, axis=0, kind="stable")[trim : len(scales) - trim]
    return np.bincount(kept.ravel(), minlength=len(scales)) / kept.size
