"""Examples: what models learn from a generated shape."""

from __future__ import annotations

import numpy as np

from fedchain.arrays import Array, Singles
from fedchain.elementary import dot
from fedchain.surfaces.generated import GeneratedShape, offsets_to_surface
from fedchain.surfaces.midpoints import midpoint_candidates
from fedchain.surfaces.models.pu_net import FACTOR
from fedchain.surfaces.neighbourhoods import Neighbourhoods, neighbourhoods
from fedchain.surfaces.neighbours import farthest_points, nearest
from fedchain.surfaces.patches import Patches, patches_around

CANDIDATE_NEIGHBOURS = 16
"""Number of neighbours of a point with which it has midpoints that ``refine`` moves. More than the
8 of plain midpoints: far ones, which a model moves to the surface, fill gaps."""
FARTHEST = 0.5
"""Length to which offsets are cut, in sizes of the neighbourhood. A candidate that is farther from
the surface lies between parts that have nothing to do with each other."""

ExamplePairs = tuple[Singles, Singles]
"""Inputs and targets of some examples."""


def refinement_pairs(shape: GeneratedShape, many: int, random: np.random.Generator) -> ExamplePairs:
    """Return neighbourhoods of midpoints of a shape's points, and the offsets to its surface.

    Args:
        shape: the shape.
        many: number of examples; no midpoint is drawn twice, as long as there are others.
        random: where the draws come from.

    Returns:
        Neighbourhoods, shape (many, k, 3), and offsets in the axes of each, shape (many, 3).
    """
    candidates = midpoint_candidates(shape.points, CANDIDATE_NEIGHBOURS)
    chosen = candidates[np.resize(random.permutation(len(candidates)), many)]
    around = neighbourhoods(shape.points, chosen)
    return around.inputs, offsets_inside(shape, around, chosen)


def offsets_inside(shape: GeneratedShape, around: Neighbourhoods, candidates: Array) -> Singles:
    """Return the offsets of candidates to the surface, in the axes of their neighbourhoods.

    An offset that is longer than ``FARTHEST`` is cut to this length.
    """
    offsets = around.inside(offsets_to_surface(shape.level, candidates))
    length = np.sqrt(dot(offsets.T, offsets.T))
    return (offsets * (FARTHEST / np.maximum(length, FARTHEST))[:, None]).astype(np.float32)


def patch_pairs(shape: GeneratedShape, size: int, many: int) -> ExamplePairs:
    """Return patches of a shape's points, and patches of four times as many points of its truth.

    The truth must have four times as many points as the shape, so that both patches cover the same
    piece of the surface.

    Args:
        shape: the shape, with at least ``size`` points.
        size: number of points of a patch.
        many: number of patches, whose seeds lie far from each other.

    Returns:
        Points in the unit spheres of the patches, shape (many, size, 3), and of the truth in the
        same spheres, shape (many, 4 size, 3).
    """
    seeds = farthest_points(shape.points, many)
    patches = patches_around(shape.points, seeds, size)
    return patches.inputs, dense_patches(patches, shape)


def dense_patches(patches: Patches, shape: GeneratedShape) -> Singles:
    """Return the patches of a shape's truth around the seeds of patches of its points.

    Each has four times as many points as a patch, in the unit sphere of the patch.
    """
    seeds = shape.points[patches.places[:, 0]]
    dense = shape.truth[nearest(seeds, shape.truth, FACTOR * patches.places.shape[1])]
    targets = [patches.inside(patch, own) for patch, own in enumerate(dense)]
    return np.stack(targets).astype(np.float32)
