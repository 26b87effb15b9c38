"""Organised PLY files: one vertex per pixel, row by row; an empty pixel is NaN or the origin."""

from __future__ import annotations

import re
import warnings
from collections.abc import Collection, Mapping
from pathlib import Path

import numpy as np

from fedchain.arrays import Array
from fedchain.scans.formats.contents import Contents, contents
from fedchain.scans.scan import Scan

NUMBER_TYPES = {
    "char": "i1", "uchar": "u1", "short": "i2", "ushort": "u2", "int": "i4", "uint": "u4",
    "float": "f4", "double": "f8", "int8": "i1", "uint8": "u1", "int16": "i2", "uint16": "u2",
    "int32": "i4", "uint32": "u4", "float32": "f4", "float64": "f8",
}  # fmt: skip
"""Numpy's name for each of PLY's number types."""
ORDERS = {"ascii": "", "binary_little_endian": "<", "binary_big_endian": ">"}
LONGEST_HEADER = 1 << 16
MOST_NUMBERS = 1 << 25
"""Largest number of values of an ascii file."""
_CHUNK = 1 << 20
_SPACE = re.compile(rb"\s")
MOST_VERTEX_PROPERTIES = 64
_IS = r"[\s:=]+(\d{1,9})"
_PHOXI = rf"obj_info\s[^(]*\(\s*width{_IS}\s*;\s*height{_IS}\s*;.*"
_WIDTH = re.compile(rf"(?:obj_info\s+num_cols|comment\s+width){_IS}|{_PHOXI}", re.IGNORECASE)
_HEIGHT = re.compile(rf"(?:obj_info\s+num_rows|comment\s+height){_IS}|{_PHOXI}", re.IGNORECASE)
_CAMERA = re.compile(r"^comment\s+camera\s+(\S+)\s+(\S+)\s+(\S+)$")
INTENSITIES = ("intensity", "scalar_intensity", "texture32", "texture", "gray", "grey")
"""Property names that programs use for the intensity, in small letters. The first name that a file
has is read; capitals do not matter."""
LUMA = {"red": 0.299, "green": 0.587, "blue": 0.114}
"""Weight of each colour in the brightness (ITU-R BT.601), for files without an intensity."""


def read_ply(path: Path) -> Scan:
    """Read an organised PLY file, ascii or binary.

    The header gives the size of the grid in one of three forms: ``obj_info num_cols`` and
    ``num_rows``, ``comment width`` and ``comment height``, or
    ``obj_info .. (Width = 24; Height = 16; Ordered)``. PhoXi Control writes the last form, with
    coordinates in millimetres. Missing normals are computed. A missing intensity is the brightness
    of the colours, or 1 without colours.

    Raises:
        DataError: the file is damaged, truncated, not PLY, or not organised.
    """
    file = contents(path)
    lines, length = _header(file)
    formats = [word[1] for line in lines if len(word := line.split()) > 1 and word[0] == "format"]
    order = formats[0] if formats else "none"
    if order not in ORDERS:
        raise file.fail(f"has format {order!r}; allowed: {', '.join(ORDERS)}")
    width, height = _one(file, lines, _WIDTH, 1), _one(file, lines, _HEIGHT, 2)
    file.check_grid(width, height)
    count, fields = _vertices(file, lines)
    if count != width * height:
        raise file.fail(f"is not organised: {count} vertices on {width} x {height} pixels")
    camera = _camera(file, lines)
    metre = 1000 if any(re.fullmatch(_PHOXI, line, re.IGNORECASE) for line in lines) else 1
    if order == "ascii":
        return _scan(file, _ascii(file, length, count, fields), (height, width), camera, metre)
    row = np.dtype([(name, ORDERS[order] + kind) for name, kind in fields.items()])
    rows = file.array(row, count, length, "the vertices")
    return _scan(file, {name: rows[name] for name in fields}, (height, width), camera, metre)


def _header(file: Contents) -> tuple[list[str], int]:
    """Return the lines of the header, and its length in bytes."""
    head = file.data[:LONGEST_HEADER]
    if not re.match(rb"ply\r?\n", head):
        raise file.fail("is no PLY file; allowed: a file that begins with 'ply'")
    end = re.search(rb"\nend_header[ \t]*\r?\n", head)
    if end is None:
        raise file.fail(f"has no end_header in its first {len(head)} bytes")
    text = head[: end.start()].decode("ascii", "replace")
    return [line.strip() for line in text.split("\n")], end.end()


def _one(file: Contents, lines: list[str], pattern: re.Pattern[str], place: int) -> int:
    """Return the width (``place`` 1) or the height (``place`` 2) that the header gives."""
    matches = filter(None, map(pattern.fullmatch, lines))
    found = {int(match[1] or match[1 + place]) for match in matches}
    if len(found) != 1:
        what = ("num_cols (the width)", "num_rows (the height)")[place - 1]
        said = " and ".join(map(str, sorted(found))) or "nothing"
        raise file.fail(f"is not organised: says {said} as {what}; allowed: one number")
    return found.pop()


def _vertices(file: Contents, lines: list[str]) -> tuple[int, dict[str, str]]:
    """Return the number of vertices, and the number type of each vertex property by name."""
    # The vertices must be the first element of the file.
    words = [line.split() for line in lines]
    elements = [place for place, word in enumerate(words) if word[:1] == ["element"]]
    first = words[elements[0]] if elements else []
    if len(first) != 3 or first[1] != "vertex" or not re.fullmatch(r"\d{1,12}", first[2]):
        raise file.fail("does not begin with its vertices; allowed: 'element vertex COUNT' first")
    stop = elements[1] if len(elements) > 1 else len(words)
    properties = [word for word in words[elements[0] + 1 : stop] if word[:1] == ["property"]]
    if len(properties) > MOST_VERTEX_PROPERTIES:
        raise file.fail(
            f"has {len(properties)} properties; allowed: at most {MOST_VERTEX_PROPERTIES}"
        )
    for word in properties:
        if len(word) != 3 or word[1] not in NUMBER_TYPES:
            raise file.fail(f"has property {' '.join(word[1:])!r}; allowed: one number each")
    names = [word[2] for word in properties]
    if not {"x", "y", "z"} <= set(names) or len(set(names)) != len(names):
        raise file.fail(f"has the properties {', '.join(names)}; allowed: x, y, z, each once")
    return int(first[2]), {word[2]: NUMBER_TYPES[word[1]] for word in properties}


def _camera(file: Contents, lines: list[str]) -> Array:
    found = next((match.groups() for line in lines if (match := _CAMERA.match(line))), (0, 0, 0))
    try:
        return np.array([float(value) for value in found])
    except ValueError as error:
        raise file.fail(f"has a camera that is no place: {error}") from error


@np.errstate(all="ignore")  # of numbers beyond float32
def _ascii(file: Contents, length: int, count: int, names: Collection[str]) -> dict[str, Array]:
    """Return the columns of the vertices, by the name of the property."""
    numbers, data, filled = count * len(names), file.data, 0
    if numbers > MOST_NUMBERS:
        raise file.fail(f"has {numbers} numbers as text; allowed: {MOST_NUMBERS}, or a binary file")
    if 2 * numbers > len(data) - length + 1:
        raise file.fail(f"is truncated: too short for {count} vertices")
    table = np.empty(numbers, np.float32)
    while filled < numbers and length < len(data):
        end = _SPACE.search(data, length + _CHUNK)
        stop = end.start() if end else len(data)
        values = _values(file, data[length:stop].strip(), numbers - filled)
        table[filled : filled + len(values)] = values
        filled, length = filled + len(values), stop
    if filled < numbers:
        raise file.fail(f"is truncated: {filled} of {numbers} numbers")
    return dict(zip(names, table.reshape(count, -1).T, strict=True))


def _values(file: Contents, text: bytes, most: int) -> Array:
    """Return the first ``most`` numbers of a text, or fewer if the text has fewer."""
    if not text:
        return np.empty(0)
    try:
        with warnings.catch_warnings(action="error"):  # of a numpy that does not raise
            return np.fromstring(text, sep=" ")[:most]
    except (ValueError, DeprecationWarning):
        words = text.split(maxsplit=most)[:most]
    return np.array([_number(file, word) for word in words])


def _number(file: Contents, word: bytes) -> float:
    try:
        if b"_" not in word:  # Python would take 1_000 for a thousand
            return float(word)
    except ValueError:
        pass
    wrong = word[:40].decode("ascii", "replace")
    raise file.fail(f"has a vertex with {wrong}; allowed: numbers and nan")


@np.errstate(all="ignore")  # of damaged numbers
def _scan(
    file: Contents, table: Mapping[str, Array], shape: tuple[int, int], camera: Array, metre: int
) -> Scan:
    """Return the scan of a table of vertices; ``metre`` is a metre in the table's unit."""
    points = np.stack([table[axis].astype(np.float32) for axis in "xyz"], axis=-1)
    points /= np.float32(metre)
    grids = {name.lower(): column.reshape(shape) for name, column in table.items()}
    light = next((grids[name] for name in INTENSITIES if name in grids), None)
    if light is None and grids.keys() >= LUMA.keys():
        light = np.sum([share * grids[colour] for colour, share in LUMA.items()], axis=0)
    normals = None
    if {"nx", "ny", "nz"} <= table.keys():
        normals = np.stack([table[axis] for axis in ("nx", "ny", "nz")], -1).reshape(*shape, 3)
    return file.scan(points.reshape(*shape, 3), camera / metre, normals, light)
