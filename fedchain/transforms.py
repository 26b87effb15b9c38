"""Transforms: random words to noise, noise to releases, and releases to their lengths.

The results have the same bits on every processor. Each number comes from additions,
multiplications, roots and bit operations in a written order. IEEE 754 rounds each of them in one
way; neither numpy nor the compiled kernels fuse them. What this module computes without kernels is
the specification of the kernels.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from fedchain.arrays import Matrix, Single, Singles, Vector, Words
from fedchain.native.loading import library

Indices = npt.NDArray[np.intp]
Tail = Callable[[int], float]
"""Gives a random number from 2^-65 to 1 in place of the word at an index. The word is 0."""

# Chebyshev fits, rounded to float32. Their relative errors are below 5e-8, less than half a unit in
# the last place of float32.
LOG_TERMS = (
    1.0, -0.500000656, 0.333336025, -0.249932632, 0.199755535, -0.168228135, 0.149968326,
    -0.120915212, 0.0542594269,
)  # fmt: skip
"""Coefficients of log(1 + t) / t for t from -1/4 to 1/2."""
SINE_TERMS = (0.785398185, -0.0807454363, 0.00249000685, -3.59543992e-05)
"""Coefficients of sin(pi f / 4) / f in the square of f, for f from -1 to 1."""
COSINE_TERMS = (1.0, -0.308425128, 0.0158543251, -0.000325938599, 3.52980419e-06)
"""Coefficients of cos(pi f / 4) in the square of f, for f from -1 to 1."""
BLOCK = 16_384
"""Number of numbers that numpy computes at a time; they fit into the processor's cache."""
PARTIAL_SUMS = 16
"""Number of partial sums of a row: entry i belongs to sum i modulo 16."""
_HALF, _ONE = np.float32(0.5), np.float32(1.0)
_LOG_2 = np.float32(0.693147182464599609375)


def to_normals(words: Words, found: Single, tail: Tail) -> None:
    """Write standard normal numbers, computed from random words by Box and Muller's transform.

    The first half of the words give radii, the others angles.

    Args:
        words: an even number of words.
        found: float32 numbers to write, as many as words.
        tail: gives numbers in place of radii whose word is 0.

    Reference:
        Box and Muller, A note on the generation of random normal deviates, 1958.

    >>> found = np.empty(2, np.float32)
    >>> to_normals(np.array([2**31, 2**29], np.uint32), found, lambda place: 0.5)
    >>> [round(float(each), 4) for each in found]
    [1.1774, 0.0]
    """
    half, kernels = len(found) // 2, library()
    radii, angles = words[:half], words[half:]
    first, second = found[:half], found[half:]
    if kernels is not None:
        zeros = kernels.normals(words, found, half) > 0
    else:
        zeros = not radii.all()
        for start in range(0, half, BLOCK):
            part = slice(start, start + BLOCK)
            lifted = radii[part].astype(np.float32) + _HALF
            first[part], second[part] = _normals(lifted, angles[part])
    if zeros:
        places = np.flatnonzero(radii == 0)
        first[places], second[places] = _normals(_tails(places, tail), angles[places])


def to_laplaces(words: Words, found: Single, tail: Tail) -> None:
    """Write numbers with density e^-|x| / 2, computed from random words.

    The last bit of a word is the sign, the other bits give the magnitude. ``tail`` gives numbers
    where these other bits are 0. The arguments are those of ``to_normals``.

    >>> found = np.empty(2, np.float32)
    >>> to_laplaces(np.array([2**31, 2**31 + 1], np.uint32), found, lambda place: 0.5)
    >>> [round(float(each), 4) for each in found]
    [-0.6931, 0.6931]
    """
    kernels = library()
    if kernels is not None:
        zeros = kernels.laplaces(words, found, len(words)) > 0
    else:
        zeros = bool((words < 2).any())
        for start in range(0, len(words), BLOCK):
            part = slice(start, start + BLOCK)
            lifted = (words[part] >> np.uint32(1)).astype(np.float32) + _HALF
            found[part] = _laplaces(lifted, words[part])
    if zeros:
        places = np.flatnonzero(words < 2)
        found[places] = _laplaces(_tails(places, tail), words[places])


def add_gradients(noise: Singles, scales: Sequence[float], gradients: Matrix) -> None:
    """Turn standard noise into releases in place: noise * scale + gradient for each row.

    The product is rounded to float32. The sum is computed in float64 and rounded to float32.

    >>> noise = np.array([[2.0, -2.0]], dtype=np.float32)
    >>> add_gradients(noise, [0.5], np.array([[1.0, 1.0]]))
    >>> noise
    array([[2., 0.]], dtype=float32)
    """
    kernels, gradients = library(), np.ascontiguousarray(gradients, dtype=np.float64)
    for row, scale, gradient in zip(noise, scales, gradients, strict=True):
        if kernels is not None:
            kernels.add_gradient(row, scale, gradient, len(row))
        else:
            row *= np.float32(scale)
            row += gradient


def lengths(rows: Matrix | Singles) -> Vector:
    """Return the Euclidean norm of each row, shape (rows,).

    Squares are added up in float64, in a written order. A row with an infinite or NaN entry has an
    infinite or NaN norm.

    >>> lengths(np.array([[3.0, 4.0], [0.0, 2.0]], dtype=np.float32)).tolist()
    [5.0, 2.0]
    """
    kernels = library()
    if kernels is not None and rows.dtype == np.float32 and rows.strides[1] == rows.itemsize:
        return np.sqrt([kernels.squares(row, len(row)) for row in rows], dtype=np.float64)
    return np.array([_length(row.astype(np.float64)) for row in rows])


def _length(row: Vector) -> float:
    with np.errstate(over="ignore", invalid="ignore"):
        row *= row
        ends = len(row) // PARTIAL_SUMS * PARTIAL_SUMS
        sums = row[:ends].reshape(-1, PARTIAL_SUMS).sum(axis=0)
        sums[: len(row) - ends] += row[ends:]
        total = 0.0
        for each in sums.tolist():
            total += each
        return float(np.sqrt(total))


def _tails(places: Indices, tail: Tail) -> Single:
    return np.array([tail(place) for place in places.tolist()], dtype=np.float32)


def _normals(lifted: Single, angles: Words) -> tuple[Single, Single]:
    """Return two normal numbers for each pair of a radius and an angle.

    ``lifted`` has the words of the radii plus 1/2.
    """
    radius = _logarithm(lifted, 32)
    radius *= np.float32(-2.0)
    np.sqrt(radius, out=radius)
    quarter = angles >> np.uint32(30)
    f = (angles & np.uint32(2**30 - 1)).astype(np.float32)
    f *= np.float32(2.0**-29)
    f -= _ONE
    square = f * f
    sine, cosine = _polynomial(SINE_TERMS, square), _polynomial(COSINE_TERMS, square)
    sine *= f
    odd = (quarter & np.uint32(1)).astype(np.bool_)
    across, along = np.where(odd, sine, cosine), np.where(odd, cosine, sine)
    _change_signs(across, quarter + np.uint32(1))  # in the second and the third quarter
    _change_signs(along, quarter)  # in the third and the fourth
    across *= radius
    along *= radius
    return across, along


def _change_signs(values: Single, flags: Words) -> None:
    """Change the sign of each value whose flag has the bit of 2."""
    signs = values.view(np.uint32)
    signs ^= (flags & np.uint32(2)) << np.uint32(30)


def _laplaces(lifted: Single, words: Words) -> Single:
    found = _logarithm(lifted, 31)
    _change_signs(found, words << np.uint32(1))
    return found


def _logarithm(values: Single, exponent: int) -> Single:
    """Return log(x / 2^exponent) for positive normal numbers x = 2^e m, with m from .75 to 1.5."""
    bits = values.view(np.int32)
    powers = (bits - np.int32(0x3F400000)) >> 23
    t = (bits - (powers << 23)).view(np.float32)
    t -= _ONE
    found = _polynomial(LOG_TERMS, t)
    found *= t
    whole = powers.astype(np.float32)
    whole -= np.float32(exponent)
    whole *= _LOG_2
    found += whole
    return found


def _polynomial(terms: tuple[float, ...], values: Single) -> Single:
    """Return the polynomial with these coefficients, lowest first, by Horner's rule."""
    found = np.full_like(values, terms[-1])
    for term in terms[-2::-1]:
        found *= values
        found += np.float32(term)
    return found
