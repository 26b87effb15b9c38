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

from fedchain.arrays import Single, Vector, Words

BUILDS = ("base", "avx2", "avx512")
"""The builds of the kernels, from the oldest processors to the newest."""
SWITCH = "FEDCHAIN_NATIVE"
"""Environment variable: 0 for no kernels, or the name of a build; empty for the best build."""
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
    """The functions of numbers.c. They refuse arrays of another type and arrays with gaps; the last
    argument is the number of entries that all arrays have."""


def _flat(kind: npt.DTypeLike) -> Any:
    """Return the type of an argument that is a flat array without gaps."""
    return np.ctypeslib.ndpointer(kind, ndim=1, flags="C_CONTIGUOUS")


_WORDS, _SINGLE, _VECTOR = map(_flat, (np.uint32, np.float32, np.float64))
_COUNT = ctypes.c_int64
SIGNATURES: Mapping[str, tuple[Any, Sequence[Any]]] = {
    "normals": (_COUNT, [_WORDS, _SINGLE, _COUNT]),
    "laplaces": (_COUNT, [_WORDS, _SINGLE, _COUNT]),
    "add_gradient": (None, [_SINGLE, ctypes.c_float, _VECTOR, _COUNT]),
    "squares": (ctypes.c_double, [_SINGLE, _COUNT]),
    "gradients": (None, [*6 * [ctypes.c_void_p], _COUNT, *7 * [ctypes.c_void_p]]),
}
"""The types of each kernel's result and arguments."""


@functools.cache
def library() -> Library | None:
    """Return the kernels for this processor, or None if there are none or nobody wants them.

    Raises:
        ValueError: the environment variable FEDCHAIN_NATIVE names a build that does not exist here.
    """
    wanted = os.environ.get(SWITCH, "")
    if wanted == "0":
        return None
    base = _open("base")
    if wanted:
        found = _open(wanted) if wanted in BUILDS else None
        if found is None:
            raise ValueError(
                f"{SWITCH}: must be 0 or one of {', '.join(BUILDS)} that is installed, got {wanted}"
            )
        return _library(wanted, found)
    if base is None:
        return None
    best = int(base.level())
    for build in reversed(BUILDS[: best + 1]):
        if (found := _open(build)) is not None:
            return _library(build, found)
    return None


def _open(build: str) -> ctypes.CDLL | None:
    for suffix in importlib.machinery.EXTENSION_SUFFIXES:
        path = HERE / f"{build}{suffix}"
        if path.exists():
            return ctypes.CDLL(str(path))
    return None


def _library(build: str, found: ctypes.CDLL) -> Library:
    kernels = {name: getattr(found, name) for name in SIGNATURES}
    for name, kernel in kernels.items():
        kernel.restype, kernel.argtypes = SIGNATURES[name]
    return Library(build=build, lanes=int(found.lanes()), **kernels)
