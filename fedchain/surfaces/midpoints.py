"""Midpoints: new points halfway between neighbours, which need no learning."""

from __future__ import annotations

import numpy as np

from fedchain.arrays import Array, Matrix
from fedchain.surfaces.neighbours import (
    checked_points,
    different_points,
    farthest_points,
    nearest,
)

MIDPOINT_NEIGHBOURS = 8
"""Neighbours of a point between which and itself new points are put."""


def midpoint_candidates(points: Array, neighbours: int = MIDPOINT_NEIGHBOURS) -> Matrix:
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


def densify(points: Array, count: int, neighbours: int = MIDPOINT_NEIGHBOURS) -> Matrix:
    """Return more points of the same surface: those among points and midpoints that lie farthest.

    The candidates are the points themselves and the middles between each and its nearest
    neighbours, equal ones once; if they are too few, also the middles between these. Of all
    candidates, ``farthest_points`` chooses ``count``, so most but not all of the points themselves
    remain. The order of the points does not matter.

    Args:
        points: shape (n, 3), at least two different ones.
        count: number of points to return.
        neighbours: number of nearest neighbours of a point.

    Returns:
        Points in the order in which they are chosen, shape (count, 3).

    Raises:
        ValueError: fewer than two points differ, or a number is not finite.
    """
    candidates = different_points(points)
    if len(candidates) < 2:
        words = f"no two of {len(points)} differ, so nothing lies between them"
        raise ValueError(f"points: {words}; allowed: at least two different points")
    while True:
        made = midpoint_candidates(candidates, neighbours)
        candidates = different_points(np.concatenate([candidates, made]))
        if len(candidates) >= count:
            return candidates[farthest_points(candidates, count)]
