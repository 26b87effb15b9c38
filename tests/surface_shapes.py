"""Clouds of known shapes for tests of surfaces: spheres, planes, and balls with a hole."""

from __future__ import annotations

import numpy as np

from fedchain.arrays import Matrix
from fedchain.scans.camera import Camera
from fedchain.scans.formats.meshes import Mesh
from fedchain.scans.scan import Cloud

GOLDEN = np.pi * (3 - np.sqrt(5))


def sphere(count: int = 3000, radius: float = 1.0, centre: tuple[float, ...] = (0, 0, 0)) -> Matrix:
    """Return points that are spread evenly over a sphere, shape (count, 3)."""
    height = 1 - (2 * np.arange(count) + 1) / count
    around = np.sqrt(1 - height**2)
    angle = GOLDEN * np.arange(count)
    points = np.stack([around * np.cos(angle), around * np.sin(angle), height], axis=1)
    return radius * points + np.array(centre)


def with_hole(points: Matrix, above: float = 0.7) -> Matrix:
    """Return the points of a unit sphere below a height."""
    return points[points[:, 2] < above]


def plane(side: int = 30, step: float = 0.01) -> Matrix:
    """Return a square of points in the plane z = 0, shape (side^2, 3)."""
    rows, columns = np.mgrid[:side, :side] * step
    return np.stack([rows.ravel(), columns.ravel(), np.zeros(side * side)], axis=1)


def cloud(points: Matrix, normals: Matrix | None = None, camera: Camera | None = None) -> Cloud:
    """Return a cloud of points."""
    own = None if normals is None else normals.astype(np.float32)
    return Cloud(points=points.astype(np.float32), normals=own, camera=camera)


def volume_of(mesh: Mesh) -> float:
    """Return the volume inside a closed mesh; it is positive if its triangles look outward."""
    a, b, c = (mesh.vertices[mesh.faces[:, k]] for k in range(3))
    return float((a * np.cross(b, c)).sum() / 6)


def borders_of(mesh: Mesh) -> Matrix:
    """Return the edges that belong to one triangle alone, shape (edges, 2)."""
    edges = np.sort(mesh.faces[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2), axis=1)
    found, counts = np.unique(edges, axis=0, return_counts=True)
    return found[counts == 1]
