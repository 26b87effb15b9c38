"""NPZ: numpy's file of named arrays; each array is the field of ``Scan`` with the same name."""

from __future__ import annotations

import io
import math
import tokenize
import zipfile
import zlib
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import IO, Any

import numpy as np

from fedchain.arrays import Array
from fedchain.scans.formats.contents import LARGEST_GRID, Contents, contents
from fedchain.scans.scan import Scan

ArrayShape = tuple[int, ...]

LARGEST_MEMBER = LARGEST_GRID * 3 * 8 + 4096
"""Largest size of an unpacked array, in bytes: enough for the largest grid of float64 points."""
LONGEST_DIRECTORY = 1 << 16
"""Largest size of an archive's list of files, in bytes."""
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
"""Exceptions that numpy raises at a damaged header of an array."""


def read_npz(path: Path) -> Scan:
    """Read a scan from an NPZ file.

    Only the array ``positions``, shape (height, width, 3), is required. Missing normals are
    computed, a missing intensity is 1, and a missing camera is at the origin. Pickled objects are
    never loaded.

    Raises:
        DataError: the file is damaged, truncated, not organised, or does not hold numbers.
    """
    file = contents(path)
    _check_directory(file)
    arrays = arrays_of(file, LARGEST_MEMBER, NAMES, _check_shapes)
    keep = arrays.get("keep")
    return file.scan(
        arrays["positions"],
        arrays.get("camera", np.zeros(3)),
        arrays.get("normals"),
        arrays.get("intensity"),
        None if keep is None else keep.astype(bool),
    )


def _check_shapes(file: Contents, shapes: Mapping[str, ArrayShape]) -> None:
    """Check the shapes of a scan's arrays."""
    if "positions" not in shapes:
        raise file.fail("has no positions; allowed: an array positions of shape (h, w, 3)")
    grid = shapes["positions"]
    if len(grid) != 3 or grid[2] != 3:
        raise file.fail(f"is not organised: positions are {grid}; allowed: (h, w, 3)")
    file.check_grid(grid[1], grid[0])
    wanted = {"normals": grid, "intensity": grid[:2], "keep": grid[:2], "camera": (3,)}
    for name, shape in wanted.items():
        if shapes.get(name, shape) != shape:
            problem = f"{name} has shape {shapes[name]}; allowed: {shape}"
            raise file.fail(f"has arrays that do not fit its {grid[:2]} pixels: {problem}")


def arrays_of(
    file: Contents,
    largest: int,
    names: Collection[str] | None = None,
    check: Callable[[Contents, Mapping[str, ArrayShape]], None] | None = None,
) -> dict[str, Array]:
    """Return the arrays of an NPZ file by name.

    Only the arrays in ``names`` are read, or all if it is None. Before an array is unpacked,
    ``check`` is called with the shapes of the arrays; it may raise.

    Raises:
        DataError: the file is damaged, an array has more than ``largest`` bytes, or an array does
            not hold plain numbers.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(file.data)) as archive:
            listed = [(e.filename.removesuffix(".npy"), e) for e in archive.infolist()]
            entries = [(name, e) for name, e in listed if names is None or name in names]
            if len(dict(entries)) < len(entries):
                raise file.fail("has two arrays of one name; allowed: each once")
            shapes = {}
            for name, entry in entries:
                if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                    raise file.fail(f"packs {entry.filename} in another way than numpy does")
                with archive.open(entry) as member:
                    shapes[name] = _header(file, member, entry.file_size, largest)[0]
            if check is not None:
                check(file, shapes)
            return {name: _array(file, archive, entry, largest) for name, entry in entries}
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, NotImplementedError) as error:
        raise file.fail(f"is damaged: {error}") from error
    except (ValueError, RuntimeError, KeyError) as error:
        raise file.fail(f"is no NPZ of plain arrays: {error}") from error


def _check_directory(file: Contents) -> None:
    """Check the length of the list of files, which zipfile reads as a whole."""
    end = file.data.rfind(b"PK\5\6", -(22 + 65_535))
    size = int.from_bytes(file.data[end + 12 : end + 16], "little") if end >= 0 else 0
    if size > LONGEST_DIRECTORY or file.data.endswith(b"PK\6\7", 0, max(end - 16, 0)):
        raise file.fail(f"has {size} bytes of names; allowed: at most {LONGEST_DIRECTORY}")


def _header(
    file: Contents, member: IO[bytes], size: int, largest: int
) -> tuple[ArrayShape, bool, np.dtype[Any]]:
    """Return the shape of an array, whether it is in Fortran order, and the type of its numbers."""
    if size > largest:
        raise file.fail(f"claims {size} bytes of {member.name}; allowed: at most {largest}")
    version = np.lib.format.read_magic(member)
    if version != (1, 0):
        raise file.fail(f"has an array of version {version}; allowed: (1, 0)")
    try:
        shape, columns_first, kind = np.lib.format.read_array_header_1_0(member)
    except NO_HEADER as error:
        raise file.fail(f"has an array whose header is damaged: {error}") from error
    body = size - member.tell()
    right = math.prod(shape) * kind.itemsize == body and min(shape, default=0) >= 0
    if kind.kind not in "fiub" or not right:
        raise file.fail(f"has an array of {shape} {kind} in {body} bytes; allowed: numbers")
    return shape, columns_first, kind


def _array(file: Contents, archive: zipfile.ZipFile, entry: zipfile.ZipInfo, largest: int) -> Array:
    """Read one array of numbers; the size in its header must match its number of bytes."""
    with archive.open(entry) as member:
        shape, columns_first, kind = _header(file, member, entry.file_size, largest)
        values = np.frombuffer(member.read(), kind, math.prod(shape))
        return values.reshape(shape, order="F" if columns_first else "C")
