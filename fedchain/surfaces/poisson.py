"""Poisson reconstruction by Open3D: a smooth surface through points with normals.

Reference:
    Kazhdan and Hoppe, "Screened Poisson Surface Reconstruction", ACM TOG 32 (3), 2013.
"""

from __future__ import annotations

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
    with open3d.utility.VerbosityContextManager(open3d.utility.VerbosityLevel.Error):
        made, _ = open3d.geometry.TriangleMesh.create_from_point_cloud_poisson(
            cloud, depth=depth, n_threads=1
        )
    vertices = np.array(made.vertices, np.float64) * size + middle
    return Mesh(vertices, np.array(made.triangles, np.int64))
