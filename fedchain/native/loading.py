"""Loading: it finds the compiled kernels, and chooses the build for this processor.

The kernels are optional. Without them everything works, by numpy and torch.
"""

from __future__ import annotations

import ctypes
import functools
import importlib.machinery
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

BUILDS = ("base", "avx2", "avx512")
"""The builds of the kernels, from the oldest processors to the newest."""
SWITCH = "FEDCHAIN_NATIVE"
"""Environment variable: 0 for no kernels, or the name of a build; empty for the best build."""
HERE = Path(__file__).parent


@dataclass(frozen=True, eq=False)
class Library:
    """The compiled kernels of one build."""

    build: str
    """Name of the build."""
    lanes: int
    """Number of examples in a block."""
    gradients: Callable[..., None]
    """The function ``gradients`` of planes.c."""
    normals: Callable[..., int]
    laplaces: Callable[..., int]
    add_gradient: Callable[..., None]
    squares: Callable[..., float]
    """The functions of numbers.c."""


RESULTS = {
    "gradients": None,
    "normals": ctypes.c_int64,
    "laplaces": ctypes.c_int64,
    "add_gradient": None,
    "squares": ctypes.c_double,
}
"""The type of each kernel's result."""


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
    kernels = {name: getattr(found, name) for name in RESULTS}
    for name, kernel in kernels.items():
        kernel.restype = RESULTS[name]
    return Library(build=build, lanes=int(found.lanes()), **kernels)
