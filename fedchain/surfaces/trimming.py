"""Trimming of meshes: what lies far from the measured points was invented, and is cut off."""

from __future__ import annotations

import numpy as np

from fedchain.arrays import Array, Flags
from fedchain.scans.formats.meshes import Mesh
from fedchain.surfaces.neighbours import nearest, nearest_distances

SPACING_NEIGHBOURS = 8
"""Neighbours from whose farthest one the spacing of a cloud is computed."""
SPACING_SAMPLE = 20_000
"""Most points whose neighbours are looked up for it."""


def spacing_of(points: Array) -> float:
    """Return the spacing of a cloud: the side of the square that belongs to one point.

    If a surface has one point in each square of side s, the circle to the k-th neighbour holds
    k of them: pi r^2 = k s^2. The median of s over the points is returned, with k = 8. It is 0 if
    at least half of the points coincide with 8 others, or if there is one point.

    Args:
        points: points, shape (n, 3).

    >>> rows, columns = np.mgrid[:30, :30]
    >>> flat = np.stack([rows.ravel(), columns.ravel(), 0 * columns.ravel()], axis=1)
    >>> round(spacing_of(0.01 * flat), 4)
    0.0089
    """
    points = np.asarray(points, np.float64)
    count = min(SPACING_NEIGHBOURS, len(points) - 1)
    if count < 1:
        return 0.0
    some = points[:: len(points) // SPACING_SAMPLE + 1]
    farthest = points[nearest(some, points, count + 1)[:, -1]]
    reach = np.sqrt(((farthest - some) ** 2).sum(axis=1))
    return float(np.median(reach) * np.sqrt(np.pi / count))


def trim_mesh(mesh: Mesh, points: Array, farthest: float) -> Mesh:
    """Return a mesh without the vertices that are farther than ``farthest`` from all points.

    Triangles with such a vertex go too, so that holes stay holes.

    Args:
        mesh: the mesh.
        points: the points, shape (n, 3), at least one.
        farthest: the largest distance that stays, in the unit of the points.
    """
    return part_of_mesh(mesh, nearest_distances(mesh.vertices, points) <= farthest)


def part_of_mesh(mesh: Mesh, keep: Flags) -> Mesh:
    """Return the triangles all of whose corners are kept, and the vertices that they need.

    ``keep`` has shape (vertices,).
    """
    faces = mesh.faces[keep[mesh.faces].all(axis=1)]
    used, places = np.unique(faces, return_inverse=True)
    return Mesh(mesh.vertices[used], places.reshape(-1, 3).astype(np.int64))


def mean_distance(mesh: Mesh, points: Array) -> float:
    """Return the mean distance of the vertices of a mesh to their nearest points.

    Args:
        mesh: a mesh with at least one vertex.
        points: the points, shape (n, 3), at least one.
    """
    return float(nearest_distances(mesh.vertices, points).mean())
