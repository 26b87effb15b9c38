"""Grids of pixels, cut into square tiles and joined again."""

from __future__ import annotations

import numpy as np

from fedchain.arrays import Array


def padded(grid: Array, tile: int, value: float) -> Array:
    """Pad a grid below and on the right with a value, up to whole tiles."""
    rest = [(0, 0)] * (grid.ndim - 2)
    missing = [(0, -side % tile) for side in grid.shape[-2:]]
    return np.pad(grid, [*rest, *missing], constant_values=value)


def cut_tiles(grid: Array, tile: int) -> Array:
    """Cut a grid (..., height, width) into tiles (tiles, ..., tile, tile), row by row.

    >>> cut_tiles(np.arange(8).reshape(2, 4), 2).tolist()
    [[[0, 1], [4, 5]], [[2, 3], [6, 7]]]
    """
    *rest, height, width = grid.shape
    split = grid.reshape(*rest, height // tile, tile, width // tile, tile)
    rows, columns = split.ndim - 4, split.ndim - 2
    return np.moveaxis(split, (rows, columns), (0, 1)).reshape(-1, *rest, tile, tile)


def join_tiles(tiles: Array, height: int, width: int) -> Array:
    """Join tiles into a grid of this height and width: the inverse of ``cut_tiles``."""
    tile = tiles.shape[-1]
    rows = tiles.reshape(height // tile, width // tile, tile, tile)
    return rows.swapaxes(1, 2).reshape(height, width)
