"""Sums and products of inexact numbers in a written order: the same bits on every processor.

numpy and BLAS choose the order of a sum by the processor and the shape, and the last bits of the
results differ. Here every product is rounded by itself, and sums are added up in the order of the
index. Of the operations of numpy only those are used that are rounded in one way.
"""

from __future__ import annotations

import math

import numpy as np

from fedchain.arrays import Matrix, Vector
from fedchain.native.loading import library

SQUARINGS, STEPS = 10, 4
"""Number of times that a matrix is squared, and of products with the result, until its leading
eigenvector is read off."""


def ordered_sum(values: Vector) -> float:
    """Return the sum of the values, added up one after the other.

    >>> ordered_sum(np.array([1e16, 1.0, -1e16]))
    0.0
    """
    # Each partial sum is a result of ``accumulate``, so numpy cannot add in another order.
    return float(np.add.accumulate(values)[-1])


def applied(matrix: Matrix, vector: Vector) -> Vector:
    """Return the product of a matrix (.., m, n) and a vector (.., n), shape (.., m).

    >>> applied(np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([1.0, 1.0])).tolist()
    [3.0, 7.0]
    """
    return np.asarray(np.add.accumulate(matrix * vector[..., None, :], axis=-1)[..., -1])


def product(left: Matrix, right: Matrix) -> Matrix:
    """Return the product of two matrices (.., m, n) and (.., n, p), shape (.., m, p).

    >>> product(np.array([[1.0, 2.0]]), np.array([[3.0], [4.0]])).tolist()
    [[11.0]]
    """
    kernels, alike = library(), left.shape[:-2] == right.shape[:-2]
    if kernels is not None and alike and min(left.size, right.size) > 0:
        (rows, inner), columns = left.shape[-2:], right.shape[-1]
        made = np.empty((*left.shape[:-1], columns))
        pairs = np.ascontiguousarray(left), np.ascontiguousarray(right)
        kernels.ordered_products(*pairs, math.prod(left.shape[:-2]), rows, inner, columns, made)
        return made
    total = left[..., :, 0, None] * right[..., 0, None, :]
    term = np.empty_like(total)
    for k in range(1, left.shape[-1]):
        np.multiply(left[..., :, k, None], right[..., k, None, :], out=term)
        total += term
    return np.asarray(total)


def leading_eigenvector(matrix: Matrix) -> tuple[Vector, Vector]:
    """Return the leading eigenvectors of symmetric matrices without negative eigenvalues.

    The power method with a fixed number of steps: the matrix is squared SQUARINGS times, and then
    multiplied STEPS times with the column of the largest diagonal entry. A second eigenvalue that
    is smaller by one in a thousand has vanished then.

    Args:
        matrix: finite numbers, shape (.., n, n).

    Returns:
        The eigenvectors, shape (.., n), with a largest absolute entry between 1 and 2; zeros for a
        matrix of zeros. And the eigenvalues, shape (..).

    >>> vector, value = leading_eigenvector(np.array([[4.0, 0.0], [0.0, 2.0]]))
    >>> vector.tolist(), float(value)
    ([1.0, 0.0], 4.0)
    """
    power = _evened(matrix, (-2, -1))
    for _ in range(SQUARINGS):
        power = _evened(product(power, power), (-2, -1))
    widest = np.diagonal(power, axis1=-2, axis2=-1).argmax(axis=-1)
    vector = np.take_along_axis(power, widest[..., None, None], axis=-1)[..., 0]
    for _ in range(STEPS):
        vector = _evened(applied(power, vector), (-1,))
    square = np.add.accumulate(vector * vector, axis=-1)[..., -1]
    along = np.add.accumulate(vector * applied(matrix, vector), axis=-1)[..., -1]
    value = np.divide(along, square, out=np.zeros_like(square), where=square > 0)
    return vector, np.maximum(value, 0.0)


def _evened(values: Matrix, axes: tuple[int, ...]) -> Matrix:
    """Divide by the power of two that brings the largest absolute entry between 1 and 2."""
    _, exponent = np.frexp(np.abs(values).max(axis=axes, keepdims=True))
    return np.asarray(np.ldexp(values, 1 - exponent))
