"""XYZ: text with one point a line; it has no grid.

Numbers are separated by spaces, tabs, commas or semicolons. Empty lines, and lines that begin with
``#`` or ``//``, are skipped. Such a line may name the columns before the first point (``# x y z
intensity``, ``//X,Y,Z``); so may a first line without ``#``. Without names, three numbers are x y
z, four x y z intensity, six x y z nx ny nz, and seven x y z intensity nx ny nz. Six numbers are x y
z and colours if the last three are whole numbers from 0 to 255 that are no unit normals.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterable, Iterator

import numpy as np

from fedchain.arrays import Array
from fedchain.scans.formats.columns import points_of_columns, table_of
from fedchain.scans.formats.contents import LONGEST_HEADER, Contents
from fedchain.scans.formats.file_points import FilePoints
from fedchain.scans.formats.notes import noted, notes_of
from fedchain.scans.formats.text import LONGEST_LINE, read_table, written_lines

XYZ_COLUMNS = {
    3: ("x", "y", "z"),
    4: ("x", "y", "z", "intensity"),
    6: ("x", "y", "z", "nx", "ny", "nz"),
    7: ("x", "y", "z", "intensity", "nx", "ny", "nz"),
}
"""Names of the columns, by their number, in a file that does not name them."""
COLOURED = ("x", "y", "z", "red", "green", "blue")
MOST_COLUMNS = 64
UNIT_ERROR = 0.05
"""Largest error of the length of a normal that counts as a unit normal."""
_WORD = re.compile(r"[^\s,;]+")


def read_xyz(file: Contents) -> FilePoints:
    """Read a file of text with one point a line.

    Raises:
        DataError: a line holds something else than the numbers of a point, or the columns are
            neither named nor known by their number.
    """
    notes, first, start = _opening(file)
    separator = next((sign for sign in ",;" if sign in first), None)
    if separator and any(len(part.split()) > 1 for part in first.split(separator)):
        raise file.fail(f"has the line {first[:80]!r}; allowed: decimal points, not commas")
    words = _WORD.findall(first)
    names = _names(words) or next(filter(None, (_names(_WORD.findall(n)) for n in notes)), None)
    named_here = _names(words) is not None
    if named_here:
        start += len(first.encode("latin-1"))
    count = len(names or words)
    if names is None and count not in XYZ_COLUMNS:
        known = ", ".join(map(str, XYZ_COLUMNS))
        raise file.fail(f"has {count} words a line without their names; allowed: {known} numbers")
    if count > MOST_COLUMNS:
        raise file.fail(f"has {count} columns; allowed: at most {MOST_COLUMNS}")
    # The commas of a heading say nothing about the lines below it.
    separator = _separator(file, start) if named_here else separator
    table = read_table(file, start, count, separator=separator)
    if names is None:
        names = COLOURED if count == 6 and _are_colours(table[:, 3:]) else XYZ_COLUMNS[count]
    columns = dict(zip(names, table.T, strict=True))
    if len(columns) < len(names):
        raise file.fail(f"has the columns {', '.join(names)}; allowed: each name once")
    return noted(file, points_of_columns(file, columns), notes)


def _opening(file: Contents) -> tuple[list[str], str, int]:
    """Return the comments at the beginning, the first other line, and where that line begins."""
    notes: list[str] = []
    at = len(codecs.BOM_UTF8) if file.data.startswith(codecs.BOM_UTF8) else 0
    while at < min(len(file.data), LONGEST_HEADER):
        end = file.data.find(b"\n", at, at + LONGEST_LINE)
        stop = end + 1 if end >= 0 else min(len(file.data), at + LONGEST_LINE)
        line = file.data[at:stop].decode("latin-1")
        if line.strip() and not line.lstrip().startswith(("#", "//")):
            return notes, line, at
        if line.strip():
            notes.append(line.strip().lstrip("#/ ").strip())
        at = stop
    raise file.fail("holds no point; allowed: text with one point a line")


def _separator(file: Contents, start: int) -> str | None:
    line = file.data[start : start + LONGEST_LINE].partition(b"\n")[0]
    return next((sign for sign in ",;" if sign.encode() in line), None)


def _names(words: Iterable[str]) -> tuple[str, ...] | None:
    """Return the names of the columns, in small letters, or None if the words are no such names."""
    names = tuple(word.lower() for word in words)
    return names if {"x", "y", "z"} <= set(names) else None


def _are_colours(values: Array) -> bool:
    """Return whether three columns hold colours rather than unit normals."""
    known = values[np.isfinite(values).all(axis=1)]
    whole = (known >= 0) & (known <= 255) & (known == np.rint(known))
    lengths = np.sqrt((known.astype(np.float64) ** 2).sum(axis=1))
    units = np.abs(lengths - 1) <= UNIT_ERROR
    return bool(whole.all() and not (units | (lengths == 0)).all())


def xyz_text(points: FilePoints) -> Iterator[str]:
    """Yield the text of points in metres that have no grid."""
    columns = table_of(points)
    columns.pop("keep", None)
    table = np.stack(list(columns.values()), axis=-1)
    yield "".join(f"# {note}\n" for note in notes_of(points))
    yield f"# {' '.join(columns)}\n"
    yield from written_lines(table)
