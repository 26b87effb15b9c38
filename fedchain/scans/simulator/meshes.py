"""Meshes as objects of the simulator: rays meet triangles by trimesh and embreex.

embreex computes in float32, in code that it chooses by the processor, so that the last bits of a
distance differ between processors. Tasks that holders train on use composed objects instead.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from fedchain.errors import DataError, MissingExtra
from fedchain.scans.formats.meshes import Mesh, read_mesh
from fedchain.scans.scan import Floats
from fedchain.scans.simulator.parts import Material, Met, Triple

WITHOUT = (
    "rays of meshes need trimesh and embreex; install them with: pip install 'fedchain[scans]'"
)
FINISH = Material(albedo=0.7, gloss=0.3, texture=0.95)
"""Material of a mesh whose material is not given."""


@dataclass(frozen=True, eq=False)
class MeshSolid:
    """A mesh of one material that rests on y = 0, with its middle above the origin."""

    mesh: Mesh
    """Triangles in metres, y up."""
    material: Material = FINISH
    """Material of all triangles."""

    @property
    def materials(self) -> Sequence[Material]:
        """The material, as the only part's."""
        return [self.material]

    @cached_property
    def bounds(self) -> tuple[Triple, Triple]:
        """The least and the largest coordinates in metres."""
        corners = self.mesh.vertices[np.unique(self.mesh.faces)]
        (x, y, z), (far_x, far_y, far_z) = corners.min(axis=0), corners.max(axis=0)
        return (float(x), float(y), float(z)), (float(far_x), float(far_y), float(far_z))

    def meet(self, origin: Floats, direction: Floats) -> Met:
        """Return the first triangle that each ray meets; see ``Solid``.

        Raises:
            MissingExtra: trimesh or embreex is not installed.
        """
        count = origin.shape[1]
        distance, normals = np.full(count, np.inf, np.float32), np.zeros((3, count), np.float32)
        rays = np.ascontiguousarray(origin.T), np.ascontiguousarray(direction.T)
        triangles = self._caster.intersects_first(*rays)
        hit = np.flatnonzero(triangles >= 0)
        corners = self.mesh.vertices[self.mesh.faces[triangles[hit]]]
        across = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
        start, heading = rays[0][hit].astype(np.float64), rays[1][hit].astype(np.float64)
        slope = (across * heading).sum(axis=1)
        reach = (across * (corners[:, 0] - start)).sum(axis=1) / np.where(slope == 0, 1, slope)
        distance[hit] = np.where(slope == 0, np.inf, reach)
        length = np.linalg.norm(across, axis=1) * -np.sign(slope)
        normals[:, hit] = (across / np.where(length == 0, 1, length)[:, None]).T
        return Met(distance, normals, np.zeros(count, np.intp))

    @cached_property
    def _caster(self) -> Any:
        try:
            import trimesh
            from trimesh.ray.ray_pyembree import RayMeshIntersector
        except ImportError as error:
            raise MissingExtra(WITHOUT) from error
        made = trimesh.Trimesh(self.mesh.vertices, self.mesh.faces, process=False)
        return RayMeshIntersector(made)


def read_solid(
    path: Path, *, length: float | None = None, up: int = 1, material: Material = FINISH
) -> MeshSolid:
    """Read a mesh file as an object that rests on the turntable.

    Args:
        path: an OBJ, STL, OFF or PLY file.
        length: longest side of the object's box in metres, to which it is scaled; None for a file
            in metres.
        up: axis of the file that points up: 0, 1 or 2.
        material: material of the object.

    Raises:
        DataError: the file is damaged, or the object does not fit a turntable: its longest side is
            not from 5 mm to 1 m.
        MissingExtra: trimesh is not installed.
    """
    mesh = read_mesh(path)
    # A cyclic exchange of axes keeps the orientation.
    corners = np.roll(mesh.vertices, 1 - up, axis=1)
    used = corners[np.unique(mesh.faces)]
    low, high = used.min(axis=0), used.max(axis=0)
    longest = float((high - low).max())
    if length is not None and longest > 0:
        corners, low, high = (values * (length / longest) for values in (corners, low, high))
        longest = length
    if not 0.005 <= longest <= 1:
        raise DataError(
            f"{path}: is {longest:g} m long; allowed: 0.005 to 1 m (give a length to scale it)"
        )
    middle = (low + high) / 2
    return MeshSolid(Mesh(corners - (middle[0], low[1], middle[2]), mesh.faces), material)
