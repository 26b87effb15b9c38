"""Metrics of clouds: distances between two clouds, and how evenly points cover a surface."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from fedchain.arrays import Array, Vector
from fedchain.surfaces.neighbours import WIDER, checked_points, nearest_distances

NUC_SHARES = (0.002, 0.004, 0.006, 0.008, 0.010, 0.012)
"""Shares of the surface that the disks of the NUC cover, as in PU-Net."""
MOST_DISKS = 9_000
"""Largest number of disks of the NUC, as in PU-Net."""


@dataclass(frozen=True)
class Spacing:
    """How far the points of a cloud lie from their nearest neighbours."""

    mean: float
    """Mean distance of a point to the nearest other point, in the unit of the points."""
    unevenness: float
    """Standard deviation of these distances, divided by their mean; 0 for a regular grid, about .5
    for points that are drawn at random on a surface."""


def chamfer_distance(a: Array, b: Array) -> float:
    """Return the squared Chamfer distance of two clouds.

    It is the mean of the squared distances of the points of ``a`` to the nearest ones of ``b``,
    plus the same from ``b`` to ``a``.

    Args:
        a: shape (n, 3), n at least 1.
        b: shape (m, 3), m at least 1.

    Raises:
        ValueError: a cloud is empty, or a number is not finite.

    >>> chamfer_distance(np.zeros((1, 3)), np.array([[0, 0, 1], [0, 2, 0]]))
    3.5
    """
    there, back = _both_ways(a, b)
    return float((there**2).mean() + (back**2).mean())


def hausdorff_distance(a: Array, b: Array) -> float:
    """Return the largest distance of a point of one cloud to the nearest one of the other.

    Both directions count. The arguments and errors are those of ``chamfer_distance``.

    >>> hausdorff_distance(np.zeros((1, 3)), np.array([[0, 0, 1], [0, 2, 0]]))
    2.0
    """
    there, back = _both_ways(a, b)
    return float(max(there.max(), back.max()))


def deviation(points: Array, dense: Array) -> tuple[float, float]:
    """Return the mean and the standard deviation of the distances of points to a surface.

    The surface is a dense cloud, and the distance is that to its nearest point. So it is at most
    about half of the cloud's spacing too large.

    Args:
        points: shape (n, 3), n at least 1.
        dense: points of the surface, shape (m, 3), m at least 1.

    Raises:
        ValueError: a cloud is empty, or a number is not finite.
    """
    _check_filled(points, "points")
    distances = nearest_distances(points, dense)
    return float(distances.mean()), float(distances.std())


def nuc(points: Array, dense: Array, shares: Sequence[float] = NUC_SHARES) -> Vector:
    """Return the approximate normalised uniformity coefficient of points on a surface.

    PU-Net covers the surface with disks of equal area, counts the points in each, and takes the
    standard deviation of count / (points x share), where the share is that of the disk in the
    surface. Here the surface is a dense cloud: disks are balls around its points (around every
    n-th one, if it has more than ``MOST_DISKS``), each as large as it must be to hold the share of
    the dense points. So the dense cloud itself has the coefficient 0. Points that are drawn at
    random have about 1 / sqrt(points x share), so compare clouds of one size only.

    Args:
        points: shape (n, 3), n at least 1.
        dense: points that cover the surface evenly, shape (m, 3).
        shares: shares of the surface, each from 1 / m to 1.

    Returns:
        The coefficient for each share, shape (shares,); 0 or more, and less is more even.

    Raises:
        ValueError: the points are empty, the dense cloud is too small for a share, or a number is
            not finite.

    Source: Yu et al., PU-Net: Point Cloud Upsampling Network, CVPR 2018, equations 6 and 7.
    """
    from scipy.spatial import cKDTree

    _check_filled(points, "points")
    covered = checked_points(dense, "dense")
    held = [round(share * len(covered)) for share in shares]
    if not all(1 <= count <= len(covered) for count in held):
        words = f"{len(covered)} dense points, of which no ball holds such a share"
        raise ValueError(f"shares: {tuple(shares)} of {words}; allowed: 1 / points to 1")
    centres = covered[:: -(-len(covered) // MOST_DISKS)]
    radii = cKDTree(covered).query(centres, k=held)[0] * WIDER
    tree, found = cKDTree(checked_points(points)), np.empty(len(held))
    for place, count in enumerate(held):
        inside = tree.query_ball_point(centres, radii[:, place], return_length=True)
        found[place] = (inside / (len(points) * count / len(covered))).std()
    return found


def spacing(points: Array) -> Spacing:
    """Return how far the points of a cloud lie from their nearest neighbours, and how evenly.

    Args:
        points: shape (n, 3), n at least 2.

    Raises:
        ValueError: there are fewer than two points, or a number is not finite.
    """
    from scipy.spatial import cKDTree

    if len(points) < 2:
        raise ValueError(f"points: are {len(points)}; allowed: at least 2")
    found = checked_points(points)
    distances = cKDTree(found, balanced_tree=False).query(found, k=[2])[0]
    mean = float(distances.mean())
    return Spacing(mean, float(distances.std()) / mean if mean > 0 else 0.0)


def _both_ways(a: Array, b: Array) -> tuple[Vector, Vector]:
    _check_filled(a, "a")
    _check_filled(b, "b")
    return nearest_distances(a, b), nearest_distances(b, a)


def _check_filled(points: Array, name: str) -> None:
    if not len(points):
        raise ValueError(f"{name}: holds no point; allowed: at least one")
