"""Arrays: types of the vectors and matrices that modules exchange."""

from __future__ import annotations

from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

A = TypeVar("A", bound=npt.NDArray[Any])

Array = npt.NDArray[Any]
"""An array of any type and shape."""
Vector = npt.NDArray[np.float64]
"""Float64, shape (entries,) unless stated otherwise."""
Matrix = npt.NDArray[np.float64]
"""Float64, shape (rows, entries): one row for each holder, record or message."""
Single = npt.NDArray[np.float32]
"""Float32, shape (entries,): a gradient or a release."""
Singles = npt.NDArray[np.float32]
"""Float32, shape (rows, entries): one row for each holder."""
Integers = npt.NDArray[np.signedinteger[Any]]
"""Signed integers: one quantised direction, shape (entries,), or one in each row, shape (rows,
entries)."""
Wholes = npt.NDArray[np.int64]
"""Int64: classes, indices or counts, shape (entries,) unless stated otherwise."""
Words = npt.NDArray[np.uint32]
"""Uint32: random words, shape (words,)."""
Flags = npt.NDArray[np.bool_]
"""Booleans, shape (entries,)."""

EXPONENT = 20
"""Largest binary exponent of a direction in a message. With exponent e, the entries of the
direction are multiplied by 2^e and rounded to integers."""
ONE = float(2**EXPONENT)
"""The integer that stands for 1 in a direction with the largest exponent."""
MOST_WEIGHTS = 2**25
"""Most weights of a federated model: 256 MiB of float64 numbers."""


def read_only(array: A) -> A:
    """Make the array read-only, and return the array.

    >>> read_only(np.zeros(2)).flags.writeable
    False
    """
    array.flags.writeable = False
    return array


def misshapen(name: str, array: object, shape: tuple[int, ...], dtype: str) -> str | None:
    """Return an error text if a value is not an array of the given shape and dtype, else None.

    >>> misshapen("weights", np.zeros(3), (4,), "float64")
    'weights must be an array of float64 of shape (4,), got float64 of shape (3,)'
    >>> misshapen("weights", [0.0], (1,), "float64")
    'weights must be an array of float64 of shape (1,), got list'
    """
    wanted = f"{name} must be an array of {dtype} of shape {shape}"
    if not isinstance(array, np.ndarray):
        return f"{wanted}, got {type(array).__name__}"
    if array.shape != shape or array.dtype != dtype:
        return f"{wanted}, got {array.dtype} of shape {array.shape}"
    return None
