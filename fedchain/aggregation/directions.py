"""The directions of one round, as the integers that were sent.

They are read a block of columns at a time: as float64 all of them at once would take four times
the memory of the messages themselves, and would be read from it again for every operation.
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
"""Threads that share the columns."""
COLUMNS = 800_000
"""Entries of a block, whose float64 fits the outer cache and keeps a core busy long enough for the
others to get the interpreter's lock."""
NARROWEST, LARGEST = 2048, 2**22
"""Least columns of a block, of each row of which they cost a call; and most entries, but for so
many rows that even the fewest columns have more."""
FEWEST = 128
"""Columns of a block, however many rows it has."""
SMALL = 2**22
"""Entries of an input that one thread has read while others would wait for the lock."""


@dataclass(frozen=True, eq=False)
class Directions:
    """Quantised directions q_k with their exponents e_k: row k is 2^(20 - e_k) q_k = 2^20 g_k*.

    ``np.asarray(directions)`` and ``matrix()`` make all rows at once, for rules that are simple;
    ``blocks()`` makes them a block of columns at a time, for rules that are fast.

    >>> sent = Directions((np.array([3, -4], dtype=np.int16),), (19,))
    >>> np.asarray(sent)
    array([[ 6., -8.]])
    """

    integers: tuple[Integers, ...]
    """q_k in order of message id, n >= 1 arrays (d,) of int8, int16 or int32; closed to writing."""
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
        """Return rows that are given at exponent 20 already, to try a rule with.

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
        """Return all rows at exponent 20 as float64, (n, d): eight bytes an entry."""
        rows = np.empty((len(self), self.dimension))
        np.concatenate(self.integers, out=rows.reshape(-1))
        rows *= self.shifts[:, None]
        return rows

    def blocks(self, columns: slice | None = None) -> Iterator[tuple[slice, Matrix]]:
        """Yield the rows as they were sent, a block of columns at a time.

        To shift a row to exponent 20 is to multiply by a power of two, which is exact wherever
        it is done: best where there are fewest numbers.

        Args:
            columns: from where to where, with start and stop; all of them by default.

        Yields:
            Which columns, and q_k as float64, (n, b); the next block overwrites it.

        >>> for columns, block in Directions.of([[6, -8], [1, 2]]).blocks(slice(1, 2)):
        ...     print(columns, block.tolist())
        slice(1, 2, None) [[-8.0], [2.0]]
        """
        whole, count = columns or slice(0, self.dimension), len(self)
        # An odd number of cache lines: at a power of two the entries of a column share a set.
        width = max(COLUMNS // count, min(NARROWEST, LARGEST // count), FEWEST) // 16 * 16 + 8
        room = np.empty(count * min(width, whole.stop - whole.start))
        for start in range(whole.start, whole.stop, width):
            part = slice(start, min(start + width, whole.stop))
            flat = room[: count * (part.stop - start)]
            np.concatenate([row[part] for row in self.integers], out=flat)
            yield part, flat.reshape(count, -1)


def spread(directions: Directions, work: Callable[[slice], R], least: int = 1) -> list[R]:
    """Share the columns among threads; a small input stays on this one.

    How many threads there are must not show in what is made of the results: they are to be
    exact, or of single columns.

    Args:
        directions: whose columns.
        work: is called with a stretch of columns, start to stop; lets go of the interpreter's
            lock while it computes, as numpy does.
        least: fewest columns that are worth a thread.

    Returns:
        What each call returned, from the first columns to the last.

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
    """Return the threads of this process; to start them anew costs as much as a small round."""
    return ThreadPoolExecutor(THREADS, "aggregation")
