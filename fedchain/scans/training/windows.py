"""Windows: a scan's image cut into overlapping squares, because a model sees one size only."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from fedchain.arrays import Array
from fedchain.scans.scan import Mask

Corner = tuple[int, int]
"""Row and column of a window's first pixel; both may lie outside of the grid."""


def window_at(grid: Array, corner: Corner, side: int, value: float = 0.0) -> Array:
    """Return the window of a grid (..., height, width) at a corner; ``value`` fills what is beyond.

    >>> window_at(np.ones((2, 2)), (-1, 0), 2)
    array([[0., 0.],
           [1., 1.]])
    """
    *rest, height, width = grid.shape
    window = np.full((*rest, side, side), value, grid.dtype)
    row, column = corner
    rows = slice(max(row, 0), min(row + side, height))
    columns = slice(max(column, 0), min(column + side, width))
    if rows.start < rows.stop and columns.start < columns.stop:
        into = (
            slice(rows.start - row, rows.stop - row),
            slice(columns.start - column, columns.stop - column),
        )
        window[(..., *into)] = grid[(..., rows, columns)]
    return window


def corners(wanted: Mask, side: int, margin: int) -> Iterator[Corner]:
    """Yield the corners of windows whose centres cover every wanted pixel once.

    Args:
        wanted: pixels to cover, shape (height, width).
        side: pixels along a side of a window.
        margin: pixels on each side of a window that do not belong to its centre.
    """
    step = side - 2 * margin
    for row in range(0, wanted.shape[0], step):
        for column in range(0, wanted.shape[1], step):
            if wanted[row : row + step, column : column + step].any():
                yield row - margin, column - margin


def put_centre(grid: Array, window: Array, corner: Corner, margin: int) -> None:
    """Write the centre of a window (side, side) into a grid (height, width), in place."""
    row, column = corner[0] + margin, corner[1] + margin
    centre = window[margin : len(window) - margin, margin : len(window) - margin]
    place = grid[row : row + len(centre), column : column + len(centre)]
    place[...] = centre[: place.shape[0], : place.shape[1]]
