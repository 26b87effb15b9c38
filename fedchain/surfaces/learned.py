"""Learned upsampling: what trained models do to a cloud, in blocks, so that memory stays small."""

from __future__ import annotations

import numpy as np
import torch

from fedchain.arrays import Array, Matrix
from fedchain.surfaces.model_file import SurfaceModel
from fedchain.surfaces.neighbourhoods import neighbours_of, seen_from
from fedchain.surfaces.neighbours import farthest_points
from fedchain.surfaces.patches import cut_patches

SEARCHED_AT_ONCE = 1 << 19
"""Number of candidates whose neighbours are looked for together."""
CANDIDATES_AT_ONCE = 4096
"""Number of candidates that go through the model together."""
PATCHES_AT_ONCE = 8
"""Number of patches that go through the model together."""


def refine_points(points: Array, candidates: Array, model: SurfaceModel) -> Matrix:
    """Move candidates to the surface that the points of a cloud show.

    Args:
        points: the cloud, shape (n, 3), n at least 1.
        candidates: places near the surface, such as midpoints of points, shape (m, 3).
        model: a trained model of kind ``refine``.

    Returns:
        The moved candidates, shape (m, 3).
    """
    points, candidates = np.asarray(points, np.float64), np.asarray(candidates, np.float64)
    moved = np.empty_like(candidates)
    for place in range(0, len(candidates), SEARCHED_AT_ONCE):
        near = candidates[place : place + SEARCHED_AT_ONCE]
        known, found = neighbours_of(points, near)
        for start in range(0, len(near), CANDIDATES_AT_ONCE):
            own = slice(start, start + CANDIDATES_AT_ONCE)
            around = seen_from(known[found[own]], near[own])
            with torch.inference_mode():
                offsets = model.module(torch.from_numpy(around.inputs)).numpy()
            moved[place : place + SEARCHED_AT_ONCE][own] = near[own] + around.outside(offsets)
    return moved


def expand_points(points: Array, model: SurfaceModel) -> Matrix:
    """Return four times as many points as a cloud has, by a model of patches.

    Each patch gives new points; those of all patches are joined, and the points that lie farthest
    from each other are kept.

    Args:
        points: the cloud, shape (n, 3), n at least 1.
        model: a trained model of kind ``pu_net``.

    Returns:
        Shape (4 n, 3).
    """
    patches = cut_patches(points, model.card.points)
    made = []
    for part in torch.split(torch.from_numpy(patches.inputs), PATCHES_AT_ONCE):
        with torch.inference_mode():
            made.append(model.module(part).numpy())
    every = patches.joined(np.concatenate(made))
    return every[farthest_points(every, 4 * len(points))]
