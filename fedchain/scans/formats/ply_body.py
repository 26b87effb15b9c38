"""The elements of a PLY file: rows of numbers, and rows with lists."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Literal

import numpy as np

from fedchain.arrays import Array, Wholes
from fedchain.scans.formats.contents import LARGEST_GRID, Contents
from fedchain.scans.formats.ply_header import Element, PlyHeader
from fedchain.scans.formats.text import LONGEST_LINE, read_table

MOST_LISTS = LARGEST_GRID
"""Most lists that are read or passed over one by one."""


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
    lists = _lists(file, header, element, start)
    for row, (_, entries) in zip(range(element.count), lists, strict=False):
        if len(entries) > 1:
            raise file.fail(f"has {len(entries)} points in one pixel; allowed: one or none")
        if entries and not 0 <= entries[0] < vertices:
            raise file.fail(f"has a pixel with a vertex beyond its {vertices} vertices")
        if entries:
            cells[row] = entries[0]
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
    for end, _ in _binary_lists(file, header, element, start):
        start = end
    return start


def _row(header: PlyHeader, element: Element) -> np.dtype[np.void]:
    return np.dtype([(one.name, header.order + one.kind) for one in element.properties])


def _lists(
    file: Contents, header: PlyHeader, element: Element, start: int
) -> Iterator[tuple[int, list[int]]]:
    """Yield for each row the byte at which it ends, and the entries of its only list."""
    if header.order:
        yield from _binary_lists(file, header, element, start)
        return
    for end, line in _lines(file, element, start):
        try:
            count, *entries = map(int, line.split())
        except ValueError as error:
            raise file.fail(f"has a row of {element.name} that is no list: {error}") from error
        if count != len(entries):
            raise file.fail(f"has a list of {len(entries)} entries that claims {count}")
        yield end, entries


def _binary_lists(
    file: Contents, header: PlyHeader, element: Element, at: int
) -> Iterator[tuple[int, list[int]]]:
    """Yield for each row the byte at which it ends, and the entries of its last list."""
    _check_lists(file, element)
    data = file.data
    order: Literal["little", "big"] = "little" if header.order == "<" else "big"
    parts = [
        (int(one.kind[1]), int(one.length[1]) if one.length else 0) for one in element.properties
    ]
    for _ in range(element.count):
        entries: list[int] = []
        for size, length in parts:
            count = int.from_bytes(data[at : at + length], order) if length else 1
            at += length
            if at + count * size > len(data):
                raise file.fail(f"is truncated: {element.name} ends after byte {len(data)}")
            if length and count <= 1:
                entries = [int.from_bytes(data[at : at + size], order)] * count
            elif length:
                entries = [0] * 2
            at += count * size
        yield at, entries


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
