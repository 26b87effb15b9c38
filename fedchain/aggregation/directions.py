"""Directions of one round, stored as the integers that were sent, and their exact products.

Rules read them a block of columns at a time. All of them as float64 would take four times the
memory of the messages, and every operation would read them from memory again.

Rules need the inner product of every row q_k with the sum v of all n rows, (14) and (15). It is
exact in float64 for this reason. The codec accepts no row with a norm above 2^21, so the norm of v
is at most n 2^21. By Cauchy-Schwarz, no partial sum of <q_k, v>, in any order, is above n 2^42,
which is at most 2^53 for up to 2048 rows. With more rows v is split as v = 2^16 high + low, whole
numbers with 0 <= low < 2^16. For n <= 2^16 rows and d <= 2^24 columns, the norm of a vector of ones
is at most 2^12, so

    norm(low)  < 2^16 2^12 = 2^28,                  sums of |q_k low|  stay below 2^49;
    norm(high) <= norm(v) / 2^16 + 2^12 < 2^22,     sums of |q_k high| stay below 2^43.

Both sums are exact, and multiplying by 2^16 is a shift. Only adding the two sums rounds, once.
"""

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
"""Number of threads that share the columns."""
BLOCK_ENTRIES = 800_000
"""Number of entries of a block. As float64 they fit the outer cache, and they keep a core busy long
enough for the other threads to get the interpreter's lock."""
NARROWEST, LARGEST = 2048, 2**22
"""A block has at least NARROWEST columns, since each row of each block costs a call. It has fewer
only if it would otherwise have more than LARGEST entries, and never fewer than FEWEST."""
FEWEST = 128
"""Least number of columns of a block, however many rows it has."""
SMALL = 2**22
"""Up to this number of entries, one thread is faster than several that wait for the lock."""
EXACT_ROWS = 2048
"""Number of rows up to which their sum need not be split."""
SPLIT = 2.0**16
"""The factor that splits the sum of more rows: sum = SPLIT high + low."""


@dataclass(frozen=True, eq=False)
class Directions:
    """Quantised directions q_k with exponents e_k: row k is 2^(20 - e_k) q_k, or 2^20 g_k*.

    ``np.asarray(directions)`` and ``matrix()`` convert all rows at once, for simple rules;
    ``blocks()`` converts a block of columns at a time, for fast rules.

    >>> sent = Directions((np.array([3, -4], dtype=np.int16),), (19,))
    >>> np.asarray(sent)
    array([[ 6., -8.]])
    """

    integers: tuple[Integers, ...]
    """q_k in order of message id: n >= 1 read-only arrays of shape (d,), int8, int16 or int32."""
    exponents: tuple[int, ...]
    """The exponents e_k, at most 20."""
    dimension: int = field(init=False)
    """Number d of entries of a row."""
    shifts: Vector = field(init=False)
    """2^(20 - e_k) for each row, shape (n,)."""

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
        """Return directions from rows that are already at exponent 20, to try a rule with.

        Args:
            rows: 2^20 g_k*, whole numbers below 2^31, shape (n, d).

        >>> Directions.of([[6, -8]]).dimension
        2
        """
        whole = np.asarray(rows).astype(np.int32)
        return cls(tuple(whole), (EXPONENT,) * len(whole))

    def matrix(self) -> Matrix:
        """Return all rows at exponent 20 as float64, shape (n, d)."""
        rows = np.empty((len(self), self.dimension))
        np.concatenate(self.integers, out=rows.reshape(-1))
        rows *= self.shifts[:, None]
        return rows

    def blocks(self, columns: slice | None = None) -> Iterator[tuple[slice, Matrix]]:
        """Yield the rows as they were sent, a block of columns at a time.

        The rows are not shifted to exponent 20. The shift multiplies by a power of two, which is
        exact at any point, so callers do it where there are the fewest numbers. Yields the b
        columns of a block, and their q_k as float64 (n, b). The next block overwrites this array.

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
    """Share the columns among threads; a small input stays on the calling thread.

    The number of threads must not change what the caller computes from the results. The results
    must therefore be exact, or each must concern single columns only. ``work`` gets a range of
    columns, and should release the interpreter's lock, as numpy does. ``least`` is the number of
    columns that are worth a thread. The results are in the order of the columns.

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
    """Return the threads of this process: starting new ones would cost as much as a small round."""
    return ThreadPoolExecutor(THREADS, "aggregation")


@dataclass(frozen=True)
class Agreement:
    """Inner products of each row q_k with itself and with the sum v of all rows: whole numbers."""

    inner: Vector
    """<q_k, v>, shape (n,); with more than 2048 rows, each is rounded once."""
    squares: Vector
    """<q_k, q_k>, shape (n,)."""
    projections: Vector
    """<q_k, v> / norm(q_k), shape (n,): the cosine times norm(v), which is the same for all rows.

    An exact integer divided by a correctly rounded root has the same bits on every node, so all
    nodes sort the rows in the same order."""
    cosines: Vector
    """Cosine of every row with v, shape (n,); zeros if the rows cancel out."""


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

    high, low, squares = sum(spread(directions, work), np.zeros((3, len(directions))))
    return agreement_from(high * SPLIT + low, squares)


def products(block: Matrix, shifts: Vector) -> Matrix:
    """Return what a block adds to each <q_k, high>, <q_k, low> and <q_k, q_k>, shape (3, n).

    Args:
        block: whole numbers as they were sent, shape (n, b).
        shifts: the factor that brings each row to exponent 20, shape (n,).

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


def agreement_from(inner: Vector, squares: Vector) -> Agreement:
    """Return the agreement of rows, given <q_k, v> and <q_k, q_k>, both of shape (n,)."""
    projections, square = inner / np.sqrt(squares), math.fsum(inner)
    # norm(v)^2 is the sum of all <q_k, v>.
    cosines = projections / math.sqrt(square) if square > 0 else np.zeros_like(inner)
    return Agreement(inner, squares, projections, cosines)
