"""Shapes of holders: what the tasks of surfaces share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated

import numpy as np
from pydantic import Field

from fedchain.arrays import Array, Matrix, Wholes
from fedchain.learning.task import Metrics, Records, splits
from fedchain.randomness import stream
from fedchain.registry import Part
from fedchain.surfaces.generated import GeneratedShape, generate_shape, unit_sphere
from fedchain.surfaces.metrics import chamfer_distance, hausdorff_distance
from fedchain.surfaces.midpoints import densify
from fedchain.surfaces.models.pu_net import FACTOR
from fedchain.surfaces.neighbours import nearest
from fedchain.surfaces.solids import SOLIDS

THOUSAND = 1000.0
"""Factor of the distances in metrics, which would be small otherwise."""
ShapePoints = Annotated[int, Field(ge=32, le=4096)]
ShapeCount = Annotated[int, Field(ge=1, le=10_000)]


@dataclass(frozen=True, eq=False)
class Federation:
    """The shapes of all holders, and those that are held out."""

    shapes: Sequence[GeneratedShape]
    """Shapes of all holders, site by site."""
    held_out: Sequence[GeneratedShape]
    """Shapes for measuring, which take turns among the families of the sites."""
    dealt: Sequence[Wholes]
    """Indices of the shapes of each holder."""


def federation_of(
    seed: int,
    holders: int,
    *,
    records: int,
    held_out: int,
    points: int,
    dense: bool,
    split: Part,
) -> Federation:
    """Draw the shapes of a federation; there are as many sites as holders, each with a family.

    Args:
        seed: the seed of the run.
        holders: number of holders.
        records: number of shapes of each site.
        held_out: number of shapes for measuring.
        points: number of points of a shape.
        dense: whether the holders' shapes need a truth of four times as many points.
        split: how the shapes are divided among the holders.
    """
    families = list(SOLIDS)
    of_site = [families[site % len(families)] for site in range(holders)]
    truth = FACTOR * points
    shapes = [
        generate_shape(seed, ["record", site, k], family, points, truth if dense else 0)
        for site, family in enumerate(of_site)
        for k in range(records)
    ]
    measured = [
        generate_shape(seed, ["held out", k], of_site[k % holders], points, truth)
        for k in range(held_out)
    ]
    sites = np.repeat(np.arange(holders), records)
    labels = np.array([families.index(family) for family in of_site], np.int64)[sites]
    dealt = splits.build(split, labels, sites, holders, stream(seed, "split"))
    return Federation(shapes, measured, dealt)


def records_of_shapes(inputs: Array, targets: Array) -> Records:
    """Return shapes as records, each with several examples.

    Args:
        inputs: inputs of the model, shape (shapes, examples, ...).
        targets: targets of the loss, shape (shapes, examples, ...).
    """
    shapes, many = inputs.shape[:2]
    return Records(
        inputs.reshape(-1, *inputs.shape[2:]),
        targets.reshape(-1, *targets.shape[2:]),
        np.repeat(np.arange(shapes), many),
    )


def metrics_of_clouds(
    denser: Sequence[Array], shapes: Sequence[GeneratedShape], known: float
) -> Metrics:
    """Return the metrics of denser clouds of some shapes.

    Args:
        denser: a cloud for each shape, shape (n, 3).
        shapes: the shapes, with their truth.
        known: the metric ``chamfer`` of midpoints, which need no learning.

    Returns:
        ``chamfer``: mean squared Chamfer distance to the truth, times 1,000, of clouds scaled to
        the unit sphere. ``hausdorff``: mean Hausdorff distance, likewise. ``gain``: 1 minus
        ``chamfer`` divided by that of midpoints; 0 is as good as midpoints, and 1 is perfect.
    """
    chamfers, hausdorffs = [], []
    for cloud, shape in zip(denser, shapes, strict=True):
        centre, radius = unit_sphere(shape.truth)
        pair = (cloud - centre) / radius, (shape.truth - centre) / radius
        chamfers.append(chamfer_distance(*pair))
        hausdorffs.append(hausdorff_distance(*pair))
    chamfer = THOUSAND * float(np.mean(chamfers))
    return {
        "gain": 1 - chamfer / (known or chamfer),
        "chamfer": chamfer,
        "hausdorff": THOUSAND * float(np.mean(hausdorffs)),
    }


def shape_baselines(shapes: Sequence[GeneratedShape]) -> Mapping[str, Metrics]:
    """Return the metrics of upsampling without learning.

    ``midpoints`` takes the midpoints of 8 neighbours, of which those remain that lie farthest from
    each other; ``plain_midpoints`` takes one midpoint with each of 3 neighbours.
    """
    good = [densify(shape.points, FACTOR * len(shape.points)) for shape in shapes]
    plain = [plain_midpoints(shape.points) for shape in shapes]
    known = metrics_of_clouds(good, shapes, 0.0)["chamfer"]
    return {
        "midpoints": metrics_of_clouds(good, shapes, known),
        "plain_midpoints": metrics_of_clouds(plain, shapes, known),
    }


def plain_midpoints(points: Array) -> Matrix:
    """Return the points of a cloud, and the middles between each and its 3 nearest neighbours.

    A middle of two points that are neighbours of each other counts twice, so there are four times
    as many points, shape (4 n, 3).
    """
    found = np.asarray(points, np.float64)
    beside = nearest(found, found, FACTOR)[:, 1:]
    return np.concatenate([found, ((found[:, None] + found[beside]) / 2).reshape(-1, 3)])
