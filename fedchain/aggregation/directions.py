"""Directions: the unit vectors of the gradients of one round, as the integers that were sent."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from fedchain.arrays import EXPONENT, Integers, Matrix, Vector, Wholes, read_only

_Result = TypeVar("_Result")

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

    @functools.cached_property
    def addresses(self) -> Wholes | None:
        """Addresses of the rows' integers, for kernels; None if they have gaps or several types."""
        kinds = {row.dtype for row in self.integers}
        plain = all(row.flags.c_contiguous and row.flags.aligned for row in self.integers)
        if len(kinds) > 1 or not plain:
            return None
        return np.array([row.ctypes.data for row in self.integers], dtype=np.int64)

    def __array__(
        self, dtype: npt.DTypeLike | None = None, copy: bool | None = None
    ) -> npt.NDArray[Any]:
        if copy is False:
            raise ValueError("directions: are stored as integers; an array of them is a copy")
        return self.matrix().astype(dtype or np.float64, copy=False)

    @functools.cached_property
    def gram(self) -> Wholes:
        """Inner products of all rows with each other as exact whole numbers, shape (n, n).

        All rules and pre-aggregations of a block share this array.
        """
        return read_only(gram(self))

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


def gram(directions: Directions, part: slice = slice(None)) -> Wholes:
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


def spread(
    directions: Directions, work: Callable[[slice], _Result], least: int = 1
) -> list[_Result]:
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


if hasattr(os, "register_at_fork"):
    # A forked process has the pool, but not its threads, and would wait for them for ever.
    os.register_at_fork(after_in_child=_threads.cache_clear)
