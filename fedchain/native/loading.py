"""Loading: it finds the compiled kernels, and chooses the build for this processor.

The kernels are optional. Without them everything works, by numpy and torch.
"""

from __future__ import annotations

import ctypes
import functools
import importlib.machinery
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from fedchain.arrays import Array, Single, Vector, Words
from fedchain.errors import RunRefused

BUILDS = ("base", "avx2", "avx512")
"""The builds of the kernels, from the oldest processors to the newest."""
VERSION = 2
"""Version of the kernels' functions, as in processor.c. Kernels of another version, which an older
state of the sources left, are not used."""
SWITCH = "FEDCHAIN_NATIVE"
"""Environment variable: 0 for no kernels, or the name of a build; empty for the best build."""
ALIGNMENT = 64
"""Alignment of the rooms of kernels, in bytes: the size of the largest register."""
HERE = Path(__file__).parent


@dataclass(frozen=True, eq=False, kw_only=True)
class Library:
    """The compiled kernels of one build. They run without the interpreter's lock."""

    build: str
    """Name of the build."""
    lanes: int
    """Number of examples in a block."""
    gradients: Callable[..., None]
    """The function ``gradients`` of planes.c."""
    normals: Callable[[Words, Single, int], int]
    laplaces: Callable[[Words, Single, int], int]
    add_gradient: Callable[[Single, float, Vector, int], None]
    squares: Callable[[Single, int], float]
    from_blocks: Callable[[Words, Array, int, Array, int, Array], int]
    add_steps: Callable[[Array, Vector, float, int], None]
    peak: Callable[[Single, int], float]
    quantise: Callable[[Single, int, float, int, int], None]
    square_sum: Callable[[int, int, int], int]
    inner_products: Callable[..., None]
    weighted_sum: Callable[..., None]
    trimmed_means: Callable[..., None]
    ordered_products: Callable[[Array, Array, int, int, int, int, Array], None]
    """The functions of numbers.c and rules.c. They refuse arrays of another type or with gaps."""


def _flat(kind: npt.DTypeLike) -> Any:
    """Return the type of an argument that is a flat array without gaps."""
    return np.ctypeslib.ndpointer(kind, ndim=1, flags="C_CONTIGUOUS")


_WORDS, _SINGLE, _VECTOR = map(_flat, (np.uint32, np.float32, np.float64))
_INTEGERS, _COUNT = _flat(np.int32), ctypes.c_int64
_MATRICES = np.ctypeslib.ndpointer(np.float64, flags="C_CONTIGUOUS")
_ROWS = [_flat(np.int64), _VECTOR, *4 * [_COUNT]]
"""Addresses of rows, a factor for each, their number, the bytes of an integer, the first column
and the end of the columns."""
SIGNATURES: Mapping[str, tuple[Any, Sequence[Any]]] = {
    "normals": (_COUNT, [_WORDS, _SINGLE, _COUNT]),
    "laplaces": (_COUNT, [_WORDS, _SINGLE, _COUNT]),
    "add_gradient": (None, [_SINGLE, ctypes.c_float, _VECTOR, _COUNT]),
    "squares": (ctypes.c_double, [_SINGLE, _COUNT]),
    "from_blocks": (_COUNT, [_WORDS, _INTEGERS, _COUNT, _INTEGERS, _COUNT, _flat(np.int64)]),
    "add_steps": (None, [_INTEGERS, _VECTOR, ctypes.c_double, _COUNT]),
    "peak": (ctypes.c_float, [_SINGLE, _COUNT]),
    "quantise": (None, [_SINGLE, _COUNT, ctypes.c_float, _COUNT, ctypes.c_void_p]),
    "square_sum": (_COUNT, [ctypes.c_void_p, _COUNT, _COUNT]),
    "inner_products": (None, [*_ROWS, _VECTOR, _VECTOR]),
    "weighted_sum": (None, [*_ROWS, ctypes.c_double, _VECTOR]),
    "trimmed_means": (
        None,
        [*_ROWS, _COUNT, _INTEGERS, _COUNT, ctypes.c_double, _VECTOR, _VECTOR],
    ),
    "ordered_products": (None, [_MATRICES, _MATRICES, *4 * [_COUNT], _MATRICES]),
    "gradients": (None, [*7 * [ctypes.c_void_p], _COUNT, _COUNT, *7 * [ctypes.c_void_p]]),
}
"""The types of each kernel's result and arguments."""


def aligned(numbers: int, kind: npt.DTypeLike = np.float64) -> Array:
    """Return zeros that begin at a multiple of ``ALIGNMENT``, shape (numbers,)."""
    size = numbers * np.dtype(kind).itemsize
    room = np.zeros(size + ALIGNMENT, dtype=np.uint8)
    start = -room.ctypes.data % ALIGNMENT
    return room[start : start + size].view(kind)


@functools.cache
def library() -> Library | None:
    """Return the kernels for this processor, or None if there are none or nobody wants them.

    Raises:
        RunRefused: the environment variable FEDCHAIN_NATIVE names no build that can run here.
    """
    wanted = os.environ.get(SWITCH, "")
    if wanted == "0":
        return None
    base = _open("base")
    usable = () if base is None else BUILDS[: base.level() + 1]
    opened = {build: found for build in usable if (found := _open(build)) is not None}
    if wanted and wanted not in opened:
        allowed = ", ".join(["0 for none", *opened])
        raise RunRefused(f"{SWITCH}: is {wanted}, which cannot run here; allowed: {allowed}")
    if not opened:
        return None
    build = wanted or list(opened)[-1]
    return _library(build, opened[build])


def absence() -> str:
    """Return why this process has no kernels and how to get them; empty if it has them.

    >>> absence() == "" or "10 times" in absence()
    True
    """
    if library() is not None:
        return ""
    cost = "gradients of small convolutions take 5 to 10 times as long"
    if os.environ.get(SWITCH) == "0":
        return f"they are switched off by {SWITCH}=0; {cost}: unset it"
    if _file_of("base") is not None:
        return f"they are of other sources; {cost}: install fedchain again"
    return f"they are not compiled; {cost}: install GCC or clang, then install fedchain again"


def _file_of(build: str) -> Path | None:
    paths = (HERE / f"{build}{suffix}" for suffix in importlib.machinery.EXTENSION_SUFFIXES)
    return next((path for path in paths if path.exists()), None)


def _open(build: str) -> ctypes.CDLL | None:
    """Return a build, or None if it is absent or has another version."""
    path = _file_of(build)
    if path is None:
        return None
    found = ctypes.CDLL(str(path))
    return found if hasattr(found, "version") and found.version() == VERSION else None


def _library(build: str, found: ctypes.CDLL) -> Library:
    kernels = {name: getattr(found, name) for name in SIGNATURES}
    for name, kernel in kernels.items():
        kernel.restype, kernel.argtypes = SIGNATURES[name]
    return Library(build=build, lanes=int(found.lanes()), **kernels)
