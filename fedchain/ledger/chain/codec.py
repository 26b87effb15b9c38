"""Directions as integers: the codec that makes the consensus arithmetic exact.

A unit vector g is sent as q = round(2^e g). Brought to the common exponent 20 the rows have a
norm of about 2^20 and never more than 2^21, so that sums of their products are whole numbers that
float64 holds: exact in any order (``fedchain.aggregation.directions``, ``fedchain.aggregation``).
"""

from __future__ import annotations

import math
from typing import Literal

import numpy as np

from fedchain.arrays import EXPONENT, Integers, Matrix, Singles, Vector, read_only

Storage = Literal["int8", "int16", "int32"]
"""How a quantised entry is stored."""

LARGEST: dict[str, int] = {"int8": 2**7 - 1, "int16": 2**15 - 1, "int32": 2**31 - 1}
"""The largest absolute value of an entry, by storage."""
STORAGES: dict[int, Storage] = {1: "int8", 2: "int16", 4: "int32"}
"""How entries are stored, by their bytes."""
LEAST_EXPONENT: dict[str, int] = {"int8": 6, "int16": 14, "int32": EXPONENT}
"""The exponent at which an entry of 1 just fits, by storage: no unit vector needs a smaller one."""


def storage_of(direction: Integers) -> Storage | None:
    """Return how these integers are stored; None if no codec gives such an array.

    >>> storage_of(np.zeros(3, np.int16))
    'int16'
    """
    kind = direction.dtype.kind == "i" and direction.ndim == 1
    return STORAGES.get(direction.itemsize) if kind else None


def quantise(
    vectors: Matrix | Singles, norms: Vector, storage: Storage
) -> list[tuple[int, Integers]]:
    """Turn directions into integers, each at the largest exponent that the storage can hold.

    ``q = round(2^e v / |v|)`` with the largest e <= 20 for which ``max |q|`` fits; ties to even.
    Several vectors cost few calls, which other threads need not wait for.

    Args:
        vectors: one a row, (n, d), finite.
        norms: their 2-norms |v|, (n,), above 0.
        storage: int8, int16 or int32.

    Returns:
        Of each vector, the exponent e and the integers q, (d,), read-only, of the storage's type.

    Raises:
        ValueError: a norm is too small for its vector.

    Reference:
        LearningChain, equations (11) and (12), reconstructed; the codec is fedchain's.

    >>> quantise(np.array([[0.3, -0.4]]), np.array([0.5]), "int16")
    [(15, array([ 19661, -26214], dtype=int16))]
    """
    # Where float32 is too coarse, or too narrow.
    if storage == "int32" or not np.all((norms > 1e-30) & (norms < 1e30)):
        vectors = vectors.astype(np.float64)
    peaks = np.maximum(vectors.max(1), -vectors.min(1))
    for peak, norm in zip(peaks, norms, strict=True):
        if not peak <= norm * (1 + 1e-6):
            raise ValueError(
                f"direction: norm is {norm!r}; must be at least {peak!r}, its largest entry"
            )
    exponents, factors = np.full(len(norms), EXPONENT), (2.0**EXPONENT / norms).astype(peaks.dtype)
    while np.any(large := np.rint(peaks * factors) > LARGEST[storage]):
        exponents[large] -= 1
        factors[large] /= 2
    scaled = vectors * factors[:, None]
    integers = read_only(np.rint(scaled, out=scaled).astype(storage))
    return list(zip(exponents.tolist(), integers, strict=True))


def squared_norm(direction: Integers) -> int:
    """Return the sum of squares of the integers, exactly.

    >>> squared_norm(np.array([30000, -30000], dtype=np.int16))
    1800000000
    """
    starts = range(0, len(direction), 2**20)
    return sum(_squared_block(direction[start : start + 2**20]) for start in starts)


def norm_bounds(dimension: int, exponent: int) -> tuple[int, int]:
    """Return between which values the codec can leave ``(2 |q|)^2`` for a unit vector.

    Rounding moves each entry by 1/2 at most, the vector by sqrt(d)/2 (a hair more if the entries
    were scaled in float32), and no entry by more than its own size, so that ``|q| <= 2^(e+1)``.

    Args:
        dimension: number of entries d.
        exponent: e.

    Returns:
        Least and largest value of four times the squared norm.

    >>> norm_bounds(4, 14)
    (1073479696, 1074003984)
    """
    slack, unit = math.isqrt(dimension) + 2, 2 ** (exponent + 1)
    return max(unit - slack, 1) ** 2, min(unit + slack, 2 * unit) ** 2


def could_be_finer(direction: Integers, exponent: int, storage: Storage) -> bool:
    """Say whether a larger exponent would have fitted: then these are not the codec's integers.

    The same direction at another exponent would be another payload with the same content.
    """
    if exponent == EXPONENT:
        return False
    peak = max(abs(int(direction.max())), abs(int(direction.min())))
    return 2 * peak + 1 <= LARGEST[storage]


def _squared_block(block: Integers) -> int:
    # 2^20 products of two 16-bit halves stay below 2^53: float64 adds them exactly
    if block.dtype.itemsize <= 2:
        narrow = block.astype(np.float64)
        return int(narrow @ narrow)
    wide = block.astype(np.int64)
    high, low = (wide >> 16).astype(np.float64), (wide & 0xFFFF).astype(np.float64)
    return (int(high @ high) << 32) + (int(high @ low) << 17) + int(low @ low)
