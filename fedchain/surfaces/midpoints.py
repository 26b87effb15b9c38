"""Midpoints: new points halfway between neighbours, which need no learning."""

from __future__ import annotations

import numpy as np

from fedchain.arrays import Array, Matrix
from fedchain.surfaces.neighbours import checked_points, nearest

NEIGHBOURS = 8
"""Neighbours of a point between which and itself new points are put."""


def midpoint_candidates(points: Array, neighbours: int = NEIGHBOURS) -> Matrix:
    """Return the middle of each point and each of its nearest neighbours, each pair once.

    Args:
        points: shape (n, 3).
        neighbours: number of nearest neighbours of a point; all others if there are fewer.

    Returns:
        The middles, in the order of the pairs' indices, shape (pairs, 3). There are at least
        n x neighbours / 2 of them, if there are more than ``neighbours`` points.

    Raises:
        ValueError: a number is not finite.

    >>> midpoint_candidates(np.array([[0, 0, 0], [2, 0, 0], [6, 0, 0]]), 1)
    array([[1., 0., 0.],
           [4., 0., 0.]])
    """
    found = checked_points(points)
    if len(found) < 2:
        return np.empty((0, 3))
    beside = nearest(found, found, min(neighbours + 1, len(found)))
    own = np.repeat(np.arange(len(found)), beside.shape[1])
    other = beside.ravel()
    pairs = np.unique(np.minimum(own, other) * len(found) + np.maximum(own, other))
    low, high = np.divmod(pairs, len(found))
    different = low != high
    return np.asarray((found[low[different]] + found[high[different]]) / 2)
