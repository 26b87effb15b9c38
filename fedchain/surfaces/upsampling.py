"""Upsampling: a cloud with four or sixteen times as many points of the same surface."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import numpy as np

from fedchain.arrays import Array, Matrix
from fedchain.errors import DataError
from fedchain.interruption import stop_if_asked
from fedchain.scans.scan import Cloud
from fedchain.surfaces.midpoints import densify
from fedchain.surfaces.neighbours import checked_points, nearest

UpsamplingMethod = Literal["midpoints"]
"""How new points are made. ``midpoints``: halfway between neighbours, without learning."""
Factor = Literal[4, 16]
"""How many times as many points are made; 16 is twice in a row 4 times as many."""
STEP = 4
"""How many times as many points one step makes."""


def upsample(points: Array, method: UpsamplingMethod, *, factor: Factor) -> Matrix:
    """Return ``factor`` times as many points of the surface on which points lie.

    Args:
        points: shape (n, 3), at least two different ones.
        method: how new points are made.
        factor: 4, or 16: twice in a row 4 times as many.

    Returns:
        Points, shape (factor x n, 3); those given need not be among them.

    Raises:
        DataError: the cloud is empty, all of its points are equal, or a number is not finite.
    """
    try:
        dense = checked_points(points)
        for _ in range(1 if factor == STEP else 2):
            stop_if_asked()
            dense = densify(dense, STEP * len(dense))
    except ValueError as error:
        raise DataError(f"cloud: {error}") from error
    return dense


def upsample_cloud(cloud: Cloud, method: UpsamplingMethod, *, factor: Factor) -> Cloud:
    """Return a cloud with ``factor`` times as many points.

    A new point has the normal and the intensity of the nearest point of the cloud, as far as the
    cloud has any, and the camera stays. The arguments and errors are those of ``upsample``.
    """
    dense = upsample(cloud.points, method, factor=factor).astype(np.float32)
    origin = nearest(dense, cloud.points, 1)[:, 0]
    light, normals = cloud.intensity, cloud.normals
    return replace(
        cloud,
        points=dense,
        intensity=None if light is None else light[origin],
        normals=None if normals is None else normals[origin],
    )
