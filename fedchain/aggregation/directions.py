"""Directions: the unit vectors of the gradients of one round, and their exact inner products."""

from __future__ import annotations

import functools
import math
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from fedchain.arrays import EXPONENT, Integers, Matrix, Vector, read_only

Result = TypeVar("Result")

THREADS = os.cpu_count() or 1
"""Number of threads among which the columns are divided."""
BLOCK_ENTRIES = 800_000
"""Usual number of entries in a block of columns."""
# It fits into the processor's cache, and keeps a core busy long enough for the other threads to get
# the interpreter's lock.
NARROWEST, LARGEST = 2048, 2**22
"""Limits of a block: at least NARROWEST columns, and at most LARGEST entries. If both limits cannot
be kept, a block has fewer columns, but at least FEWEST."""
FEWEST = 128
"""Smallest number of columns of a block."""
SMALL = 2**22
"""Largest number of entries for which one thread is faster than several."""
EXACT_ROWS = 2048
"""Largest number of rows whose inner products with the sum of all rows are exact in float64."""
SPLIT = 2.0**16
"""The sum of many rows is split into two vectors of whole numbers: sum = SPLIT high + low."""


@dataclass(frozen=True, eq=False)
class Directions:
    """The quantised directions of the n messages of a block.

    Message k has sent integers q_k and an exponent e_k. Row k, 2^(20 - e_k) q_k, is 2^20 times the
    direction of the gradient. A direction has the norm 1, or 0 if the gradient is zero.

    >>> sent = Directions((np.array([3, -4], dtype=np.int16),), (19,))
    >>> np.asarray(sent)
    array([[ 6., -8.]])
    """

    integers: tuple[Integers, ...]
    """The integers of each message, in order of message id: read-only arrays of shape (d,) and type
    int8, int16 or int32, for d weights."""
    exponents: tuple[int, ...]
    """The exponent of each message, at most 20."""
    dimension: int = field(init=False)
    """Number of entries of a row."""
    shifts: Vector = field(init=False)
    """The factor 2^(20 - exponent) of each row, shape (n,) for n messages."""

    def __post_init__(self) -> None:
        for row in self.integers:
            read_only(row)
        shifts = 2.0 ** (EXPONENT - np.array(self.exponents, dtype=np.float64))
        object.__setattr__(self, "dimension", len(self.integers[0]))
        object.__setattr__(self, "shifts", np.asarray(shifts))

    def __len__(self) -> int:
        return len(self.integers)

    def __array__(
        self, dtype: npt.DTypeLike | None = None, copy: bool | None = None
    ) -> npt.NDArray[Any]:
        if copy is False:
            raise ValueError("directions: are stored as integers; an array of them is a copy")
        return self.matrix().astype(dtype or np.float64, copy=False)

    @classmethod
    def of(cls, rows: npt.ArrayLike) -> Directions:
        """Return directions made from given rows, for trying a rule by hand.

        Args:
            rows: 2^20 times each direction, rounded to whole numbers below 2^31, shape
                (messages, weights).

        >>> Directions.of([[6, -8]]).dimension
        2
        """
        whole = np.asarray(rows).astype(np.int32)
        return cls(tuple(whole), (EXPONENT,) * len(whole))

    def matrix(self) -> Matrix:
        """Return all rows as float64, shape (messages, weights)."""
        rows = np.empty((len(self), self.dimension))
        np.concatenate(self.integers, out=rows.reshape(-1))
        rows *= self.shifts[:, None]
        return rows

    def blocks(self, columns: slice | None = None) -> Iterator[tuple[slice, Matrix]]:
        """Yield the integers of all messages as float64, one block of columns at a time.

        The integers are not multiplied by ``shifts``.

        Args:
            columns: the columns to yield, or None for all.

        Yields:
            The columns of a block, and the integers in these columns, shape (messages, columns).
            The next block overwrites this array.

        >>> for columns, block in Directions.of([[6, -8], [1, 2]]).blocks(slice(1, 2)):
        ...     print(columns, block.tolist())
        slice(1, 2, None) [[-8.0], [2.0]]
        """
        whole, count = columns or slice(0, self.dimension), len(self)
        # An odd number of cache lines: with a power of two, all entries of a column would fall into
        # the same set of the cache.
        width = max(BLOCK_ENTRIES // count, min(NARROWEST, LARGEST // count), FEWEST) // 16 * 16 + 8
        room = np.empty(count * min(width, whole.stop - whole.start))
        for start in range(whole.start, whole.stop, width):
            part = slice(start, min(start + width, whole.stop))
            flat = room[: count * (part.stop - start)]
            np.concatenate([row[part] for row in self.integers], out=flat)
            yield part, flat.reshape(count, -1)


def spread(directions: Directions, work: Callable[[slice], Result], least: int = 1) -> list[Result]:
    """Call a function on ranges of the columns, in several threads unless the input is small.

    The ranges depend on the machine, so the function must return exact sums, or treat each column
    separately. A range has at least ``least`` columns.

    Returns:
        The result for each range, in the order of the columns.

    >>> spread(Directions.of([[6, -8], [1, 2]]), lambda columns: columns)
    [slice(0, 2, None)]
    """
    columns = directions.dimension
    small = len(directions) * columns <= SMALL
    count = 1 if small else max(1, min(THREADS, columns // least))
    if count == 1:
        return [work(slice(0, columns))]
    ends = [columns * place // count for place in range(count + 1)]
    return list(_threads().map(work, map(slice, ends[:-1], ends[1:])))


@functools.cache
def _threads() -> ThreadPoolExecutor:
    """Return this process's only thread pool."""
    return ThreadPoolExecutor(THREADS, "aggregation")


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
    shifts = directions.shifts

    def work(columns: slice) -> Matrix:
        sums = np.zeros((3, len(directions)))
        for _, block in directions.blocks(columns):
            sums += products(block, shifts)
        return sums

    high, low, squares = sum(spread(directions, work), np.zeros((3, len(directions))))
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
