"""NPZ and NPY: numpy's files of named arrays, and of one array."""

from __future__ import annotations

import io
import math
import tokenize
import zipfile
import zlib
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from typing import IO, Any

import numpy as np

from fedchain.arrays import Array
from fedchain.scans.formats.contents import LARGEST_GRID, LARGEST_SCAN, Contents
from fedchain.scans.formats.file_points import FilePoints
from fedchain.scans.formats.notes import CAMERA_NUMBERS, numbers_of, view_of

ArrayShape = tuple[int, ...]

LARGEST_MEMBER = LARGEST_GRID * 3 * 8 + 4096
"""Largest size of an unpacked array, in bytes: enough for the largest grid of float64 points."""
LONGEST_DIRECTORY = 1 << 16
"""Largest size of an archive's list of files, in bytes."""
NAMES = ("positions", "points", "normals", "intensity", "camera", "keep", "view")

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


def read_npz(file: Contents) -> FilePoints:
    """Read a scan or a cloud from an NPZ file.

    An organised scan has ``positions`` of shape (height, width, 3), a cloud has ``points`` or
    ``positions`` of shape (n, 3). ``normals``, ``intensity`` and ``keep`` have the same shape,
    without the last axis except for normals; ``camera`` has the shape (3,), and ``view`` the 21
    numbers of a ``Camera``. All but the points may lack. Pickled objects are never loaded.

    Raises:
        DataError: the file is damaged, truncated, or does not hold numbers.
    """
    _check_directory(file)
    arrays = arrays_of(file, LARGEST_MEMBER, NAMES, _check_shapes)
    positions = arrays["positions"] if "positions" in arrays else arrays["points"]
    normals, intensity, keep = (arrays.get(name) for name in ("normals", "intensity", "keep"))
    view = view_of(arrays["view"]) if "view" in arrays else None
    if "view" in arrays and view is None:
        raise file.fail(f"has the view {arrays['view'].tolist()}; allowed: a camera")
    return FilePoints(
        points=positions.reshape(-1, 3),
        normals=None if normals is None else normals.reshape(-1, 3),
        intensity=None if intensity is None else intensity.reshape(-1),
        keep=None if keep is None else keep.reshape(-1).astype(bool),
        grid=positions.shape[:2] if positions.ndim == 3 else None,
        why=f"its points are an array {positions.shape}; allowed: (height, width, 3)",
        camera=arrays.get("camera", None if view is None else view.position),
        view=view,
    )


def npz_keeps(file: Contents) -> bool:
    """Return whether an NPZ file has an array ``keep``; no array is unpacked.

    Raises:
        DataError: the file is damaged.
    """
    _check_directory(file)
    with _refusals(file), zipfile.ZipFile(io.BytesIO(file.data)) as archive:
        return "keep.npy" in archive.namelist()


def npz_bytes(points: FilePoints) -> Iterator[bytes]:
    """Yield an NPZ file of points in metres: the arrays that ``read_npz`` reads, deflated."""
    shape = points.grid or (len(points.points),)
    name = "points" if points.grid is None else "positions"
    arrays: dict[str, Any] = {name: points.points.astype(np.float32).reshape(*shape, 3)}
    if points.normals is not None:
        arrays["normals"] = points.normals.astype(np.float32).reshape(*shape, 3)
    if points.intensity is not None:
        arrays["intensity"] = points.intensity.astype(np.float32).reshape(shape)
    if points.keep is not None:
        arrays["keep"] = points.keep.reshape(shape)
    if points.camera is not None:
        arrays["camera"] = points.camera.astype(np.float32)
    if points.view is not None:
        arrays["view"] = numbers_of(points.view)
    packed = io.BytesIO()
    np.savez_compressed(packed, **arrays)
    yield packed.getvalue()


def read_npy(file: Contents) -> FilePoints:
    """Read a NPY file: one array of points, shape (n, 3) or, organised, (height, width, 3).

    Raises:
        DataError: the file is damaged or truncated, or holds something else than such points.
    """
    with _refusals(file):
        stream = io.BytesIO(file.data)
        shape, columns_first, kind = _header(file, stream, "the file", len(file.data), LARGEST_SCAN)
        _check_points(file, shape)
        points = _values(stream.read(), shape, columns_first, kind)
    return FilePoints(
        points=points.reshape(-1, 3),
        grid=points.shape[:2] if points.ndim == 3 else None,
        why=f"its points are an array {points.shape}; allowed: (height, width, 3)",
    )


def npy_bytes(points: FilePoints) -> Iterator[bytes]:
    """Yield a NPY file of points in metres, float32."""
    packed = io.BytesIO()
    shape = points.grid or (len(points.points),)
    np.save(packed, points.points.astype(np.float32).reshape(*shape, 3))
    yield packed.getvalue()


def _check_points(file: Contents, shape: ArrayShape) -> None:
    """Check the shape of an array of points."""
    if len(shape) not in (2, 3) or shape[-1] != 3 or 0 in shape:
        raise file.fail(f"has points {shape}; allowed: (n, 3) or, organised, (height, width, 3)")
    if len(shape) == 3:
        file.check_grid(shape[1], shape[0])


def _check_shapes(file: Contents, shapes: Mapping[str, ArrayShape]) -> None:
    """Check the shapes of the arrays."""
    names = [name for name in ("positions", "points") if name in shapes]
    if len(names) != 1:
        raise file.fail(f"has {len(names)} arrays of points; allowed: positions or points")
    points = shapes[names[0]]
    _check_points(file, points)
    wanted = {"normals": points, "intensity": points[:-1], "keep": points[:-1], "camera": (3,)}
    for name, shape in {**wanted, "view": (CAMERA_NUMBERS,)}.items():
        if shapes.get(name, shape) != shape:
            problem = f"{name} has shape {shapes[name]}; allowed: {shape}"
            raise file.fail(f"has arrays that do not fit its points {points[:-1]}: {problem}")


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
    with _refusals(file), zipfile.ZipFile(io.BytesIO(file.data)) as archive:
        listed = [(e.filename.removesuffix(".npy"), e) for e in archive.infolist()]
        entries = [(name, e) for name, e in listed if names is None or name in names]
        if len(dict(entries)) < len(entries):
            raise file.fail("has two arrays of one name; allowed: each once")
        shapes = {}
        for name, entry in entries:
            if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                raise file.fail(f"packs {entry.filename} in another way than numpy does")
            with archive.open(entry) as member:
                shapes[name] = _header(file, member, entry.filename, entry.file_size, largest)[0]
        if check is not None:
            check(file, shapes)
        return {name: _array(file, archive, entry, largest) for name, entry in entries}


@contextmanager
def _refusals(file: Contents) -> Iterator[None]:
    """Turn what numpy and zipfile raise at damaged bytes into a DataError."""
    try:
        yield
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, NotImplementedError) as error:
        raise file.fail(f"is damaged: {error}") from error
    except (ValueError, RuntimeError, KeyError) as error:
        raise file.fail(f"is no file of plain arrays: {error}") from error


def _check_directory(file: Contents) -> None:
    """Check the length of the list of files, which zipfile reads as a whole."""
    end = file.data.rfind(b"PK\5\6", -(22 + 65_535))
    size = int.from_bytes(file.data[end + 12 : end + 16], "little") if end >= 0 else 0
    if size > LONGEST_DIRECTORY or file.data.endswith(b"PK\6\7", 0, max(end - 16, 0)):
        raise file.fail(f"has {size} bytes of names; allowed: at most {LONGEST_DIRECTORY}")


def _header(
    file: Contents, member: IO[bytes], name: str, size: int, largest: int
) -> tuple[ArrayShape, bool, np.dtype[Any]]:
    """Return the shape of an array, whether it is in Fortran order, and the type of its numbers."""
    if size > largest:
        raise file.fail(f"claims {size} bytes of {name}; allowed: at most {largest}")
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
        header = _header(file, member, entry.filename, entry.file_size, largest)
        # Without a size, zipfile unpacks up to 2 GB before it compares them with what is claimed.
        return _values(member.read(entry.file_size), *header)


def _values(data: bytes, shape: ArrayShape, columns_first: bool, kind: np.dtype[Any]) -> Array:
    values = np.frombuffer(data, kind, math.prod(shape))
    return values.reshape(shape, order="F" if columns_first else "C")
