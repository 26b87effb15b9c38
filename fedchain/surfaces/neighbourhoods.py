"""Neighbourhoods: what the model ``refine`` sees of the points around a candidate.

A neighbourhood is the nearest points around a candidate, seen from it, divided by their mean
distance, and turned into axes of their own. So neither place, size nor orientation of a cloud
matters. The numbers have the same bits on every processor.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fedchain.arrays import Array, Matrix, Singles, Vector, Wholes
from fedchain.elementary import dot
from fedchain.surfaces.neighbours import nearest

SEEN = 16
"""Number of points around a candidate that the model sees."""
ROTATIONS = ((0, 1), (0, 2), (1, 2))
"""ExamplePairs of axes that a sweep of Jacobi's method turns."""
SWEEPS = 6
"""Number of sweeps, after which matrices of 3 x 3 are diagonal to the last bits."""
LEAST_SIZE = 1e-30
"""Least size of a neighbourhood; all its points are equal if they are nearer."""


@dataclass(frozen=True, eq=False)
class Neighbourhoods:
    """The neighbourhoods of some candidates."""

    inputs: Singles
    """Neighbours in the axes of each neighbourhood, nearest first, float32, shape (n, k, 3)."""
    axes: Array
    """The three axes of each neighbourhood, one a row, from the widest to the narrowest, shape
    (n, 3, 3)."""
    size: Vector
    """Root of the mean squared distance of the neighbours, in units of the cloud, shape (n,)."""

    def inside(self, vectors: Matrix) -> Matrix:
        """Turn vectors of the cloud, shape (n, 3), into the axes and units of the model."""
        turned = dot(self.axes.transpose(2, 0, 1), vectors.T[:, :, None])
        return np.asarray(turned / self.size[:, None])

    def outside(self, vectors: Array) -> Matrix:
        """Turn vectors in the axes and units of the model, (n, 3), into vectors of the cloud."""
        known = vectors.T.astype(np.float64)[:, :, None]
        return np.asarray(dot(self.axes.transpose(1, 0, 2), known) * self.size[:, None])


def neighbourhoods(points: Array, candidates: Array) -> Neighbourhoods:
    """Return the neighbourhoods of candidates among the points of a cloud.

    Args:
        points: the cloud, shape (m, 3); if it has fewer than ``SEEN`` points, they are
            repeated.
        candidates: places between the points, shape (n, 3).

    >>> cloud = np.array([[0.0, 0, 0], [1, 0, 0], [0, 1, 0], [1, 1, 0]])
    >>> around = neighbourhoods(cloud, np.array([[0.5, 0.5, 0.1]]))
    >>> around.inputs.shape, around.outside(around.inside(np.array([[1.0, 2.0, 3.0]]))).round(9)
    ((1, 16, 3), array([[1., 2., 3.]]))
    """
    known, found = neighbours_of(points, candidates)
    return seen_from(known[found], candidates)


def neighbours_of(points: Array, candidates: Array) -> tuple[Matrix, Wholes]:
    """Return the points of a cloud, and the indices of the nearest ones of each candidate.

    Points are repeated if there are fewer than ``SEEN``. The indices have the shape
    (candidates, ``SEEN``), nearest first.
    """
    points = np.asarray(points, np.float64)
    known = np.resize(points, (max(len(points), SEEN), 3))
    return known, nearest(candidates, known, SEEN)


def seen_from(around: Matrix, candidates: Array) -> Neighbourhoods:
    """Return the neighbourhoods of candidates, shape (n, 3), from their neighbours, (n, k, 3)."""
    away = np.moveaxis(around - np.asarray(candidates, np.float64)[:, None], 2, 0)
    size = np.sqrt(_mean(dot(away, away)))
    size = np.where(size > LEAST_SIZE, size, 1.0)
    away = away / size[:, None]
    axes = principal_axes(away)
    turned = dot(axes.transpose(2, 0, 1)[:, :, :, None], away[:, :, None, :])
    # An axis has no direction of its own: it points to the side of the farther points.
    side = np.where(_mean(turned * turned * turned) < 0, -1.0, 1.0)
    inputs = np.moveaxis(turned * side[:, :, None], 1, 2).astype(np.float32)
    return Neighbourhoods(inputs, axes * side[:, :, None], size)


def principal_axes(away: Matrix) -> Matrix:
    """Return the principal axes of clouds, one a row, from the widest to the narrowest.

    Jacobi's method in a written order: its bits depend on no library.

    Args:
        away: the points of each cloud, shape (3, n, k).

    Returns:
        Orthonormal rows, shape (n, 3, 3).
    """
    centred = [axis - _mean(axis)[:, None] for axis in away]
    matrix = np.stack([[_mean(a * b) for b in centred] for a in centred])
    axes = np.zeros_like(matrix)
    for axis in range(3):
        axes[axis, axis] = 1.0
    for _ in range(SWEEPS):
        for p, q in ROTATIONS:
            cosine, sine = _rotation(matrix[p, p], matrix[q, q], matrix[p, q])
            for held, first in ((matrix, 0), (matrix, 1), (axes, 0)):
                rows = held if first == 0 else held.transpose(1, 0, 2)
                one, two = rows[p].copy(), rows[q].copy()
                rows[p], rows[q] = cosine * one - sine * two, sine * one + cosine * two
    width = np.stack([matrix[axis, axis] for axis in range(3)])
    order = np.argsort(-width, axis=0, kind="stable")
    return np.take_along_axis(axes.transpose(2, 0, 1), order.T[:, :, None], axis=1)


def _rotation(pp: Vector, qq: Vector, pq: Vector) -> tuple[Vector, Vector]:
    """Return cosine and sine of the angle that makes an entry of symmetric matrices 0."""
    # Where the entry is that small, the angle is 0 to the last bit.
    small = np.abs(pq) <= 1e-30 * np.abs(qq - pp)
    theta = (qq - pp) / (2 * np.where(small, 1.0, pq))
    tangent = np.where(theta < 0, -1.0, 1.0) / (np.abs(theta) + np.sqrt(theta * theta + 1))
    tangent = np.where(small, 0.0, tangent)
    cosine = 1 / np.sqrt(tangent * tangent + 1)
    return cosine, tangent * cosine


def _mean(values: Matrix) -> Vector:
    """Return the means along the last axis, added up in the order of the index."""
    return np.asarray(np.add.accumulate(values, axis=-1)[..., -1] / values.shape[-1])
