"""Codec: it turns directions into integers, which makes the consensus arithmetic exact.

A direction is a unit vector g. It is sent as q = round(2^e g) with an exponent e of at most 20. A
gradient of exactly zero has no direction; it is sent as q = 0 with e = 0.
Aggregation scales all directions to the exponent 20. Each then has a norm of about 2^20 and never
more than 2^21. Sums of products of the entries are whole numbers that float64 holds, so they are
exact in any order (``fedchain.aggregation.directions``, ``fedchain.aggregation``).
"""

from __future__ import annotations

import math
from typing import Literal

import numpy as np

from fedchain.arrays import EXPONENT, Integers, Matrix, Singles, Vector, read_only

Storage = Literal["int8", "int16", "int32"]
"""The integer type that stores a quantised entry."""

LARGEST_ENTRY: dict[str, int] = {"int8": 2**7 - 1, "int16": 2**15 - 1, "int32": 2**31 - 1}
"""The largest absolute value of an entry, by storage type."""
STORAGES: dict[int, Storage] = {1: "int8", 2: "int16", 4: "int32"}
"""The storage type, by the number of bytes of an entry."""
LEAST_EXPONENT: dict[str, int] = {"int8": 6, "int16": 14, "int32": EXPONENT}
"""Smallest exponent that a direction may have, by storage type. At this exponent even an entry of
1 fits, so no unit vector needs a smaller one."""


def storage_of(direction: Integers) -> Storage | None:
    """Return the storage type of a vector of integers, or None if no storage type fits it.

    >>> storage_of(np.zeros(3, np.int16))
    'int16'
    """
    kind = direction.dtype.kind == "i" and direction.ndim == 1
    return STORAGES.get(direction.itemsize) if kind else None


def quantise(
    vectors: Matrix | Singles, norms: Vector, storage: Storage
) -> list[tuple[int, Integers]]:
    """Turn vectors into integers, each at the largest exponent that the storage allows.

    A vector v becomes ``q = round(2^e v / |v|)`` with the largest e <= 20 for which ``max |q|``
    fits; ties round to even. All vectors are handled in a few NumPy calls, so that other threads
    can run meanwhile.

    Args:
        vectors: n vectors of d entries, one per row, shape (n, d), finite.
        norms: 2-norms |v| of the vectors, shape (n,), above 0.
        storage: int8, int16 or int32.

    Returns:
        For each vector, the exponent e and the integers q of the storage's type, shape (d,),
        read-only.

    Raises:
        ValueError: a norm is below the largest absolute entry of its vector.

    Reference:
        LearningChain, equations (11) and (12), reconstructed; the integer encoding is fedchain's.

    >>> quantise(np.array([[0.3, -0.4]]), np.array([0.5]), "int16")
    [(15, array([ 19661, -26214], dtype=int16))]
    """
    # float32 is too coarse for int32, and its range is too narrow for very small or large norms.
    if storage == "int32" or not np.all((norms > 1e-30) & (norms < 1e30)):
        vectors = vectors.astype(np.float64)
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
    scaled = vectors * factors[:, None]
    integers = read_only(np.rint(scaled, out=scaled).astype(storage))
    return list(zip(exponents.tolist(), integers, strict=True))


def direction_problem(
    direction: Integers, exponent: int, storage: Storage, dimension: int
) -> str | None:
    """Return the reason why integers do not encode a direction, or None if they do.

    A direction is a unit vector, or zero; only zero has the exponent 0.

    Args:
        direction: the integers q, shape (d,).
        exponent: the exponent e.
        storage: the storage type that the integers must have.
        dimension: the number of entries d that they must have.
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
    """Return the sum of squares of the integers, exactly.

    >>> squared_norm(np.array([30000, -30000], dtype=np.int16))
    1800000000
    """
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
    """Return the least and the largest ``(2 |q|)^2`` of integers q that encode a unit vector.

    Rounding moves each of the d entries by at most 1/2. So it moves the vector by at most
    sqrt(d)/2, or a little more if the entries were scaled in float32. Rounding moves no entry by
    more than the size of that entry, so ``|q| <= 2^(e+1)``.

    Args:
        dimension: the number of entries d.
        exponent: the exponent e.

    >>> norm_bounds(4, 14)
    (1073479696, 1074003984)
    """
    slack, unit = math.isqrt(dimension) + 2, 2 ** (exponent + 1)
    return max(unit - slack, 1) ** 2, min(unit + slack, 2 * unit) ** 2


def could_be_finer(direction: Integers, exponent: int, storage: Storage) -> bool:
    """Return whether the storage could hold the direction at a larger exponent.

    The codec always takes the largest exponent. A smaller exponent is refused, because otherwise
    one direction could have several encodings.
    """
    if exponent == EXPONENT:
        return False
    peak = max(abs(int(direction.max())), abs(int(direction.min())))
    return 2 * peak + 1 <= LARGEST_ENTRY[storage]
