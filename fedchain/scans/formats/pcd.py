"""PCD: the format of the Point Cloud Library, as text, binary or binary_compressed.

A file is organised if HEIGHT is above 1: WIDTH x HEIGHT points stand row by row, and an empty pixel
is NaN. VIEWPOINT gives the position of the camera.

Reference:
    Point Cloud Library, "The PCD (Point Cloud Data) file format", version 0.7.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from fedchain.arrays import Array
from fedchain.scans.formats.columns import NORMAL_NAMES, points_of_columns, rows_of, table_of
from fedchain.scans.formats.contents import LONGEST_HEADER, Contents
from fedchain.scans.formats.file_points import FilePoints
from fedchain.scans.formats.lzf import unpack_lzf
from fedchain.scans.formats.notes import noted, notes_of
from fedchain.scans.formats.text import read_table

MOST_FIELDS = 64
MOST_NUMBERS_OF_A_POINT = 1 << 12
LARGEST_UNPACKED = 1 << 28
"""Bytes of the largest packed file, unpacked: 32 for each pixel of the largest grid."""
_KINDS = {"F": "f", "I": "i", "U": "u"}
SIZES = {"F": (4, 8), "I": (1, 2, 4, 8), "U": (1, 2, 4, 8)}
"""Bytes that a number of each of PCD's types may have."""
PACKED_COLOURS = ("rgb", "rgba")
"""Names of fields whose 32 bits are alpha, red, green and blue."""
DATA = ("ascii", "binary", "binary_compressed")
NEEDED = ("FIELDS", "SIZE", "TYPE", "WIDTH", "HEIGHT", "DATA")
NO_PLACE = [0.0, 0.0, 0.0]


@dataclass(frozen=True)
class PcdHeader:
    """What stands in the header of a PCD file."""

    fields: tuple[tuple[str, str, int], ...]
    """Name, numpy's type and count of numbers of each field."""
    width: int
    height: int
    data: str
    """How the numbers are written: one of ``DATA``."""
    viewpoint: tuple[float, ...]
    """Position of the camera and a quaternion, 7 numbers, or nothing."""
    comments: tuple[str, ...]
    end: int
    """Byte at which the numbers begin."""

    @property
    def row(self) -> np.dtype[np.void]:
        """Type of one point."""
        return np.dtype([(name, kind, (count,)) for name, kind, count in self.fields])


def read_pcd(file: Contents) -> FilePoints:
    """Read a PCD file.

    Raises:
        DataError: the file is damaged, truncated or not PCD.
    """
    header = _header(file)
    many = header.width * header.height
    if header.data == "ascii":
        table = _text(file, header, many)
    elif header.data == "binary":
        rows = file.array(header.row, many, header.end, "the points")
        table = {name: rows[name][:, 0] for name, _, count in header.fields if count == 1}
    else:
        table = _unpacked(file, header, many)
    points = points_of_columns(file, _colours(table))
    if header.viewpoint and list(header.viewpoint[:3]) != NO_PLACE:
        points = replace(points, camera=np.array(header.viewpoint[:3]))
    points = noted(file, points, header.comments)
    if header.height == 1:
        return replace(points, why="its HEIGHT is 1, which means no grid; allowed: 2 or more")
    file.check_grid(header.width, header.height)
    return replace(points, grid=(header.height, header.width))


def pcd_keeps(file: Contents) -> bool:
    """Return whether the header of a PCD file names a mask of the points to keep."""
    return any(name.lower() == "keep" for name, _, _ in _header(file).fields)


def _header(file: Contents) -> PcdHeader:
    head = file.data[:LONGEST_HEADER]
    end = re.search(rb"(?:^|\n)DATA[ \t]+(\w+)[ \t]*\r?\n", head)
    if end is None:
        raise file.fail(f"is no PCD file: has no line DATA in its first {len(head)} bytes")
    lines = head[: end.end()].decode("ascii", "replace").splitlines()
    words = {line.split()[0]: line.split()[1:] for line in lines if line.strip()}
    missing = [name for name in NEEDED if not words.get(name)]
    if missing:
        raise file.fail(f"has no {', '.join(missing)}; allowed: all of {', '.join(NEEDED)}")
    if words["DATA"] != [words["DATA"][0]] or words["DATA"][0] not in DATA:
        raise file.fail(f"has DATA {' '.join(words['DATA'])}; allowed: {', '.join(DATA)}")
    width, height = (_whole(file, name, words[name]) for name in ("WIDTH", "HEIGHT"))
    points = _whole(file, "POINTS", words.get("POINTS", [str(width * height)]))
    if points != width * height or not points:
        raise file.fail(f"has {points} points on {width} x {height}; allowed: the same number")
    return PcdHeader(
        fields=_fields(file, words),
        width=width,
        height=height,
        data=words["DATA"][0],
        viewpoint=_viewpoint(file, words.get("VIEWPOINT", [])),
        comments=tuple(line.lstrip("# ") for line in lines if line.startswith("#")),
        end=end.end(),
    )


def _whole(file: Contents, name: str, words: list[str]) -> int:
    if len(words) != 1 or not re.fullmatch(r"[0-9]{1,12}", words[0]):
        raise file.fail(f"has {name} {' '.join(words)[:80]}; allowed: a whole number")
    return int(words[0])


def _fields(file: Contents, words: dict[str, list[str]]) -> tuple[tuple[str, str, int], ...]:
    names, types = words["FIELDS"], words["TYPE"]
    counts = words.get("COUNT", ["1"] * len(names))
    if not len(names) == len(types) == len(words["SIZE"]) == len(counts) <= MOST_FIELDS:
        raise file.fail(f"has {len(names)} FIELDS and other numbers of SIZE, TYPE or COUNT")
    fields = []
    for place, (name, kind) in enumerate(zip(names, types, strict=True)):
        size = _whole(file, "SIZE", words["SIZE"][place : place + 1])
        count = _whole(file, "COUNT", counts[place : place + 1])
        if size not in SIZES.get(kind, ()) or not 0 < count <= MOST_NUMBERS_OF_A_POINT:
            raise file.fail(f"has {count} numbers {kind}{size} in {name}; allowed: F4, F8, I, U")
        # A padding field is called _, perhaps several times.
        fields.append((f"_{place}" if name == "_" else name, f"<{_KINDS[kind]}{size}", count))
    if len({name for name, _, _ in fields}) < len(fields):
        raise file.fail(f"has the FIELDS {' '.join(names)[:200]}; allowed: each name once")
    return tuple(fields)


def _viewpoint(file: Contents, words: list[str]) -> tuple[float, ...]:
    try:
        numbers = tuple(float(word) for word in words)
    except ValueError as error:
        raise file.fail(f"has a VIEWPOINT with something else than numbers: {error}") from error
    if len(numbers) not in (0, 7):
        raise file.fail(f"has {len(numbers)} numbers as VIEWPOINT; allowed: 7")
    return numbers


def _text(file: Contents, header: PcdHeader, points: int) -> dict[str, Array]:
    # A packed colour is a whole number up to 2^32, which float32 would round.
    packed = any(name in PACKED_COLOURS for name, _, _ in header.fields)
    kind = np.float64 if packed else np.float32
    wide = sum(count for _, _, count in header.fields)
    table = read_table(file, header.end, wide, points, kind=kind)
    columns, place = {}, 0
    for name, number, count in header.fields:
        if count == 1:
            column = table[:, place]
            columns[name] = _stored(column, number) if name in PACKED_COLOURS else column
        place += count
    return columns


@np.errstate(all="ignore")  # of numbers that the type cannot hold
def _stored(column: Array, kind: str) -> Array:
    """Return a column of text in the type that the header gives; what is not finite becomes 0."""
    return np.asarray(np.nan_to_num(column, posinf=0, neginf=0).astype(kind))


def _unpacked(file: Contents, header: PcdHeader, points: int) -> dict[str, Array]:
    """Return the columns of a packed file, in which each field stands as a whole."""
    packed, size = (file.number("<u4", header.end + at, "the sizes") for at in (0, 4))
    wanted = points * header.row.itemsize
    if size != wanted or size > LARGEST_UNPACKED:
        raise file.fail(f"unpacks to {size} bytes; allowed: {wanted}, at most {LARGEST_UNPACKED}")
    start = header.end + 8
    if start + packed > len(file.data):
        raise file.fail(f"is truncated: {packed} packed bytes after byte {start}")
    try:
        data = unpack_lzf(file.data[start : start + packed], size)
    except ValueError as error:
        raise file.fail(f"is damaged: {error}") from error
    columns, at = {}, 0
    for name, kind, count in header.fields:
        if count == 1:
            columns[name] = np.frombuffer(data, kind, points, at)
        at += points * count * np.dtype(kind).itemsize
    return columns


def _colours(table: dict[str, Array]) -> dict[str, Array]:
    """Return the columns with a packed ``rgb`` or ``rgba`` as three columns of colours."""
    packed = next((table[name] for name in PACKED_COLOURS if name in table), None)
    if packed is None or packed.dtype.itemsize != 4:
        return table
    words = np.ascontiguousarray(packed).view(np.uint32)
    shifts = {"red": 16, "green": 8, "blue": 0}
    return {**table, **{name: words >> shift & 255 for name, shift in shifts.items()}}


def pcd_bytes(points: FilePoints) -> Iterator[bytes]:
    """Yield the parts of a binary PCD file of points in metres."""
    rows = rows_of(table_of(points, NORMAL_NAMES[1]))
    names = rows.dtype.names or ()
    height, width = points.grid or (1, len(rows))
    place = NO_PLACE if points.camera is None else [float(value) for value in points.camera]
    kinds = [rows.dtype[name] for name in names]
    lines = [
        "# .PCD v0.7 - Point Cloud Data file format",
        *(f"# {note}" for note in notes_of(points)),
        "VERSION 0.7",
        f"FIELDS {' '.join(names)}",
        f"SIZE {' '.join(str(kind.itemsize) for kind in kinds)}",
        f"TYPE {' '.join(kind.kind.upper() for kind in kinds)}",
        f"COUNT {' '.join('1' for _ in names)}",
        f"WIDTH {width}",
        f"HEIGHT {height}",
        f"VIEWPOINT {' '.join(map(repr, place))} 1 0 0 0",
        f"POINTS {len(rows)}",
        "DATA binary\n",
    ]
    yield "\n".join(lines).encode()
    yield rows.tobytes()
