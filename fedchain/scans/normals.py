"""Surface normals of points on a grid, computed from neighbouring points."""

from __future__ import annotations

import numpy as np

from fedchain.scans.scan import Floats

STEEPEST = 0.05
"""Largest gap between neighbours that lie on one surface, as a share of their distance from the
camera; a larger gap is a depth edge."""


def normals_of(positions: Floats, camera: Floats) -> Floats:
    """Return the surface normal at each point, computed from its neighbours in the grid.

    A scanner computes its normals from its own noisy points, so a simulator must do the same:
    exact normals would give a network information that real scans do not have.

    The tangent along each axis of the grid is the sum of the steps from the previous point and to
    the next one. A step counts only if its two points lie on the same surface. The normal is
    the cross product of the two tangents.

    Args:
        positions: points in metres, (..., h, w, 3), NaN where a pixel is empty.
        camera: position of the camera in metres, (3,); the normals point towards it.

    Returns:
        Unit normals, (..., h, w, 3), NaN where a pixel is empty. If a point has no neighbour
        along one axis, its normal points at the camera.

    >>> plane = np.stack([*np.meshgrid(range(3), range(3)), np.full((3, 3), 40)], -1)
    >>> normals_of(plane.astype(np.float32), np.zeros(3, np.float32))[1, 1].round()
    array([-0., -0., -1.], dtype=float32)
    """
    sight = camera - positions
    distance = np.sqrt((sight * sight).sum(axis=-1))
    along_rows = _tangent(positions, distance, axis=positions.ndim - 3)
    along_columns = _tangent(positions, distance, axis=positions.ndim - 2)
    normals = np.cross(along_columns, along_rows)
    lonely = ~(np.abs(normals).max(axis=-1) > 0)
    normals[lonely] = sight[lonely]
    normals[(normals * sight).sum(axis=-1) < 0] *= -1
    length = np.sqrt((normals * normals).sum(axis=-1, keepdims=True))
    return np.asarray(np.where(np.isfinite(positions), normals / length, np.nan), np.float32)


def _tangent(positions: Floats, distance: Floats, axis: int) -> Floats:
    tangent = np.zeros_like(positions)
    points, sums = np.moveaxis(positions, axis, 0), np.moveaxis(tangent, axis, 0)
    step = points[1:] - points[:-1]
    length = np.sqrt((step * step).sum(axis=-1))
    joined = length <= STEEPEST * np.moveaxis(distance, axis, 0)[:-1]  # False beside a NaN
    step[~joined] = 0
    sums[1:] += step
    sums[:-1] += step
    return tangent
