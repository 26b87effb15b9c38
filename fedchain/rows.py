"""Rows: passes over the releases of many holders, with the same bits on every processor."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from fedchain.arrays import Matrix, Singles, Vector
from fedchain.native.loading import library

PARTIAL_SUMS = 16
"""Number of partial sums of a row: entry i belongs to sum i modulo 16."""


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
