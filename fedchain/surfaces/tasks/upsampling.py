"""Task ``cloud_upsampling``: learn to make four points of each point of a patch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import numpy as np
from pydantic import Field

from fedchain.arrays import Array
from fedchain.errors import Problem, ScenarioError
from fedchain.learning.models import seeded
from fedchain.learning.task import (
    TASK_SHAPES,
    Records,
    Shapes,
    Task,
    losses,
    models,
    splits,
    tasks,
)
from fedchain.registry import Part, cites
from fedchain.scans.tasks.simulated import BY_SITE
from fedchain.surfaces.examples import dense_patches, patch_pairs
from fedchain.surfaces.generated import GeneratedShape
from fedchain.surfaces.model_file import COORDINATES
from fedchain.surfaces.models.pu_net import FACTOR
from fedchain.surfaces.neighbours import farthest_points
from fedchain.surfaces.patches import Patches, cut_patches
from fedchain.surfaces.tasks.shapes import (
    ShapeCount,
    ShapePoints,
    federation_of,
    metrics_of_clouds,
    records_of_shapes,
    shape_baselines,
)

NARROW = Part("pu_net", {"width": 0.0625, "residual": True})
CHAMFER = Part("chamfer", {})


def _shapes(given: Mapping[str, Any]) -> Shapes:
    patch = given["patch"]
    return Shapes((patch, COORDINATES), COORDINATES, (FACTOR * patch, COORDINATES), "gain")


TASK_SHAPES["cloud_upsampling"] = _shapes


@tasks
@cites("yu2018")
def cloud_upsampling(
    holders: int,
    seed: int,
    *,
    points: ShapePoints = 256,
    patch: Annotated[int, Field(ge=8, le=1024)] = 64,
    shapes: ShapeCount = 20,
    patches: Annotated[int, Field(ge=1, le=64)] = 2,
    held_out: ShapeCount = 7,
    split: Annotated[Part, splits] = BY_SITE,
    model: Annotated[Part, models] = NARROW,
    loss: Annotated[Part, losses] = CHAMFER,
) -> Task:
    """Upsampling of clouds: the model makes four points of each point of a patch.

    There are as many sites as holders. Each site has generated shapes of one family, as in
    ``cloud_refinement``. A shape is a record; its examples are patches of its points, and patches
    of four times as many points of the same surface. The held-out shapes are made denser patch by
    patch, and are compared with many points of their surfaces, beside midpoints, which need no
    learning.

    Args:
        holders: number of data holders, and of sites.
        seed: the seed of the run; other seeds give other shapes.
        points: number of points of a shape.
        patch: number of points of a patch, at most ``points``.
        shapes: number of shapes of each site; a shape is a record.
        patches: number of patches of a shape that are learned from.
        held_out: number of shapes for measuring, from the families of all sites.
        split: how the shapes are divided among the holders. A split by label uses the family as the
            label.
        model: model that turns a patch into a patch of four times as many points.
        loss: loss of a patch.

    Raises:
        ScenarioError: a patch has more points than a shape.

    Reference:
        Yu et al., "PU-Net", 2018, section 3.
    """
    if patch > points:
        words = f"must be at most the {points} points of a shape, got {patch}"
        raise ScenarioError([Problem(("task", "patch"), words)])
    known = federation_of(
        seed, holders, records=shapes, held_out=held_out, points=points, dense=True, split=split
    )
    pairs = [patch_pairs(shape, patch, patches) for shape in known.shapes]
    inputs, targets = (np.stack(each) for each in zip(*pairs, strict=True))
    cut = [cut_patches(shape.points, patch) for shape in known.held_out]
    baselines = shape_baselines(known.held_out)
    midpoints = baselines["midpoints"]["chamfer"]
    return Task(
        name="cloud_upsampling",
        holders=tuple(records_of_shapes(inputs[own], targets[own]) for own in known.dealt),
        held_out=_held_out(cut, known.held_out),
        model=seeded(lambda: models.build(model, (patch, COORDINATES), COORDINATES), seed),
        loss=losses.build(loss),
        measure=lambda outputs, _: metrics_of_clouds(
            _joined(outputs, cut, FACTOR * points), known.held_out, midpoints
        ),
        score="gain",
        baselines=baselines,
        record="shape",
        note=f"{holders * shapes} generated shapes; {held_out} more held out",
    )


def _held_out(cut: Sequence[Patches], shapes: Sequence[GeneratedShape]) -> Records:
    """Return all patches of the held-out shapes as examples; a shape is a record."""
    return Records(
        np.concatenate([patches.inputs for patches in cut]),
        np.concatenate([dense_patches(*each) for each in zip(cut, shapes, strict=True)]),
        np.repeat(np.arange(len(cut)), [len(patches.inputs) for patches in cut]),
    )


def _joined(outputs: Array, cut: Sequence[Patches], count: int) -> list[Array]:
    """Return the denser cloud of each shape, ``count`` points each, from all its patches."""
    starts = np.cumsum([len(patches.inputs) for patches in cut])[:-1]
    parts = zip(cut, np.split(outputs, starts), strict=True)
    clouds = [patches.joined(own) for patches, own in parts]
    return [cloud[farthest_points(cloud, count)] for cloud in clouds]
