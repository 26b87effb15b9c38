"""Poisson reconstruction by Open3D: a smooth surface through points with normals.

Reference:
    Kazhdan and Hoppe, "Screened Poisson Surface Reconstruction", ACM TOG 32 (3), 2013.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from fedchain.arrays import Matrix
from fedchain.extras import needed_package
from fedchain.scans.formats.meshes import Mesh


def poisson_mesh(points: Matrix, normals: Matrix, depth: int) -> Mesh:
    """Return the screened Poisson surface of points, which is closed; nothing is trimmed.

    The indicator function of the solid is sought whose gradient is nearest to the normals, and the
    surface is where it takes the mean of its values at the points. One thread computes it, so that
    the same points give the same mesh.

    Args:
        points: points, shape (n, 3).
        normals: unit normals, shape (n, 3), on the side of the cameras.
        depth: depth of the octree; a cell of the finest level is 1.1 / 2^depth of the longest side
            of the points' box.

    Raises:
        MissingExtra: open3d is not installed.
    """
    open3d = needed_package("open3d", "surfaces", "Poisson reconstruction")
    # Open3D computes in float32, which would lose digits far from the origin.
    middle = (points.min(axis=0) + points.max(axis=0)) / 2
    size = float((points.max(axis=0) - points.min(axis=0)).max())
    cloud = open3d.geometry.PointCloud(open3d.utility.Vector3dVector((points - middle) / size))
    cloud.normals = open3d.utility.Vector3dVector(np.ascontiguousarray(normals))
    with _without_stderr():
        made, _ = open3d.geometry.TriangleMesh.create_from_point_cloud_poisson(
            cloud, depth=depth, n_threads=1
        )
    vertices = np.array(made.vertices, np.float64) * size + middle
    return Mesh(vertices, np.array(made.triangles, np.int64))


@contextlib.contextmanager
def _without_stderr() -> Iterator[None]:
    """Within this context, drop what C++ code writes to stderr.

    Poisson's own code warns there, in several lines, of rounding that changes nothing.
    """
    stderr = os.dup(2)
    try:
        with Path(os.devnull).open("wb") as nothing:
            os.dup2(nothing.fileno(), 2)
        yield
    finally:
        os.dup2(stderr, 2)
        os.close(stderr)
