"""Exact products: products of matrices with the same bits on every processor.

BLAS adds in an order that depends on the processor, so the last bits of its products do too. Sums
of whole numbers below 2^53 are exact in any order. So every number is divided into two whole
numbers of few bits, and BLAS multiplies these.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from fedchain.arrays import Matrix, Vector

MANTISSA = 53
"""Number of bits of a whole number that float64 holds."""


@dataclass(frozen=True)
class Halves:
    """The rows of a matrix as whole numbers: about (high + low / 2^bits) 2^(exponent - bits)."""

    high: Matrix
    """The leading bits of each entry, shape (rows, entries)."""
    low: Matrix
    """The bits that follow."""
    exponents: npt.NDArray[np.int32]
    """For each row, the least power of two above all its entries, shape (rows, 1)."""
    bits: int
    """Number of bits of ``high`` and of ``low``."""


def halve(rows: Matrix) -> Halves:
    """Divide each row into whole numbers whose products can be added up exactly.

    An entry keeps 2 ``bits`` bits below the largest entry of its row; ``bits`` is 26 for rows of 2
    entries, and 20 for 4,096.
    """
    bits = (MANTISSA - (rows.shape[1] - 1).bit_length()) // 2
    exponents = np.frexp(np.abs(rows).max(axis=1, keepdims=True))[1]
    scaled = np.ldexp(rows, bits - exponents)
    high = np.rint(scaled)
    return Halves(high, np.rint(np.ldexp(scaled - high, bits)), exponents, bits)


def exact_product(one: Matrix, other: Matrix) -> Matrix:
    """Return the inner products of the rows of two matrices, shape (rows of one, rows of other).

    The error is at most 2^-38 of the largest possible inner product of rows with such entries, if
    they have at most 4,096.

    Reference:
        Ozaki, Ogita, Oishi and Rump, "Error-Free Transformations of Matrix Multiplication", 2012.

    >>> exact_product(np.array([[1.0, 0.1]]), np.array([[2.0, 10.0]])).round(12).tolist()
    [[3.0]]
    """
    a, b = halve(one), halve(other)
    between = a.high @ b.low.T + a.low @ b.high.T
    found = a.high @ b.high.T + np.ldexp(between, -a.bits)
    return np.asarray(np.ldexp(found, a.exponents + b.exponents.T - 2 * a.bits))


def squares(rows: Matrix) -> Vector:
    """Return the squared 2-norm of each row, shape (rows,).

    >>> squares(np.array([[3.0, 4.0], [0.0, 0.0]])).tolist()
    [25.0, 0.0]
    """
    a = halve(rows)
    between = 2.0 * (a.high * a.low).sum(axis=1)
    found = (a.high * a.high).sum(axis=1) + np.ldexp(between, -a.bits)
    return np.asarray(np.ldexp(found, 2 * (a.exponents[:, 0] - a.bits)))
