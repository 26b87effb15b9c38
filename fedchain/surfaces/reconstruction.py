"""Reconstruction: the surface of a cloud as a mesh, by Poisson's equation or by marching cubes."""

from __future__ import annotations

from dataclasses import replace
from importlib.util import find_spec
from typing import Literal

import numpy as np

from fedchain.arrays import Matrix
from fedchain.errors import DataError
from fedchain.scans.formats.meshes import Mesh
from fedchain.scans.scan import Cloud
from fedchain.surfaces.marching import marching_mesh
from fedchain.surfaces.normals import cloud_normals
from fedchain.surfaces.poisson import poisson_mesh
from fedchain.surfaces.trimming import spacing_of, trim_mesh

SurfaceMethod = Literal["auto", "poisson", "marching"]
"""How a surface is found: ``poisson`` (extra ``surfaces``), ``marching``, or ``auto``: the first
where Open3D is installed, otherwise the second."""
DEPTH = 9
"""Depth of the octree, and the largest number of cells along a side as a power of two."""
DEPTHS = (5, 11)
"""Least and largest depth."""
TRIM_SPACINGS = 6.0
"""Distance from the points, in spacings of the cloud, from which a vertex is cut off: about 2 mm
for single scans of a PhoXi scanner."""
LEAST_SURFACE_POINTS = 10
"""Least number of points that have a plane."""


def method_of(method: SurfaceMethod) -> Literal["poisson", "marching"]:
    """Return the method that a name means on this machine."""
    if method == "auto":
        return "poisson" if find_spec("open3d") is not None else "marching"
    return method


def reconstruct(
    cloud: Cloud,
    *,
    method: SurfaceMethod = "auto",
    depth: int = DEPTH,
    farthest: float | None = None,
) -> Mesh:
    """Return the surface of a cloud as a mesh; where there are no points, it has holes.

    Equal points count once. Normals are those of ``cloud_normals``; points without one are left
    out. Vertices far from all points are cut off, because both methods go on beyond them.

    Args:
        cloud: the points, in any unit.
        method: how the surface is found.
        depth: of Poisson's octree; marching cubes take cells of the cloud's spacing, at most
            2^depth along the longest side. 5 to 11.
        farthest: distance to the nearest point from which a vertex is cut off, in the unit of the
            points; None for 6 spacings of the cloud (``spacing_of``).

    Raises:
        DataError: the points span no surface, or their grid would be too large.
        MissingExtra: a package that the method needs is not installed.
        ValueError: the depth is not allowed.
    """
    if not DEPTHS[0] <= depth <= DEPTHS[1]:
        raise ValueError(f"depth: is {depth}; allowed: {DEPTHS[0]} to {DEPTHS[1]}")
    points, normals = _on_planes(cloud)
    spacing = spacing_of(points)
    longest = float((points.max(axis=0) - points.min(axis=0)).max())
    if method_of(method) == "poisson":
        whole = poisson_mesh(points, normals, depth)
    else:
        whole = marching_mesh(points, normals, max(spacing, longest / 2**depth))
    mesh = trim_mesh(whole, points, TRIM_SPACINGS * spacing if farthest is None else farthest)
    if not len(mesh.faces):
        raise DataError(
            f"surface: no triangle is near the {len(points):,} points; allowed: a larger distance "
            "from which vertices are cut off, or another method"
        )
    return mesh


def _on_planes(cloud: Cloud) -> tuple[Matrix, Matrix]:
    """Return the different points of a cloud that have a normal, and their normals, float64."""
    finite = np.flatnonzero(np.isfinite(cloud.points).all(axis=1))
    first = np.sort(np.unique(cloud.points[finite], axis=0, return_index=True)[1])
    kept = finite[first]
    normals = None if cloud.normals is None else cloud.normals[kept]
    own = replace(cloud, points=cloud.points[kept], normals=normals, intensity=None)
    found = cloud_normals(own)
    flat = (found != 0).any(axis=1)
    if flat.sum() < LEAST_SURFACE_POINTS:
        raise DataError(
            f"surface: {int(flat.sum())} of {len(cloud.points)} points are different and span a "
            f"plane with their neighbours; allowed: at least {LEAST_SURFACE_POINTS}"
        )
    return own.points[flat].astype(np.float64), found[flat]
