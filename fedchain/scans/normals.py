"""Surface normals of organised points."""

from __future__ import annotations

import numpy as np

from fedchain.scans.scan import Floats

STEEPEST = 0.05
"""Neighbours farther apart than this share of their distance lie across a depth edge."""


def normals_of(positions: Floats, camera: Floats) -> Floats:
    """Return the normals of organised points from their neighbours in the grid.

    A scanner computes its normals from its own noisy points, so a simulator must, too: exact
    normals would tell a network what no real scan tells.
    The tangent along each axis is the sum of the differences to the neighbours that exist and
    lie on the same surface (central inside, one-sided at a border); n is their cross product.

    Args:
        positions: points in metres, (..., h, w, 3), NaN where a pixel is empty.
        camera: the camera's place in metres, (3,); normals point to its side.

    Returns:
        Unit normals, (..., h, w, 3), NaN where a pixel is empty; a point without neighbours
        along one axis looks at the camera.

    >>> plane = np.stack([*np.meshgrid(range(3), range(3)), np.full((3, 3), 40)], -1)
    >>> normals_of(plane.astype(np.float32), np.zeros(3, np.float32))[1, 1].round()
    array([-0., -0., -1.], dtype=float32)
    """
    sight = camera - positions
    distance = np.sqrt((sight * sight).sum(axis=-1))
    along_rows = _tangent(positions, distance, axis=positions.ndim - 3)
    along_columns = _tangent(positions, distance, axis=positions.ndim - 2)
    normals = _cross(along_columns, along_rows)
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


def _cross(a: Floats, b: Floats) -> Floats:
    ax, ay, az = np.moveaxis(a, -1, 0)
    bx, by, bz = np.moveaxis(b, -1, 0)
    return np.stack([ay * bz - az * by, az * bx - ax * bz, ax * by - ay * bx], axis=-1)
