"""Codec: turns gradient directions into integers, so that aggregation is exact.

A direction is a unit vector g. A message carries the integers q = round(2^e g) and the exponent e,
which is at most 20. For a zero gradient, q and e are 0.
"""

from __future__ import annotations

import math
from typing import Literal

import numpy as np

from fedchain.arrays import EXPONENT, Integers, Matrix, Singles, Vector, read_only
from fedchain.native.loading import library

Storage = Literal["int8", "int16", "int32"]
"""The integer type that stores the entries of a quantised direction."""

LARGEST_ENTRY: dict[str, int] = {"int8": 2**7 - 1, "int16": 2**15 - 1, "int32": 2**31 - 1}
"""The largest absolute value of an entry, by storage type."""
STORAGES: dict[int, Storage] = {1: "int8", 2: "int16", 4: "int32"}
"""The storage type, by the number of bytes of an entry."""
LEAST_EXPONENT: dict[str, int] = {"int8": 6, "int16": 14, "int32": EXPONENT}
"""Smallest exponent that a direction may have, by storage type."""


def storage_of(direction: Integers) -> Storage | None:
    """Return the storage type of an array, or None if the array is no quantised direction.

    >>> storage_of(np.zeros(3, np.int16))
    'int16'
    """
    kind = direction.dtype.kind == "i" and direction.ndim == 1
    return STORAGES.get(direction.itemsize) if kind else None


def quantise(
    vectors: Matrix | Singles, norms: Vector, storage: Storage
) -> list[tuple[int, Integers]]:
    """Normalise vectors and turn them into integers.

    A vector v becomes ``q = round(2^e v / |v|)``. The exponent e is the largest one up to 20 for
    which every entry of q fits the storage type. Ties round to even.

    Args:
        vectors: finite vectors, one per row, shape (vectors, entries).
        norms: 2-norms of the vectors, shape (vectors,), above 0.
        storage: the integer type of q.

    Returns:
        For each vector, the exponent e and the integers q, shape (entries,), read-only.

    Raises:
        ValueError: a norm is smaller than the largest absolute entry of its vector.

    Reference:
        LearningChain, equations (11) and (12), reconstructed; the integer encoding is fedchain's.

    >>> quantise(np.array([[0.3, -0.4]]), np.array([0.5]), "int16")
    [(15, array([ 19661, -26214], dtype=int16))]
    """
    # float32 is too coarse for int32, and its range is too narrow for very small or large norms.
    if storage == "int32" or not np.all((norms > 1e-30) & (norms < 1e30)):
        vectors = vectors.astype(np.float64)
    kernels = library() if vectors.dtype == np.float32 and vectors.strides[1] == 4 else None
    if kernels is not None:
        peaks = np.array([kernels.peak(row, len(row)) for row in vectors], dtype=np.float32)
    else:
        peaks = np.maximum(vectors.max(1), -vectors.min(1))
    for peak, norm in zip(peaks, norms, strict=True):
        if not peak <= norm * (1 + 1e-6):
            raise ValueError(
                f"direction: norm is {norm!r}; must be at least {peak!r}, its largest entry"
            )
    exponents, factors = np.full(len(norms), EXPONENT), (2.0**EXPONENT / norms).astype(peaks.dtype)
    while np.any(large := np.rint(peaks * factors) > LARGEST_ENTRY[storage]):
        exponents[large] -= 1
        factors[large] /= 2
    if kernels is not None:
        integers = np.empty(vectors.shape, dtype=storage)
        for row, factor, to in zip(vectors, factors, integers, strict=True):
            kernels.quantise(row, len(row), factor, to.itemsize, to.ctypes.data)
    else:
        scaled = vectors * factors[:, None]
        integers = np.rint(scaled, out=scaled).astype(storage)
    read_only(integers)
    return list(zip(exponents.tolist(), integers, strict=True))


def direction_problem(
    direction: Integers, exponent: int, storage: Storage, dimension: int
) -> str | None:
    """Return why the integers do not encode a direction, or None if they do.

    Args:
        direction: the quantised direction, shape (entries,).
        exponent: the exponent; 0 is allowed only for a direction of zeros.
        storage: the required integer type.
        dimension: the required number of entries.
    """
    if storage_of(direction) != storage:
        return f"direction: is stored as {direction.dtype.name}; must be {storage}"
    if len(direction) != dimension:
        return f"direction: has {len(direction)} entries; must have {dimension}"
    least = LEAST_EXPONENT[storage]
    if exponent == 0:
        return "direction: is not zero, as exponent 0 says" if direction.any() else None
    if not least <= exponent <= EXPONENT:
        return f"exponent: is {exponent}; must be {least} to {EXPONENT}"
    low, high = norm_bounds(dimension, exponent)
    fourfold = 4 * squared_norm(direction)
    if not low <= fourfold <= high:
        norm, unit = math.sqrt(fourfold) / 2, 2**exponent
        return f"direction: norm is {norm:.1f}; must be {unit} within the codec's rounding"
    if could_be_finer(direction, exponent, storage):
        return f"exponent: is {exponent}; must be the largest that {storage} can hold"
    return None


def squared_norm(direction: Integers) -> int:
    """Return the exact sum of the squares of the integers.

    >>> squared_norm(np.array([30000, -30000], dtype=np.int16))
    1800000000
    """
    whole = direction.flags.c_contiguous and direction.flags.aligned
    if direction.itemsize <= 2 and whole and (kernels := library()) is not None:
        return kernels.square_sum(direction.ctypes.data, len(direction), direction.itemsize)
    total = 0
    # 2^20 products of two 16-bit halves add up to less than 2^53, so float64 adds them exactly.
    for start in range(0, len(direction), 2**20):
        block = direction[start : start + 2**20]
        if block.dtype.itemsize <= 2:
            narrow = block.astype(np.float64)
            total += int(narrow @ narrow)
        else:
            wide = block.astype(np.int64)
            high, low = (wide >> 16).astype(np.float64), (wide & 0xFFFF).astype(np.float64)
            total += (int(high @ high) << 32) + (int(high @ low) << 17) + int(low @ low)
    return total


def norm_bounds(dimension: int, exponent: int) -> tuple[int, int]:
    """Return the bounds of 4 |q|^2, where |q| is the 2-norm of an allowed direction.

    >>> norm_bounds(4, 14)
    (1073479696, 1074003984)
    """
    # Rounding moves each entry by at most 1/2, so it moves the vector by at most sqrt(dimension)/2,
    # or a little more in float32. No entry moves more than its size, so the norm at most doubles.
    slack, unit = math.isqrt(dimension) + 2, 2 ** (exponent + 1)
    return max(unit - slack, 1) ** 2, min(unit + slack, 2 * unit) ** 2


def could_be_finer(direction: Integers, exponent: int, storage: Storage) -> bool:
    """Return whether the storage type could hold the direction at a larger exponent."""
    # A node refuses such a direction, because otherwise a direction could have several encodings.
    if exponent == EXPONENT:
        return False
    peak = max(abs(int(direction.max())), abs(int(direction.min())))
    return 2 * peak + 1 <= LARGEST_ENTRY[storage]
