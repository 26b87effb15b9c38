"""The elements of a PLY file: rows of numbers, and rows with lists."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from typing import Literal

import numpy as np

from fedchain.arrays import Array, Wholes
from fedchain.errors import DataError
from fedchain.scans.formats.contents import LARGEST_GRID, LARGEST_SCAN, Contents
from fedchain.scans.formats.ply_header import Element, PlyHeader
from fedchain.scans.formats.text import LONGEST_LINE, read_table

MOST_LISTS = LARGEST_GRID
"""Most lists that are read or passed over."""
MOST_IN_RUN = 1024
"""Most lists that one match of a regular expression takes, which bounds its memory."""


def read_numbers(
    file: Contents, header: PlyHeader, element: Element, start: int
) -> dict[str, Array]:
    """Return the columns of an element without lists, by the name of the property.

    Raises:
        DataError: the file is truncated, or a row holds something else than numbers.
    """
    names = [one.name for one in element.properties]
    if not header.order:
        table = read_table(file, start, len(names), element.count)
        return dict(zip(names, table.T, strict=True))
    rows = file.array(_row(header, element), element.count, start, f"the rows of {element.name}")
    return {name: rows[name] for name in names}


def read_cells(
    file: Contents, header: PlyHeader, element: Element, start: int, vertices: int
) -> Wholes:
    """Return the vertex in each row's list, or -1 for an empty list.

    Raises:
        DataError: the file is truncated, or a list has several entries or another one than 0 to
            ``vertices`` - 1.
    """
    _check_lists(file, element)
    cells = np.full(element.count, -1, np.int64)
    runs = (
        _binary_runs(file, header, element, start)
        if header.order
        else _ascii_runs(file, element, start)
    )
    for row, entries in runs:
        if not ((entries >= 0) & (entries < vertices)).all():
            raise file.fail(f"has a pixel with a vertex beyond its {vertices} vertices")
        cells[row : row + len(entries)] = entries
    return cells


def end_of(file: Contents, header: PlyHeader, element: Element, start: int) -> int:
    """Return the byte at which an element's rows end.

    Raises:
        DataError: the file ends before.
    """
    if not element.properties or not element.count:
        return start
    if not header.order:
        return _after_lines(file, element, start)
    if not element.lists:
        end = start + element.count * _row(header, element).itemsize
        if end > len(file.data):
            raise file.fail(f"is truncated: {element.name} ends at byte {end} of {len(file.data)}")
        return end
    return _after_lists(file, header, element, start)


def _row(header: PlyHeader, element: Element) -> np.dtype[np.void]:
    return np.dtype([(one.name, header.order + one.kind) for one in element.properties])


def _ascii_runs(file: Contents, element: Element, start: int) -> Iterator[tuple[int, Wholes]]:
    """Yield each row with an entry, and the entry, shape (1,)."""
    for row, (_, line) in enumerate(_lines(file, element, start)):
        try:
            count, *entries = map(int, line.split())
        except ValueError as error:
            raise file.fail(f"has a row of {element.name} that is no list: {error}") from error
        if count != len(entries):
            raise file.fail(f"has a list of {len(entries)} entries that claims {count}")
        if count > 1:
            raise _several(file, count)
        if entries:
            yield row, np.array([min(max(entries[0], -1), LARGEST_SCAN)], np.int64)


def _binary_runs(
    file: Contents, header: PlyHeader, element: Element, at: int
) -> Iterator[tuple[int, Wholes]]:
    """Yield the first row of each run of rows with one entry, and the entries, shape (rows,).

    A grid has millions of rows but few runs, which a regular expression finds without a step of
    Python for each row.
    """
    (cell,) = element.properties
    length = np.dtype(header.order + (cell.length or "u1"))
    row_kind = np.dtype([("length", length), ("entry", header.order + cell.kind)])
    empty, single = (re.escape(np.array(count, length).tobytes()) for count in (0, 1))
    size = row_kind.itemsize - length.itemsize
    many = MOST_IN_RUN
    run = re.compile(
        rb"((?:%b){0,%d}+)((?:%b.{%d}){0,%d}+)" % (empty, many, single, size, many), re.DOTALL
    )
    row = 0
    while row < element.count:
        found = run.match(file.data, at)
        if not found or not found[0]:
            count = int(file.array(length, 1, at, f"the rows of {element.name}")[0])
            raise _truncated(file, element) if count == 1 else _several(file, count)
        row += len(found[1]) // length.itemsize
        entries = np.frombuffer(found[2], row_kind)["entry"][: max(element.count - row, 0)]
        yield row, entries.astype(np.int64)
        row, at = row + len(entries), found.end()


def _several(file: Contents, count: int) -> DataError:
    return file.fail(f"has {count} points in one pixel; allowed: one or none")


def _truncated(file: Contents, element: Element) -> DataError:
    return file.fail(f"is truncated: {element.name} ends after byte {len(file.data)}")


def _after_lists(file: Contents, header: PlyHeader, element: Element, at: int) -> int:
    _check_lists(file, element)
    data = file.data
    order: Literal["little", "big"] = "little" if header.order == "<" else "big"
    parts = [
        (int(one.kind[1]), int(one.length[1]) if one.length else 0) for one in element.properties
    ]
    for _ in range(element.count):
        for size, length in parts:
            count = int.from_bytes(data[at : at + length], order) if length else 1
            at += length + count * size
            if at > len(data):
                raise _truncated(file, element)
    return at


def _check_lists(file: Contents, element: Element) -> None:
    lists = element.count * len(element.properties)
    if lists > min(MOST_LISTS, len(file.data)):
        raise file.fail(f"claims {element.count} lists of {element.name}; allowed: {MOST_LISTS}")


def _lines(file: Contents, element: Element, start: int) -> Iterator[tuple[int, bytes]]:
    """Yield the lines of an element that hold something, with the byte at which each ends."""
    stream = io.BytesIO(file.data)
    stream.seek(start)
    left = element.count
    while left:
        line = stream.readline(LONGEST_LINE + 1)
        if not line:
            raise file.fail(f"is truncated: {left} of {element.count} rows of {element.name} lack")
        if line.strip():
            left -= 1
            yield stream.tell(), line


def _after_lines(file: Contents, element: Element, start: int) -> int:
    for end, _ in _lines(file, element, start):
        start = end
    return start
