"""Training in one place: the models that come with fedchain, from generated shapes only."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from fedchain.elementary import draw_between
from fedchain.learning.models import seeded
from fedchain.learning.task import losses, models
from fedchain.randomness import NameStep, stream
from fedchain.registry import Part
from fedchain.scans.training.model_file import weights_digest
from fedchain.scans.training.optimisation import begin, make_adam_step, one_cycle
from fedchain.surfaces.examples import ExamplePairs, patch_pairs, refinement_pairs
from fedchain.surfaces.generated import generate_shape
from fedchain.surfaces.model_file import COORDINATES, ShippedName, SurfaceCard, SurfaceModel
from fedchain.surfaces.neighbourhoods import SEEN
from fedchain.surfaces.solids import SOLIDS

FEWEST, OCTAVES = 400, 3.0
"""Fewest points of a training shape for ``refine``, and by how many powers of two a shape may have
more."""


@dataclass(frozen=True, kw_only=True)
class SurfaceRecipe:
    """How a model is trained."""

    model: Part
    """The model: ``refine`` or ``pu_net``."""
    loss: Part
    """The loss of one example."""
    points: int
    """Number of points that the model sees at once."""
    shapes: int
    """Number of generated shapes, which take turns among the families."""
    examples: int
    """Number of examples of each shape."""
    steps: int
    """Number of steps of Adam."""
    batch: int
    """Number of examples in a step."""
    learning_rate: float
    """Largest learning rate of the cycle."""
    seed: int = 1
    """Seed of shapes, weights and batches."""


REFINE = SurfaceRecipe(
    model=Part("refine", {"width": 64}),
    loss=Part("squared_error", {}),
    points=SEEN,
    shapes=210,
    examples=1000,
    steps=3000,
    batch=512,
    learning_rate=3e-3,
)
"""How the shipped model ``refine`` is trained."""
PU_NET = SurfaceRecipe(
    model=Part("pu_net", {"width": 0.5, "residual": True}),
    loss=Part("chamfer", {"repulsion": 0.0}),
    points=256,
    shapes=210,
    examples=4,
    steps=600,
    batch=4,
    learning_rate=2e-3,
)
"""How the shipped model ``pu_net`` is trained."""
RECIPES: Mapping[ShippedName, SurfaceRecipe] = {"refine": REFINE, "pu_net": PU_NET}
"""The recipes of the shipped models by name."""
StepProgress = Callable[[int, int, float], None]
"""Called after a step with the number of steps done, of all steps, and the loss of the step."""


def train_on_shapes(
    recipe: SurfaceRecipe, progress: StepProgress = lambda *_: None
) -> SurfaceModel:
    """Train a model on generated shapes.

    With one thread, the same machine makes the same weights again.
    """
    inputs, targets = _pairs(recipe)
    module = seeded(
        lambda: models.build(recipe.model, inputs.shape[1:], COORDINATES), recipe.seed
    )()
    loss, state = losses.build(recipe.loss), begin(module)
    for own in _batches(recipe, len(inputs)):
        value = loss(module(inputs[own]), targets[own]).mean()
        gradients = torch.autograd.grad(value, list(module.parameters()))
        rate = one_cycle(state.step, recipe.steps, recipe.learning_rate)
        state.step += 1
        make_adam_step(state, gradients, rate)
        progress(state.step, recipe.steps, float(value.detach()))
    return SurfaceModel(_card(recipe, module), module.eval())


def training_pairs(recipe: SurfaceRecipe) -> Iterator[ExamplePairs]:
    """Yield the examples of each training shape."""
    families = list(SOLIDS)
    for number in range(recipe.shapes):
        name: list[NameStep] = ["training", number]
        family = families[number % len(families)]
        random = stream(recipe.seed, "training draws", number)
        if recipe.model.kind == "pu_net":
            shape = generate_shape(recipe.seed, name, family, 4 * recipe.points, 16 * recipe.points)
            yield patch_pairs(shape, recipe.points, recipe.examples)
            continue
        count = round(FEWEST * 2 ** draw_between(random, 0, OCTAVES))
        shape = generate_shape(recipe.seed, name, family, count, 0)
        yield refinement_pairs(shape, recipe.examples, random)


def _pairs(recipe: SurfaceRecipe) -> tuple[torch.Tensor, torch.Tensor]:
    inputs, targets = zip(*training_pairs(recipe), strict=True)
    return torch.from_numpy(np.concatenate(inputs)), torch.from_numpy(np.concatenate(targets))


def _batches(recipe: SurfaceRecipe, examples: int) -> Iterator[torch.Tensor]:
    """Yield the examples of each step: each one once in every pass over all of them."""
    each = math.ceil(examples / recipe.batch)
    for step in range(recipe.steps):
        passed, place = divmod(step, each)
        if place == 0:
            order = torch.from_numpy(stream(recipe.seed, "pass", passed).permutation(examples))
        yield order[place * recipe.batch : (place + 1) * recipe.batch]


def _card(recipe: SurfaceRecipe, module: torch.nn.Module) -> SurfaceCard:
    count = sum(value.numel() for value in module.parameters())
    training: dict[str, Any] = {
        "loss": recipe.loss.plain(),
        "shapes": recipe.shapes,
        "families": list(SOLIDS),
        "examples": recipe.shapes * recipe.examples,
        "steps": recipe.steps,
        "batch": recipe.batch,
        "learning_rate": recipe.learning_rate,
        "seed": recipe.seed,
        "weights": count,
        "weights_digest": weights_digest(module),
        "licence": "MIT",
    }
    return SurfaceCard(
        model=recipe.model.plain(),
        points=recipe.points,
        trained_on=f"{recipe.shapes} generated shapes alone, of {len(SOLIDS)} families",
        training=training,
        scores={},
    )
