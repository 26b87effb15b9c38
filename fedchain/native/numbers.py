"""Numbers: kernels that turn random words into noise, and passes over one row of a release."""

from __future__ import annotations

import ctypes

import numpy as np
import numpy.typing as npt

from fedchain.arrays import Array, Single, Vector
from fedchain.native.loading import Library

Words = npt.NDArray[np.uint32]


def normals(library: Library, words: Words, found: Single) -> int:
    """Write normal numbers, and return how many radii have the word 0; see ``transforms``."""
    _check(words, np.uint32, len(found))
    _check(found, np.float32, len(found) // 2 * 2)
    return int(library.normals(_at(words), _at(found), _count(len(words) // 2)))


def laplaces(library: Library, words: Words, found: Single) -> int:
    """Write Laplace numbers, and return how many magnitudes are 0; see ``transforms``."""
    _check(words, np.uint32, len(found))
    _check(found, np.float32, len(words))
    return int(library.laplaces(_at(words), _at(found), _count(len(words))))


def add_gradient(library: Library, noise: Single, scale: np.float32, gradient: Vector) -> None:
    """Replace the noise by noise * scale + gradient."""
    _check(noise, np.float32, len(gradient))
    _check(gradient, np.float64, len(noise))
    given = _at(noise), ctypes.c_float(float(scale)), _at(gradient)
    library.add_gradient(*given, _count(len(noise)))


def squares(library: Library, row: Single) -> float:
    """Return the sum of the squares of a row, in 16 partial sums by index modulo 16."""
    _check(row, np.float32, len(row))
    return float(library.squares(_at(row), _count(len(row))))


def _count(number: int) -> ctypes.c_int64:
    return ctypes.c_int64(number)


def _at(array: Array) -> ctypes.c_void_p:
    return ctypes.c_void_p(array.ctypes.data)


def _check(array: Array, kind: npt.DTypeLike, count: int) -> None:
    if array.dtype != kind or array.shape != (count,) or not array.flags.c_contiguous:
        raise ValueError(
            f"array: must be {np.dtype(kind)} of shape ({count},) without gaps, "
            f"got {array.dtype} of shape {array.shape}"
        )
