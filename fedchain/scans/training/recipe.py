"""Recipe: how a model of scans is trained."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import Field

from fedchain.errors import ScenarioError
from fedchain.learning.task import losses, models
from fedchain.registry import Part, Section, examine_keys
from fedchain.scans import segmentation
from fedchain.scans.training.examples import HeldOutWay
from fedchain.scans.training.model_file import Share
from fedchain.scans.training.optimisation import StepSchedule
from fedchain.scans.turntable import ChannelKind

DEFAULT_MODEL = Part("gajdosech_unet", {"levels": 2, "width": 8, "norm": "group"})
"""Default model: a U-Net of two levels, which trains in a minute on one core."""
ON_VIEWS: Mapping[str, Any] = {
    "model": Part("pixels", {"hidden": 0}),
    "loss": Part("bce", {"keep_weight": 0.5}),
    "steps": 400,
    "learning_rate": 0.1,
    "threshold": 0.67,
}
"""What is better with the channels ``views``. A linear model of each point's comparisons with other
views carries over to scans that it has not seen; what a network sees around the point does not."""


class Recipe(Section):
    """How a model is trained.

    The defaults were chosen on real scans of a structured-light scanner: even crops, because
    crops around outliers would make the model expect too many of them, and a low threshold.
    """

    model: Annotated[Part, models] = DEFAULT_MODEL
    """Model that turns channels into one logit per pixel."""
    loss: Annotated[Part, losses] = segmentation.BCE
    """Loss over the pixels that hold a point."""
    channels: ChannelKind | None = None
    """Kind of channels; None: ``views`` if the scans have cameras, else ``local``."""
    steps: Annotated[int, Field(ge=1, le=1_000_000)] = 200
    """Number of steps of Adam."""
    batch: Annotated[int, Field(ge=1, le=1024)] = 6
    """Crops in a step."""
    window: Annotated[int, Field(ge=16, le=1024)] = 96
    """Pixels along a side of a crop, and of the windows in which scans are cleaned."""
    learning_rate: Annotated[float, Field(gt=0, le=10)] = 3e-3
    """Largest learning rate of the one cycle."""
    threshold: Share = 0.2
    """Probability to keep a point below which the point is erased."""
    held_out: HeldOutWay = "auto"
    """What is measured and not learned from."""
    check_every: Annotated[int, Field(ge=1, le=1_000_000)] = 20
    """Steps between two measurements."""
    patience: Annotated[int, Field(ge=1, le=1_000_000)] = 5
    """Measurements without an improvement after which the training stops."""
    seed: Annotated[int, Field(ge=0)] = 0
    """Seed of weights, crops and held-out tiles."""

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> Recipe:
        """Return the recipe with some values replaced; keys are dotted paths: ``model.width``.

        Raises:
            ScenarioError: a key is unknown, or a value is not allowed.

        >>> Recipe.of({"steps": 400, "model.width": 4}).model.parameters["width"]
        4
        """
        given = {path: value for path, value in values.items() if "." not in path}
        for path in values.keys() - given.keys():
            block, _, key = path.rpartition(".")
            outer = given.get(block, {})
            if isinstance(outer, Mapping):  # what is no block is refused with the other problems
                given[block] = {**outer, key: values[path]}
        checked, problems = examine_keys(cls, given, ())
        if problems:
            raise ScenarioError(problems)
        chosen = {path.partition(".")[0] for path in values}
        return cls.model_construct(chosen, **checked)

    def suited_to(self, kind: ChannelKind) -> Recipe:
        """Return the recipe for a kind of channels, if no model is chosen: see ``ON_VIEWS``.

        >>> recipe = Recipe.of({"steps": 9}).suited_to("views")
        >>> recipe.model.kind, recipe.steps, recipe.threshold
        ('pixels', 9, 0.67)
        """
        chosen = self.model_fields_set
        if kind != "views" or "model" in chosen:
            return self
        return self.model_copy(update={k: v for k, v in ON_VIEWS.items() if k not in chosen})

    @property
    def margin(self) -> int:
        """Pixels at each side of a window for which the model's answer is not used."""
        return self.window // 6

    @property
    def schedule(self) -> StepSchedule:
        """The recipe's steps."""
        return StepSchedule(
            steps=self.steps,
            batch=self.batch,
            window=self.window,
            margin=self.margin,
            learning_rate=self.learning_rate,
            check_every=self.check_every,
            patience=self.patience,
            seed=self.seed,
        )
