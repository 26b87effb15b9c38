"""NPZ: numpy's file of named arrays; each array is the field of ``Scan`` with the same name."""

from __future__ import annotations

import io
import math
import tokenize
import zipfile
import zlib
from collections.abc import Collection
from pathlib import Path
from typing import IO

import numpy as np

from fedchain.arrays import Array
from fedchain.scans.formats.contents import LARGEST_GRID, Contents, contents
from fedchain.scans.scan import Scan

LARGEST_MEMBER = LARGEST_GRID * 3 * 8 + 4096
"""Largest size of an unpacked array, in bytes: enough for the largest grid of float64 points."""
NAMES = ("positions", "normals", "intensity", "camera", "keep")

NO_HEADER = (
    ValueError,
    TypeError,
    LookupError,
    SyntaxError,
    tokenize.TokenError,
    MemoryError,
    RecursionError,
)
"""What numpy raises at a damaged header, which is the text of a Python dictionary."""


def read_npz(path: Path) -> Scan:
    """Read a scan from an NPZ file; only the array ``positions``, (h, w, 3), is required.

    Missing normals are computed, a missing intensity is 1, and a missing camera is at the origin.
    Pickled objects are never loaded.

    Raises:
        DataError: the file is damaged, truncated, not organised, or does not hold numbers.
    """
    file = contents(path)
    arrays = arrays_of(file, LARGEST_MEMBER, NAMES)
    if "positions" not in arrays:
        raise file.fail("has no positions; allowed: an array positions of shape (h, w, 3)")
    positions = arrays["positions"]
    if positions.ndim != 3 or positions.shape[2] != 3:
        raise file.fail(f"is not organised: positions are {positions.shape}; allowed: (h, w, 3)")
    file.check_grid(positions.shape[1], positions.shape[0])
    keep = arrays.get("keep")
    return file.scan(
        positions,
        arrays.get("camera", np.zeros(3)),
        arrays.get("normals"),
        arrays.get("intensity"),
        None if keep is None else keep.astype(bool),
    )


def arrays_of(
    file: Contents, largest: int, names: Collection[str] | None = None
) -> dict[str, Array]:
    """Return the arrays of an NPZ file by name: those called ``names``, or all if it is None.

    Raises:
        DataError: the file is damaged, an array has more than ``largest`` bytes, or one does not
            hold plain numbers.
    """
    found = {}
    try:
        with zipfile.ZipFile(io.BytesIO(file.data)) as archive:
            for entry in archive.infolist():
                name, size = entry.filename.removesuffix(".npy"), entry.file_size
                if names is not None and name not in names:
                    continue
                if size > largest:
                    raise file.fail(
                        f"claims {size} bytes of {entry.filename}; allowed: at most {largest}"
                    )
                found[name] = _array(file, archive.open(entry), size)
            return found
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, NotImplementedError) as error:
        raise file.fail(f"is damaged: {error}") from error
    except (ValueError, RuntimeError, KeyError) as error:
        raise file.fail(f"is no NPZ of plain arrays: {error}") from error


def _array(file: Contents, member: IO[bytes], size: int) -> Array:
    """Read one array of numbers; the size in its header must match its number of bytes."""
    with member:
        version = np.lib.format.read_magic(member)
        if version != (1, 0):
            raise file.fail(f"has an array of version {version}; allowed: (1, 0)")
        try:
            shape, columns_first, kind = np.lib.format.read_array_header_1_0(member)
        except NO_HEADER as error:
            raise file.fail(f"has an array whose header is damaged: {error}") from error
        body = size - member.tell()
        count = math.prod(shape)
        if kind.kind not in "fiub" or count * kind.itemsize != body or min(shape, default=0) < 0:
            raise file.fail(f"has an array of {shape} {kind} in {body} bytes; allowed: numbers")
        values = np.frombuffer(member.read(body), kind, count)
        return values.reshape(shape, order="F" if columns_first else "C")
