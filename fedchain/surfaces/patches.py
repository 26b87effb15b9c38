"""Patches: pieces of a cloud that a network sees one by one, and how a cloud is put together again.

A patch is a point and the points nearest to it, moved and scaled so that they fill the unit sphere.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from fedchain.arrays import Array, Matrix, Singles, Vector, Wholes
from fedchain.surfaces.generated import unit_sphere
from fedchain.surfaces.neighbours import farthest_points, nearest

OVERLAP = 3
"""Number of patches that hold a point, on average."""


@dataclass(frozen=True, eq=False)
class Patches:
    """The patches of a cloud, in the order of their seeds."""

    places: Wholes
    """Indices of the points of each patch, nearest to its seed first, shape (patches, size)."""
    inputs: Singles
    """Points of each patch in the unit sphere, float32, shape (patches, size, 3)."""
    centres: Matrix
    """Centres of the patches in the cloud, shape (patches, 3)."""
    radii: Vector
    """Radii of the patches in units of the cloud, shape (patches,)."""

    def inside(self, patch: int, points: Array) -> Matrix:
        """Move points of the cloud, shape (n, 3), into the unit sphere of a patch."""
        return np.asarray((points - self.centres[patch]) / self.radii[patch])

    def joined(self, outputs: Array) -> Matrix:
        """Move points from the unit spheres of all patches back, and put them together.

        Args:
            outputs: points for each patch, shape (patches, points, 3).

        Returns:
            All points in units of the cloud, patch by patch, shape (patches * points, 3).
        """
        back = outputs * self.radii[:, None, None] + self.centres[:, None]
        return np.asarray(back, np.float64).reshape(-1, 3)


def cut_patches(points: Array, size: int) -> Patches:
    """Cut a cloud into patches that overlap, so that each point is in one at least.

    The seeds are points that lie far from each other. As many are taken as hold each point three
    times on average; a point that is still in no patch becomes a seed of its own.

    Args:
        points: the cloud, shape (n, 3), n at least 1.
        size: number of points of a patch; a smaller cloud is one patch, in which points are
            repeated.

    >>> cloud = np.arange(30.0).reshape(10, 3)
    >>> patches = cut_patches(cloud, 4)
    >>> patches.inputs.shape, bool((np.unique(patches.places) == np.arange(10)).all())
    ((8, 4, 3), True)
    >>> bool(np.allclose(patches.joined(patches.inputs), cloud[patches.places.ravel()], 0, 1e-6))
    True
    """
    points = np.asarray(points, np.float64)
    if len(points) <= size:
        return _patches_of(points, np.resize(np.arange(len(points)), (1, size)))
    seeds = farthest_points(points, min(len(points), -(-OVERLAP * len(points) // size)))
    return _patches_of(points, np.concatenate([*_around(points, seeds, size)]))


def patches_around(points: Array, seeds: Wholes, size: int) -> Patches:
    """Return the patches of a cloud around some of its points.

    Args:
        points: the cloud, shape (n, 3).
        seeds: indices of the points around which the patches lie, shape (patches,).
        size: number of points of a patch, at most n.
    """
    points = np.asarray(points, np.float64)
    return _patches_of(points, nearest(points[seeds], points, size))


def _patches_of(points: Matrix, places: Wholes) -> Patches:
    spheres = [unit_sphere(points[own]) for own in places]
    centres = np.stack([centre for centre, _ in spheres])
    radii = np.array([radius for _, radius in spheres])
    inputs = (points[places] - centres[:, None]) / radii[:, None, None]
    return Patches(places, inputs.astype(np.float32), centres, radii)


def _around(points: Matrix, seeds: Wholes, size: int) -> Iterator[Wholes]:
    """Yield the points around the seeds, and then around each point that is in no patch so far."""
    within = np.zeros(len(points), bool)
    first = nearest(points[seeds], points, size)
    within[first] = True
    yield first
    for point in range(len(points)):
        if not within[point]:
            own = nearest(points[point : point + 1], points, size)
            within[own] = True
            yield own
