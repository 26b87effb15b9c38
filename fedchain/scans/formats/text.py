"""Numbers that a file holds as text: one point a line."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from typing import Any

import numpy as np

from fedchain.arrays import Array
from fedchain.scans.formats.contents import Contents

MOST_NUMBERS = 1 << 25
"""Largest number of values of a text file."""
LONGEST_LINE = 1 << 13
"""Largest length of a line, in bytes."""
_WRONG = re.compile(r"could not convert string '(.{1,100})' to float")
_RAGGED = re.compile(r"changed from (\d+) to (\d+) at row (\d+)")
_ROWS = 1 << 12
"""Points that are written at a time."""


@np.errstate(all="ignore")  # of numbers beyond float32
def read_table(
    file: Contents,
    start: int,
    columns: int,
    rows: int | None = None,
    *,
    separator: str | None = None,
    kind: type[np.floating[Any]] = np.float32,
) -> Array:
    """Return the numbers of the lines that begin at byte ``start``, shape (rows, columns).

    Args:
        file: the file.
        start: byte at which the first line begins.
        columns: numbers of each line.
        rows: number of lines; lines after them are not read. None: all lines.
        separator: character between two numbers; None: spaces.
        kind: numpy's type of the numbers.

    Raises:
        DataError: there are too few lines or too many numbers, or a line holds something else than
            ``columns`` numbers.
    """
    if columns * (rows or 0) > MOST_NUMBERS:
        wanted = f"allowed: {MOST_NUMBERS}, or a binary file"
        raise file.fail(f"has {columns * (rows or 0)} numbers as text; {wanted}")
    if rows is not None and 2 * columns * rows > len(file.data) - start + 1:
        raise file.fail(f"is truncated: too short for {rows} points")
    most = MOST_NUMBERS // columns if rows is None else rows
    lines = _lines(file, start, most + (rows is None))
    first = next(lines, None)
    if first is None:
        return np.empty((0, columns), np.float32)
    try:
        table = np.loadtxt(
            _chained(first, lines), kind, comments=None, delimiter=separator, ndmin=2
        )
    except ValueError as error:
        raise file.fail(_problem(str(error))) from error
    if table.shape[1] != columns:
        raise file.fail(f"has {table.shape[1]} numbers a line; allowed: {columns}")
    if rows is None and len(table) > most:
        raise file.fail(f"has more than {most} points as text; allowed: fewer, or a binary file")
    if rows is not None and len(table) < rows:
        raise file.fail(f"is truncated: {len(table)} of {rows} points")
    return table


def _problem(said: str) -> str:
    """Return in fedchain's words what numpy says of a line that is no point."""
    if (found := _WRONG.match(said)) is not None:
        return f"has a vertex with {found[1]}; allowed: numbers and nan"
    if (found := _RAGGED.search(said)) is not None:
        return f"has {found[2]} numbers in point {found[3]}; allowed: {found[1]}, as in the first"
    return f"has a line that is no point: {said[:200]}"


def _chained(first: str, lines: Iterator[str]) -> Iterator[str]:
    yield first
    yield from lines


def _lines(file: Contents, start: int, most: int) -> Iterator[str]:
    """Yield the lines that are neither empty nor comments, at most ``most`` of them."""
    stream = io.BytesIO(file.data)
    stream.seek(start)
    while most and (line := stream.readline(LONGEST_LINE + 1)):
        if len(line) > LONGEST_LINE:
            raise file.fail(f"has a line of more than {LONGEST_LINE} bytes")
        if (said := line.strip()) and not said.startswith((b"#", b"//")):
            most -= 1
            yield line.decode("latin-1")


def written_lines(table: Array) -> Iterator[str]:
    """Yield the text of a table of float32 numbers, each with the digits that give it back."""
    line = " ".join(["%.9g"] * table.shape[1]) + "\n"
    for at in range(0, len(table), _ROWS):
        yield "".join(line % tuple(row) for row in table[at : at + _ROWS].tolist())
