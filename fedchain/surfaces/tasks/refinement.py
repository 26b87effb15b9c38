"""Task ``cloud_refinement``: learn where the surface is between the points of a cloud."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import numpy as np
from pydantic import Field

from fedchain.arrays import Array
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
from fedchain.randomness import stream
from fedchain.registry import Part, cites
from fedchain.scans.tasks.simulated import BY_SITE
from fedchain.surfaces.examples import (
    CANDIDATE_NEIGHBOURS,
    offsets_inside,
    refinement_pairs,
)
from fedchain.surfaces.generated import GeneratedShape
from fedchain.surfaces.midpoints import midpoint_candidates
from fedchain.surfaces.model_file import COORDINATES
from fedchain.surfaces.models.pu_net import FACTOR
from fedchain.surfaces.neighbourhoods import SEEN, Neighbourhoods, neighbourhoods
from fedchain.surfaces.neighbours import farthest_points
from fedchain.surfaces.tasks.shapes import (
    ShapeCount,
    ShapePoints,
    federation_of,
    metrics_of_clouds,
    records_of_shapes,
    shape_baselines,
)

SMALL_REFINE = Part("refine", {"width": 8})
SQUARED = Part("squared_error", {})


def _shapes(given: Mapping[str, Any]) -> Shapes:
    del given  # every neighbourhood is alike
    return Shapes((SEEN, COORDINATES), COORDINATES, (COORDINATES,), "gain")


TASK_SHAPES["cloud_refinement"] = _shapes


@tasks
@cites("he2023")
def cloud_refinement(
    holders: int,
    seed: int,
    *,
    points: ShapePoints = 256,
    shapes: ShapeCount = 20,
    candidates: Annotated[int, Field(ge=1, le=4096)] = 64,
    held_out: ShapeCount = 14,
    split: Annotated[Part, splits] = BY_SITE,
    model: Annotated[Part, models] = SMALL_REFINE,
    loss: Annotated[Part, losses] = SQUARED,
) -> Task:
    """Refinement of denser clouds: the model moves midpoints of points to the surface.

    There are as many sites as holders. Each site has generated shapes of one family: machined
    parts, creatures, furniture, pebbles, castings, superquadrics or rings. A shape is a record; its
    examples are the neighbourhoods of some midpoints, and the offsets of these to the surface. The
    held-out shapes are made four times as dense: their points stay, and moved midpoints of 16
    neighbours are added, each as far as possible from all others. The baseline ``unmoved`` does the
    same without moving them.

    Args:
        holders: number of data holders, and of sites.
        seed: the seed of the run; other seeds give other shapes.
        points: number of points of a shape.
        shapes: number of shapes of each site; a shape is a record.
        candidates: number of midpoints of a shape that are learned from.
        held_out: number of shapes for measuring, from the families of all sites.
        split: how the shapes are divided among the holders. A split by label uses the family as the
            label.
        model: model that turns a neighbourhood of 16 points into an offset.
        loss: loss of an offset.

    Reference:
        He et al., "Grad-PU", 2023, which moves midpoints too.
    """
    known = federation_of(
        seed, holders, records=shapes, held_out=held_out, points=points, dense=False, split=split
    )
    pairs = [
        refinement_pairs(shape, candidates, stream(seed, "candidates", number))
        for number, shape in enumerate(known.shapes)
    ]
    inputs, targets = (np.stack(each) for each in zip(*pairs, strict=True))
    measured = HeldOut(known.held_out)
    baselines = shape_baselines(known.held_out)
    midpoints = baselines["midpoints"]["chamfer"]
    unmoved = measured.refined(np.zeros_like(measured.records.targets))
    return Task(
        name="cloud_refinement",
        holders=tuple(records_of_shapes(inputs[own], targets[own]) for own in known.dealt),
        held_out=measured.records,
        model=seeded(lambda: models.build(model, (SEEN, COORDINATES), COORDINATES), seed),
        loss=losses.build(loss),
        measure=lambda outputs, _: metrics_of_clouds(
            measured.refined(outputs), known.held_out, midpoints
        ),
        score="gain",
        baselines={
            **baselines,
            "unmoved": metrics_of_clouds(unmoved, known.held_out, midpoints),
        },
        record="shape",
        note=f"{holders * shapes} generated shapes; {held_out} more held out",
    )


class HeldOut:
    """All candidates of the held-out shapes, and what becomes of them when they are moved."""

    def __init__(self, shapes: Sequence[GeneratedShape]) -> None:
        """Find the candidates and their neighbourhoods."""
        self._shapes = shapes
        self._candidates = [
            midpoint_candidates(shape.points, CANDIDATE_NEIGHBOURS) for shape in shapes
        ]
        self._around: list[Neighbourhoods] = [
            neighbourhoods(shape.points, own)
            for shape, own in zip(shapes, self._candidates, strict=True)
        ]
        targets = [
            offsets_inside(*each)
            for each in zip(shapes, self._around, self._candidates, strict=True)
        ]
        sizes = [len(own) for own in self._candidates]
        self.records = Records(
            np.concatenate([around.inputs for around in self._around]),
            np.concatenate(targets),
            np.repeat(np.arange(len(shapes)), sizes),
        )
        """The candidates as examples; a shape is a record."""
        self._starts = np.cumsum(sizes)[:-1]

    def refined(self, outputs: Array) -> list[Array]:
        """Return the denser cloud of each shape, from the offset of each candidate."""
        clouds = []
        parts = np.split(outputs, self._starts)
        for shape, own, around, offsets in zip(
            self._shapes, self._candidates, self._around, parts, strict=True
        ):
            moved = np.concatenate([shape.points, own + around.outside(offsets)])
            count = len(shape.points)
            clouds.append(moved[farthest_points(moved, FACTOR * count, first=count)])
        return clouds
