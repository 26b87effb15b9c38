"""Tiles: large grids are cut into squares, and joined again."""

from __future__ import annotations

import numpy as np

from fedchain.arrays import Array


def cut(grid: Array, tile: int) -> Array:
    """Cut a grid (.., h, w) into tiles (n, .., tile, tile), row by row.

    >>> cut(np.arange(8).reshape(2, 4), 2).tolist()
    [[[0, 1], [4, 5]], [[2, 3], [6, 7]]]
    """
    *rest, height, width = grid.shape
    split = grid.reshape(*rest, height // tile, tile, width // tile, tile)
    rows, columns = split.ndim - 4, split.ndim - 2
    return np.moveaxis(split, (rows, columns), (0, 1)).reshape(-1, *rest, tile, tile)


def joined(tiles: Array, shape: tuple[int, int]) -> Array:
    """Join tiles (n, tile, tile) into a grid (h, w): the inverse of ``cut`` for one channel."""
    tile = tiles.shape[-1]
    down, right = shape[0] // tile, shape[1] // tile
    return tiles.reshape(down, right, tile, tile).swapaxes(1, 2).reshape(shape)
