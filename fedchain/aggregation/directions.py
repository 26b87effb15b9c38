"""Directions of one round, stored as the integers that were sent.

Rules read them a block of columns at a time. All of them as float64 would take four times the
memory of the messages, and every operation would read them from memory again.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from fedchain.arrays import EXPONENT, Integers, Matrix, Vector, read_only

R = TypeVar("R")

THREADS = os.cpu_count() or 1
"""Number of threads that share the columns."""
COLUMNS = 800_000
"""Entries of a block. As float64 they fit the outer cache, and they keep a core busy long enough
for the other threads to get the interpreter's lock."""
NARROWEST, LARGEST = 2048, 2**22
"""Least number of columns of a block, since each row of each block costs a call. A block gets fewer
columns if it would have more than LARGEST entries otherwise, but never fewer than FEWEST."""
FEWEST = 128
"""Least number of columns of a block, however many rows it has."""
SMALL = 2**22
"""Entries of an input up to which one thread is faster than several that wait for the lock."""


@dataclass(frozen=True, eq=False)
class Directions:
    """Quantised directions q_k with their exponents e_k: row k is 2^(20 - e_k) q_k = 2^20 g_k*.

    ``np.asarray(directions)`` and ``matrix()`` convert all rows at once, for simple rules;
    ``blocks()`` converts a block of columns at a time, for fast rules.

    >>> sent = Directions((np.array([3, -4], dtype=np.int16),), (19,))
    >>> np.asarray(sent)
    array([[ 6., -8.]])
    """

    integers: tuple[Integers, ...]
    """q_k in order of message id, n >= 1 arrays (d,) of int8, int16 or int32; read-only."""
    exponents: tuple[int, ...]
    """e_k, at most 20."""

    def __post_init__(self) -> None:
        for row in self.integers:
            read_only(row)

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
            rows: 2^20 g_k*, whole numbers below 2^31, (n, d).

        >>> Directions.of([[6, -8]]).dimension
        2
        """
        whole = np.asarray(rows).astype(np.int32)
        return cls(tuple(whole), (EXPONENT,) * len(whole))

    @property
    def dimension(self) -> int:
        """Entries of a row, d."""
        return len(self.integers[0])

    @property
    def shifts(self) -> Vector:
        """2^(20 - e_k), (n,)."""
        return np.asarray(2.0 ** (EXPONENT - np.array(self.exponents, dtype=np.float64)))

    def matrix(self) -> Matrix:
        """Return all rows at exponent 20 as float64, (n, d), with eight bytes for each entry."""
        rows = np.empty((len(self), self.dimension))
        np.concatenate(self.integers, out=rows.reshape(-1))
        rows *= self.shifts[:, None]
        return rows

    def blocks(self, columns: slice | None = None) -> Iterator[tuple[slice, Matrix]]:
        """Yield the rows as they were sent, a block of columns at a time.

        The rows are not shifted to exponent 20. The shift multiplies by a power of two, which is
        exact at any point, so callers do it where there are the fewest numbers.

        Args:
            columns: the columns to read, with start and stop; all of them by default.

        Yields:
            The columns of the block, and their q_k as float64, (n, b). The next block overwrites
            this array.

        >>> for columns, block in Directions.of([[6, -8], [1, 2]]).blocks(slice(1, 2)):
        ...     print(columns, block.tolist())
        slice(1, 2, None) [[-8.0], [2.0]]
        """
        whole, count = columns or slice(0, self.dimension), len(self)
        # An odd number of cache lines: with a power of two, all entries of a column would fall into
        # the same set of the cache.
        width = max(COLUMNS // count, min(NARROWEST, LARGEST // count), FEWEST) // 16 * 16 + 8
        room = np.empty(count * min(width, whole.stop - whole.start))
        for start in range(whole.start, whole.stop, width):
            part = slice(start, min(start + width, whole.stop))
            flat = room[: count * (part.stop - start)]
            np.concatenate([row[part] for row in self.integers], out=flat)
            yield part, flat.reshape(count, -1)


def spread(directions: Directions, work: Callable[[slice], R], least: int = 1) -> list[R]:
    """Share the columns among threads; a small input stays on the calling thread.

    The number of threads must not change what the caller computes from the results. The results
    must therefore be exact, or each must concern single columns only.

    Args:
        directions: the directions whose columns are shared.
        work: called with a range of columns, start to stop. It should release the interpreter's
            lock while it computes, as numpy does.
        least: smallest number of columns that is worth a thread.

    Returns:
        The result of each call, from the first columns to the last.

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
