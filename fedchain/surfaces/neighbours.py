"""Neighbours: nearest points by k-d trees, and points chosen as far from each other as possible."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np

from fedchain.arrays import Array, Flags, Matrix, Vector, Wholes

ONE_BY_ONE = 64
"""Farthest points that are chosen one after the other, before the balls become small."""
MOST_PAIRS = 1 << 18
"""Pairs of points that are compared at once when many farthest points are chosen together."""
WIDER = 1 + 1e-9
"""Factor on the radius of a ball, so that no point is lost by the tree's own rounding."""


def checked_points(points: Array, name: str = "points") -> Matrix:
    """Return points as float64, shape (n, 3).

    Raises:
        ValueError: the array has another shape, or a number that is not finite.
    """
    found = np.asarray(points, np.float64)
    if found.ndim != 2 or found.shape[1] != 3:
        raise ValueError(f"{name}: have the shape {found.shape}; allowed: (n, 3)")
    if not np.isfinite(found).all():
        wrong = int((~np.isfinite(found).all(axis=1)).sum())
        raise ValueError(f"{name}: {wrong} of {len(found)} are not finite; allowed: finite numbers")
    return found


def different_points(points: Array) -> Matrix:
    """Return the points, equal ones once, in the order of x, then y, then z; shape (m, 3).

    Raises:
        ValueError: a number is not finite.

    >>> different_points(np.array([[1, 0, 0], [0, 2, 0], [1, 0, 0]]))
    array([[0., 2., 0.],
           [1., 0., 0.]])
    """
    found = checked_points(points)
    ordered = found[np.lexsort(found.T[::-1])]
    new: Flags = np.ones(len(ordered), bool)
    new[1:] = (ordered[1:] != ordered[:-1]).any(axis=1)
    return ordered[new]


def nearest_distances(points: Array, to: Array) -> Vector:
    """Return the distance of each point to the nearest one of other points, shape (n,).

    Args:
        points: shape (n, 3).
        to: points to which the distance is measured, shape (m, 3), m at least 1.

    Raises:
        ValueError: ``to`` is empty, or a number is not finite.

    >>> nearest_distances(np.array([[0, 0, 0], [5, 0, 0]]), np.array([[1, 0, 0], [0, 2, 0]]))
    array([1., 4.])
    """
    if not len(to):
        raise ValueError("to: holds no point; allowed: at least one")
    distances, _ = _tree(checked_points(to, "to")).query(checked_points(points))
    return np.asarray(distances, np.float64)


def nearest(points: Array, to: Array, count: int) -> Wholes:
    """Return the indices of the ``count`` nearest points in ``to`` of each point.

    Args:
        points: shape (n, 3).
        to: the points among which the nearest ones are looked for, shape (m, 3).
        count: number of neighbours, from 1 to m.

    Returns:
        Indices into ``to``, the nearest one first, shape (n, count). Among equal distances the
        order is any, but always the same.

    Raises:
        ValueError: ``to`` has fewer than ``count`` points, or a number is not finite.

    >>> nearest(np.array([[0, 0, 0]]), np.array([[3, 0, 0], [0, 1, 0], [0, 0, 2]]), 2)
    array([[1, 2]])
    """
    if not 1 <= count <= len(to):
        raise ValueError(f"count: is {count}; allowed: 1 to the number of points, {len(to)}")
    tree = _tree(checked_points(to, "to"))
    _, found = tree.query(checked_points(points), k=np.arange(1, count + 1))
    return np.asarray(found, np.int64)


def farthest_points(points: Array, count: int, first: int = 0) -> Wholes:
    """Choose points one after the other, each as far as possible from those chosen before.

    The first one is the point farthest from the mean, unless the ``first`` points count as chosen
    already. Equal distances: the lowest index. Equal
    points are chosen last. The result is exactly that of the plain algorithm, which compares every
    point with every chosen one. Here points whose order cannot matter are chosen together: a point
    is chosen if no point with a larger distance lies within this larger distance from it, since
    then neither can change the other's turn. Sorted by their distances, they are in the order of
    the plain algorithm.

    Args:
        points: shape (n, 3).
        count: number of points to choose, from ``first`` to n.
        first: number of points at the beginning that are chosen before all others.

    Returns:
        Indices in the order in which the points are chosen, shape (count,).

    Raises:
        ValueError: there are fewer points, or a number is not finite.

    >>> farthest_points(np.array([[0, 0, 0], [1, 0, 0], [4, 0, 0], [9, 0, 0]]), 3)
    array([3, 0, 2])
    """
    coordinates = checked_points(points)
    if not 0 <= first <= count <= len(coordinates):
        low, high = f"{first}, the number of first points" if first else 0, len(points)
        raise ValueError(f"count: is {count}; allowed: {low} to the number of points, {high}")
    if count == first:
        return np.arange(first)
    chosen, reached, away = _one_by_one(coordinates, min(count, max(first, ONE_BY_ONE)), first)
    tree, most = _tree(coordinates), 2 * ONE_BY_ONE
    while len(chosen) < len(points) and (left := count - (reached > away.max()).sum()) > 0:
        batch, most = _independent(coordinates, away, min(most, 2 * left + ONE_BY_ONE))
        chosen, reached = np.append(chosen, batch), np.append(reached, away[batch])
        _come_nearer(coordinates, tree, away, batch, len(chosen))
    return chosen[np.lexsort((chosen, -reached))][:count]


def _one_by_one(coordinates: Matrix, count: int, first: int) -> tuple[Wholes, Vector, Vector]:
    """Choose the first farthest points by the plain algorithm.

    Returns:
        Indices of the chosen points, shape (count,); squared distances at which they were chosen,
        shape (count,), infinite for the first; and the squared distance of each point to the
        nearest chosen one, shape (n,), -1 for the chosen ones.
    """
    chosen, reached = np.arange(count), np.full(count, np.inf)
    away, begun = np.full(len(coordinates), np.inf), first
    if first:  # of two nearest, since the tree rounds in its own way
        for places in nearest(coordinates, coordinates[:first], min(first, 2)).T:
            np.minimum(away, _squared(coordinates, coordinates[places]), out=away)
        away[:first] = -1
    else:
        begun = 1
        chosen[0] = _squared(coordinates, coordinates.mean(axis=0)).argmax()
        away = _squared(coordinates, coordinates[chosen[0]])
        away[chosen[0]] = -1
    for place in range(begun, count):
        new = int(away.argmax())
        chosen[place], reached[place] = new, away[new]
        np.minimum(away, _squared(coordinates, coordinates[new]), out=away)
        away[new] = -1
    return chosen, reached, away


def _independent(coordinates: Matrix, away: Vector, most: int) -> tuple[Wholes, int]:
    """Return points that the plain algorithm chooses at the distances that they have now.

    Args:
        coordinates: all points, shape (n, 3).
        away: squared distance of each point to the nearest chosen one, shape (n,).
        most: number of the farthest points among which they are looked for.

    Returns:
        Indices of the points, and ``most`` for the next call.
    """
    while True:
        top = _farthest_first(away, most)
        radius = np.sqrt(away[top[0]]) * WIDER
        if radius == 0:  # only equal points are left, and choosing one changes nothing
            return top, 2 * most
        tree = _tree(coordinates[top])
        pairs = int(tree.count_neighbors(tree, radius))
        if pairs <= MOST_PAIRS or len(top) == 1:
            break
        most = max(len(top) // 2, 1)
    first, second = tree.query_pairs(radius, output_type="ndarray").T
    apart = _squared(coordinates[top[first]], coordinates[top[second]])
    alone: Flags = np.ones(len(top), bool)
    alone[second[apart < away[top[first]]]] = False
    return top[alone], 2 * most if pairs <= MOST_PAIRS // 4 else most


def _farthest_first(away: Vector, most: int) -> Wholes:
    """Return the indices of the ``most`` largest distances, by distance and then by index."""
    most = min(most, int((away >= 0).sum()))
    least = np.partition(away, len(away) - most)[len(away) - most]
    above = np.flatnonzero(away > least)
    top = np.append(above, np.flatnonzero(away == least)[: most - len(above)])
    return np.asarray(top[np.lexsort((top, -away[top]))])


def _come_nearer(coordinates: Matrix, tree: Any, away: Vector, batch: Wholes, chosen: int) -> None:
    """Set the distances of the points around newly chosen ones; ``tree`` has all points."""
    expected = 4 * len(coordinates) / chosen  # points around each: the chosen share the surface
    for part in np.array_split(batch, 1 + int(len(batch) * expected / MOST_PAIRS)):
        balls = np.sqrt(away[part]) * WIDER
        found = tree.query_ball_point(coordinates[part], balls, return_sorted=False)
        counts = np.fromiter(map(len, found), np.int64, len(part))
        near = np.fromiter(itertools.chain.from_iterable(found), np.int64, counts.sum())
        apart = _squared(coordinates[np.repeat(part, counts)], coordinates[near])
        np.minimum.at(away, near, apart)
    away[batch] = -1


def _squared(points: Matrix, other: Matrix) -> Vector:
    """Return squared distances, added up in the order of the axes: always with the same bits."""
    x, y, z = (points - other).T
    return np.asarray(x * x + y * y + z * z)


def _tree(points: Matrix) -> Any:
    from scipy.spatial import cKDTree

    return cKDTree(points, balanced_tree=False)
