"""Inputs of a model in a file of a user: CSV, NPY or NPZ."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import numpy as np

from fedchain.arrays import Array
from fedchain.errors import DataError
from fedchain.scans.formats.contents import Contents, contents
from fedchain.scans.formats.npz import arrays_of

LARGEST_INPUTS = 2**30
"""Size of the largest file of inputs that is read, in bytes."""
INPUT_ENDINGS = (".csv", ".npy", ".npz")
"""Endings of files of inputs."""
ARRAY = "inputs"
"""Name of the array in an NPZ file with several arrays."""


def read_inputs(file: Path, shape: tuple[int, ...]) -> Array:
    """Read the inputs of a model.

    Args:
        file: a CSV file with one example in each line, its numbers in C order, and perhaps a first
            line with names; or an array of shape (examples, ...), as NPY, or as NPZ in which it is
            the only array or called ``inputs``.
        shape: shape of the inputs of one example.

    Returns:
        An array of shape (examples, *shape).

    Raises:
        DataError: the file cannot be read, or has no examples of this shape.
    """
    ending = file.suffix.lower()
    if ending not in INPUT_ENDINGS:
        raise DataError(f"{file}: ends in {ending!r}; allowed: {', '.join(INPUT_ENDINGS)}")
    given = contents(file, LARGEST_INPUTS)
    try:
        found = {".csv": _table, ".npy": _array, ".npz": _array_of_several}[ending](given)
    except ValueError as error:
        words = f"cannot be read: {error}; allowed: numbers, one example a row"
        raise given.fail(words) from error
    count = int(np.prod(shape))
    if found.dtype.kind not in "fiub" or found.ndim < 2 or found[0].size != count:
        had = f"{found.dtype} of shape {found.shape}"
        allowed = f"{count} numbers for each example, as the data of the run have them"
        raise DataError(f"{file}: has {had}; allowed: {allowed}")
    return found.reshape(len(found), *shape)


def _table(file: Contents) -> Array:
    lines = [line for line in csv.reader(io.StringIO(file.data.decode("utf-8-sig"))) if line]
    if lines and not _is_number(lines[0][0]):
        lines = lines[1:]
    if not lines:
        raise ValueError("it has no row of numbers")
    for number, line in enumerate(lines, 1):
        if len(line) != len(lines[0]):
            raise ValueError(f"row {number} has {len(line)} columns, the first {len(lines[0])}")
    return np.array(lines, np.float64)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _array(file: Contents) -> Array:
    loaded: Array = np.load(io.BytesIO(file.data), allow_pickle=False)
    return loaded


def _array_of_several(file: Contents) -> Array:
    arrays = arrays_of(file, LARGEST_INPUTS)
    if len(arrays) == 1:
        return next(iter(arrays.values()))
    if ARRAY not in arrays:
        raise ValueError(f"it has the arrays {', '.join(arrays)[:80]}, and none called {ARRAY}")
    return arrays[ARRAY]
