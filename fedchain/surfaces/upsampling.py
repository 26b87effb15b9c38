"""Upsampling: a cloud with four or sixteen times as many points of the same surface."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

from fedchain.arrays import Array, Matrix
from fedchain.errors import DataError
from fedchain.interruption import stop_if_asked
from fedchain.scans.scan import Cloud
from fedchain.surfaces.examples import CANDIDATE_NEIGHBOURS
from fedchain.surfaces.midpoints import densify, midpoint_candidates
from fedchain.surfaces.neighbours import (
    checked_points,
    different_points,
    farthest_points,
    nearest,
)

if TYPE_CHECKING:
    from fedchain.surfaces.model_file import SurfaceModel

UpsamplingMethod = Literal["midpoints", "refine", "pu_net"]
"""How new points are made. ``midpoints``: between neighbours, without learning. ``refine``: also
between neighbours, and a model moves them to the surface. ``pu_net``: a model expands patches."""
Factor = Literal[4, 16]
"""How many times as many points are made; 16 is twice in a row 4 times as many."""
AT_A_TIME = 4
"""How many times as many points one step makes."""
MOST_MADE = 1 << 24
"""Most points that are made of one cloud."""


def learned_model(method: UpsamplingMethod, file: Path | None = None) -> SurfaceModel | None:
    """Return the model of a method: that of a file, or the one that fedchain ships.

    None for ``midpoints``, which has none.

    Raises:
        DataError: the file is no model of this method, or this installation ships none.
    """
    if method == "midpoints":
        if file is not None:
            raise DataError(f"{file}: is a model, and midpoints need none; allowed: refine, pu_net")
        return None
    from fedchain.surfaces.model_file import read_surface_model, shipped_surface_model

    model = shipped_surface_model(method) if file is None else read_surface_model(file)
    if model.card.kind != method:
        raise DataError(f"{file}: is a model of {model.card.kind}; allowed: a model of {method}")
    return model


def upsample(
    points: Array,
    method: UpsamplingMethod,
    *,
    factor: Factor,
    model: SurfaceModel | None = None,
) -> Matrix:
    """Return ``factor`` times as many points of the surface on which points lie.

    Args:
        points: shape (n, 3), at least two different ones.
        method: how new points are made.
        factor: 4, or 16: twice in a row 4 times as many.
        model: the model of a learned method; None: the one that fedchain ships.

    Returns:
        Points, shape (factor x n, 3). With ``refine`` the given points are the first of them,
        equal ones once; with the other methods they need not be among them.

    Raises:
        DataError: the cloud is empty, all of its points are equal, a number is not finite, or more
            than ``MOST_MADE`` points were to be made.

    >>> upsample(np.array([[0.0, 0, 0], [1, 0, 0]]), "midpoints", factor=4)[:, 0].tolist()
    [0.0, 1.0, 0.5, 0.25, 0.75, 0.125, 0.375, 0.625]
    """
    if len(points) * factor > MOST_MADE:
        words = f"{len(points):,} points x {factor}; allowed: at most {MOST_MADE:,} in the end"
        raise DataError(f"cloud: {words}")
    model = model or learned_model(method)
    try:
        dense = checked_points(points)
        for _ in range(1 if factor == AT_A_TIME else 2):
            stop_if_asked()
            dense = _four_times(dense, method, model)
    except ValueError as error:
        raise DataError(f"cloud: {error}") from error
    return dense


def _four_times(points: Matrix, method: UpsamplingMethod, model: SurfaceModel | None) -> Matrix:
    count = AT_A_TIME * len(points)
    known = different_points(points)
    if model is None or len(known) < 2:  # densify says what is wrong with equal points
        return densify(points, count)
    from fedchain.surfaces.learned import expand_points, refine_points

    if method == "pu_net":
        return expand_points(points, model)
    candidates = different_points(midpoint_candidates(known, CANDIDATE_NEIGHBOURS))
    if len(known) + len(candidates) < count:
        candidates = densify(known, count)
    every = np.concatenate([known, refine_points(known, candidates, model)])
    return every[farthest_points(every, count, len(known))]


def upsample_cloud(
    cloud: Cloud,
    method: UpsamplingMethod,
    *,
    factor: Factor,
    model: SurfaceModel | None = None,
) -> Cloud:
    """Return a cloud with ``factor`` times as many points.

    A new point has the normal and the intensity of the nearest point of the cloud, as far as the
    cloud has any, and the camera stays. The arguments and errors are those of ``upsample``.
    """
    dense = upsample(cloud.points, method, factor=factor, model=model).astype(np.float32)
    origin = nearest(dense, cloud.points, 1)[:, 0]
    light, normals = cloud.intensity, cloud.normals
    return replace(
        cloud,
        points=dense,
        intensity=None if light is None else light[origin],
        normals=None if normals is None else normals[origin],
    )
