"""Elementary functions in a written order: they give the same bits on every processor.

numpy, BLAS and the C library choose their code for sine, exponential and matrix products by the
processor, and the last bits of the results differ. The functions here use only additions, products
and quotients, each of which is rounded by itself.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from fedchain.arrays import Array

HALF_PI = 1.57079632673412561417, 6.07710050650619224932e-11
"""Pi / 2 as a sum of two numbers. The first has 33 bits, so that small multiples of it are
exact."""
ROOT_HALF, LN_2 = 0.7071067811865476, 0.6931471805599453
LN_2_PARTS = 6.93147180369123816490e-01, 1.90821492927058770002e-10
"""The logarithm of 2 as a sum of two numbers. The first has 33 bits, so that products with small
whole numbers are exact."""


def dot(a: Array, b: Array) -> Array:
    """Return the dot products of vectors with three components, shape (3, ...) each.

    >>> float(dot(np.array([1.0, 2.0, 3.0]), np.array([4.0, 5.0, 6.0])))
    32.0
    """
    return np.asarray(a[0] * b[0] + a[1] * b[1] + a[2] * b[2])


def cosine_and_sine(angle: float) -> tuple[float, float]:
    """Return cosine and sine of an angle in radians, from -10 to 10; each is off by at most 4e-16.

    >>> cosine_and_sine(0.0)
    (1.0, 0.0)
    """
    quarters = math.floor(angle / HALF_PI[0] + 0.5)
    rest = angle - quarters * HALF_PI[0] - quarters * HALF_PI[1]
    cosine, sine = _alternating(1.0, rest, 1), _alternating(rest, rest, 2)
    turned = ((cosine, sine), (-sine, cosine), (-cosine, -sine), (sine, -cosine))
    return turned[quarters % 4]


def _alternating(first: float, angle: float, place: int) -> float:
    """Sum the series of cosine (place 1) or sine (place 2), whose first term is given.

    The angle is at most pi / 4 in size.
    """
    total = term = first
    for n in range(place, place + 18, 2):
        term *= -angle * angle / (n * (n + 1))
        total += term
    return total


def log2(values: Array) -> Array:
    """Return the logarithms to base 2 of numbers above 0; each is off by at most 1e-14.

    >>> log2(np.array([1.0, 8.0, 0.25])).tolist()
    [0.0, 3.0, -2.0]
    """
    mantissa, exponent = np.frexp(np.asarray(values, np.float64))
    low = mantissa < ROOT_HALF
    mantissa, exponent = np.where(low, 2 * mantissa, mantissa), exponent - low
    # log m = 2 artanh((m - 1) / (m + 1)), and |(m - 1) / (m + 1)| <= .172.
    ratio = (mantissa - 1) / (mantissa + 1)
    squared, total = ratio * ratio, np.zeros_like(ratio)
    for odd in range(19, 0, -2):
        total = total * squared + 1 / odd
    return np.asarray(exponent + (2 / LN_2) * ratio * total)


def exp(x: float) -> float:
    """Return e to the power of ``x``, for ``x`` from 0 to 2; the relative error is at most 2e-15.

    >>> exp(0.0)
    1.0
    """
    total = term = 1.0
    for n in range(1, 30):
        term *= x / n
        total += term
    return total


def draw_between(random: np.random.Generator, low: float, high: float) -> float:
    """Draw a number between ``low`` and ``high``.

    ``Generator.uniform`` rounds the product and the sum at once on some processors.
    """
    return low + (high - low) * random.random()


def draw_each_between(
    random: np.random.Generator, lows: Sequence[float], highs: Sequence[float]
) -> list[float]:
    """Draw a number between each of ``lows`` and the same entry of ``highs``."""
    return [draw_between(random, low, high) for low, high in zip(lows, highs, strict=True)]


def exponentials(values: Array) -> Array:
    """Return e to the power of each value; the relative error is at most 1e-15.

    Powers below e^-745 are 0, and powers above e^709 are infinite.

    >>> exponentials(np.array([0.0, -800.0])).tolist()
    [1.0, 0.0]
    >>> round(float(exponentials(np.array(1.0))) - math.e, 15)
    0.0
    """
    # e^x = 2^k e^r with |r| <= ln(2) / 2, where the series of e^r needs 14 terms.
    values = np.clip(np.asarray(values, np.float64), -750.0, 710.0)
    k = np.rint(values * (1 / LN_2))
    rest = (values - k * LN_2_PARTS[0]) - k * LN_2_PARTS[1]
    total = np.full_like(rest, 1 / math.factorial(14))
    for n in range(13, -1, -1):
        total = total * rest + 1 / math.factorial(n)
    with np.errstate(over="ignore"):
        return np.asarray(np.ldexp(total, k.astype(np.int32)))
