"""Model files of surfaces: the weights of a trained model, and a card that says what it is.

A model file is an NPZ file of plain arrays: ``card`` has the bytes of a JSON text, and
``weights/NAME`` has the weights NAME. Nothing in the file is ever executed.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

import numpy as np
from pydantic import Field, ValidationError, field_validator
from torch import nn

from fedchain.arrays import Array
from fedchain.errors import DataError, PartError, ScenarioError
from fedchain.files import write_whole
from fedchain.learning.task import models
from fedchain.registry import Section
from fedchain.scans.formats.contents import Contents, contents
from fedchain.scans.formats.npz import arrays_of
from fedchain.scans.training.model_file import (
    LONGEST_CARD,
    WEIGHTS_PREFIX,
    arrays_by_name,
    bytes_of_arrays,
    load_arrays,
    text_array,
)
from fedchain.version import __version__

LARGEST_FILE = 1 << 28
"""Size of the largest model file that is read, in bytes."""
SHIPPED_MODELS = Path(__file__).with_name("shipped")
"""Folder with the model files that come with fedchain."""
ShippedName = Literal["refine", "pu_net"]
"""Name of a model that comes with fedchain."""
COORDINATES = 3
"""Number of outputs of a model: the coordinates of a point."""


class SurfaceCard(Section):
    """What a trained model is, what it was trained on, and how it scored."""

    model: dict[str, Any]
    """The model's block: its kind, ``refine`` or ``pu_net``, and its parameters."""
    points: Annotated[int, Field(ge=1, le=4096)]
    """Number of points that the model sees at once: neighbours, or points of a patch."""
    trained_on: str
    """One sentence about the training shapes."""
    training: dict[str, Any]
    """Numbers of the training: shapes, examples, steps, seed."""
    scores: dict[str, dict[str, float]]
    """Metrics on generated shapes that were held out, for the model and each baseline."""
    fedchain: str = __version__
    """Version of fedchain that wrote the file."""

    @property
    def kind(self) -> ShippedName:
        """Kind of the model: how it makes clouds denser."""
        kind: ShippedName = self.model["kind"]
        return kind

    @field_validator("model")
    @classmethod
    def _check_kind(cls, model: dict[str, Any]) -> dict[str, Any]:
        if model.get("kind") not in get_args(ShippedName):
            raise ValueError(f"kind {model.get('kind')!r} makes no clouds denser")
        return model


@dataclass(frozen=True, eq=False)
class SurfaceModel:
    """A trained model with its card."""

    card: SurfaceCard
    """What the model is."""
    module: nn.Module
    """The model with its weights, ready to be called."""


def shipped_surface_model(name: ShippedName) -> SurfaceModel:
    """Return a model that comes with fedchain; it was trained on generated shapes only.

    Raises:
        DataError: this installation has no such file.
    """
    return read_surface_model(SHIPPED_MODELS / f"{name}.npz")


def write_surface_model(path: Path, model: SurfaceModel) -> None:
    """Write a model file; a file of this name is replaced as a whole.

    Raises:
        RunError: the file cannot be written.
    """
    arrays = {WEIGHTS_PREFIX + name: each for name, each in arrays_by_name(model.module).items()}
    write_whole(path, bytes_of_arrays({**arrays, "card": text_array(model.card.model_dump_json())}))


def read_surface_model(path: Path) -> SurfaceModel:
    """Read a model file.

    Raises:
        DataError: the file is damaged or no model file of surfaces, or its weights do not fit.
    """
    file = contents(path, LARGEST_FILE)
    arrays = arrays_of(file, LARGEST_FILE)
    card = _card_of(file, arrays.pop("card", None))
    module = surface_module(card, str(path))
    load_arrays(module, {n.removeprefix(WEIGHTS_PREFIX): each for n, each in arrays.items()}, file)
    return SurfaceModel(card, module.eval())


def surface_module(card: SurfaceCard, where: str) -> nn.Module:
    """Make the model of a card, without trained weights; ``where`` begins error messages.

    Raises:
        DataError: the model's parameters are wrong.
    """
    try:
        return models.build(models.check(card.model), (card.points, COORDINATES), COORDINATES)
    except (ScenarioError, PartError, ValueError) as error:
        raise DataError(f"{where}: has no usable model: {error}") from error


def _card_of(file: Contents, text: Array | None) -> SurfaceCard:
    if text is None or text.dtype != np.uint8 or text.ndim != 1 or len(text) > LONGEST_CARD:
        raise file.fail("is no model file: it has no card; allowed: files of fedchain")
    try:
        return SurfaceCard.model_validate_json(text.tobytes())
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        raise file.fail(
            f"has no card of a model for surfaces: {place}: {first['msg']}; allowed: the models "
            "refine and pu_net"
        ) from error
