"""Model files: the weights of a trained model by name, and a card that says what it is.

A model file is an NPZ file of plain arrays: ``card`` has the bytes of a JSON text, and
``weights/NAME`` has the weights NAME. Nothing in the file is ever executed.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
from pydantic import Field, ValidationError
from torch import nn

from fedchain.arrays import Array
from fedchain.errors import DataError, PartError, ScenarioError
from fedchain.files import write_whole
from fedchain.learning.task import models
from fedchain.registry import Section
from fedchain.scans.formats.contents import Contents, contents
from fedchain.scans.formats.npz import arrays_of
from fedchain.scans.turntable import ChannelKind
from fedchain.version import __version__

LARGEST_MODEL = 1 << 31
"""Size of the largest model file that is read, in bytes."""
LONGEST_CARD = 1 << 20
"""Size of the largest card that is read, in bytes."""
WEIGHTS_PREFIX = "weights/"
"""Beginning of the names of the arrays with weights."""
Finite = Annotated[float, Field(ge=-1e30, le=1e30)]
Share = Annotated[float, Field(ge=0, le=1)]
WindowSide = Annotated[int, Field(ge=8, le=2048)]


class Channel(Section):
    """What one channel was like in the scans that a model was trained on."""

    name: str
    """Name of the channel."""
    mean: Finite
    """Mean over the points, which is subtracted from the channel."""
    deviation: Annotated[float, Field(gt=0, le=1e30)]
    """Standard deviation over the points, by which the channel is divided."""
    low: Finite
    """Value below which half a percent of the points lie."""
    high: Finite
    """Value above which half a percent of the points lie."""


class Card(Section):
    """What a trained model is, what it was trained on, and how it scored."""

    model: dict[str, Any]
    """The model's block: its kind and its parameters."""
    kind: ChannelKind
    """Kind of channels that the model sees."""
    channels: Annotated[tuple[Channel, ...], Field(min_length=1, max_length=256)]
    """The channels, in the order of the model's input."""
    window: WindowSide
    """Pixels along a side of the square that the model sees at once."""
    size: tuple[WindowSide, WindowSide] | None = None
    """Height and width of the image to which a scan as a whole is brought, as in a federated task
    whose records are scans; None if the model sees windows."""
    margin: Annotated[int, Field(ge=0, le=512)]
    """Pixels at each side of a window for which the model's answer is not used."""
    alone: bool = False
    """Whether the channels of a window are computed from the window alone, as in a federated task
    whose records are tiles."""
    views: Annotated[int, Field(ge=0, le=1000)] = 0
    """Least number of other scans that a training scan was compared with."""
    threshold: Share
    """Probability to keep a point below which the point is erased."""
    trained_on: str
    """One sentence about the training scans."""
    training: dict[str, Any]
    """Numbers of the training: scans, points, share of outliers, steps, seed."""
    scores: dict[str, dict[str, float]]
    """Metrics on the points that were held out, for the model and each baseline; empty if no point
    was held out."""
    fedchain: str = __version__
    """Version of fedchain that wrote the file."""

    @property
    def sides(self) -> tuple[int, int]:
        """Height and width of what the model sees at once."""
        return self.size or (self.window, self.window)


@dataclass(frozen=True)
class TrainedModel:
    """A trained model with its card."""

    card: Card
    """What the model is."""
    module: nn.Module
    """The model with its weights, ready to be called."""


def module_of(
    block: Mapping[str, Any], channels: int, sides: tuple[int, int], where: str
) -> nn.Module:
    """Make the model of a block, without trained weights.

    Args:
        block: the model's block: its kind and its parameters.
        channels: number of channels of an image.
        sides: height and width of an image, in pixels.
        where: beginning of error messages.

    Raises:
        DataError: the block is wrong, names code of the user's own, does not fit the images, or
            gives another number of logits than one for each pixel.
    """
    if ":" in str(block.get("kind", "")):
        raise DataError(f"{where}: names the code {block['kind']!r}; allowed: models of fedchain")
    try:
        part = models.check(dict(block))
        module = models.build(part, (channels, *sides), 1)
    except (ScenarioError, PartError, ValueError) as error:
        raise DataError(f"{where}: has no usable model: {error}") from error
    with torch.inference_mode():
        logits: torch.Tensor = module.eval()(torch.zeros(1, channels, *sides))
    if logits.numel() != sides[0] * sides[1]:
        words = f"{part.kind} gives {logits.numel()} numbers for {sides[0]} x {sides[1]} pixels"
        raise DataError(f"{where}: {words}; allowed: a model of masks, one number for each pixel")
    return module.train()


def write_model(path: Path, trained: TrainedModel) -> None:
    """Write a model file; a file of this name is replaced as a whole.

    Raises:
        RunError: the file cannot be written.
    """
    arrays = {WEIGHTS_PREFIX + name: each for name, each in arrays_by_name(trained.module).items()}
    write_whole(
        path, bytes_of_arrays({**arrays, "card": text_array(trained.card.model_dump_json())})
    )


def read_model(path: Path) -> TrainedModel:
    """Read a model file.

    Raises:
        DataError: the file is damaged or no model file, or its weights do not fit its model.
    """
    file = contents(path, LARGEST_MODEL)
    arrays = arrays_of(file, LARGEST_MODEL)
    card = _card_of(file, arrays.pop("card", None))
    module = module_of(card.model, len(card.channels), card.sides, str(path))
    load_arrays(module, {n.removeprefix(WEIGHTS_PREFIX): each for n, each in arrays.items()}, file)
    return TrainedModel(card, module.eval())


def arrays_by_name(module: nn.Module) -> dict[str, Array]:
    """Return copies of a model's weights as float32 arrays by name."""
    state = module.state_dict()
    return {name: value.numpy(force=True).copy() for name, value in state.items()}


def weights_digest(module: nn.Module) -> str:
    """Return the SHA-256 digest of a model's weights in hexadecimal digits.

    A card states by it which weights its scores belong to.
    """
    told = hashlib.sha256()
    for name, array in sorted(arrays_by_name(module).items()):
        told.update(f"{name} {array.shape}".encode() + array.astype("<f4").tobytes())
    return told.hexdigest()


def load_arrays(module: nn.Module, arrays: Mapping[str, Array], file: Contents) -> None:
    """Give a model the weights of a file.

    Raises:
        DataError: names, shapes or types are not those of the model, or a weight is not finite.
    """
    wanted = module.state_dict()
    if arrays.keys() != wanted.keys():
        wrong = ", ".join(sorted(arrays.keys() ^ wanted.keys())[:3])
        raise file.fail(f"has other weights than its model: {wrong}; allowed: those of the model")
    for name, value in wanted.items():
        array = arrays[name]
        if array.shape != tuple(value.shape) or array.dtype != np.dtype(np.float32):
            found = f"{array.dtype} of shape {array.shape}"
            raise file.fail(f"has {name} as {found}; allowed: float32, {tuple(value.shape)}")
        if not np.isfinite(array).all():
            raise file.fail(f"has weights {name} that are not finite; allowed: finite numbers")
    module.load_state_dict({name: torch.from_numpy(array.copy()) for name, array in arrays.items()})


def bytes_of_arrays(arrays: Mapping[str, Array]) -> bytes:
    """Return the bytes of an NPZ file of arrays by name."""
    into = io.BytesIO()
    named: dict[str, Any] = dict(arrays)
    np.savez(into, **named)
    return into.getvalue()


def text_array(text: str) -> Array:
    """Return a text as an array of its bytes."""
    return np.frombuffer(text.encode(), np.uint8)


def _card_of(file: Contents, text: Array | None) -> Card:
    if text is None or text.dtype != np.uint8 or text.ndim != 1 or len(text) > LONGEST_CARD:
        raise file.fail("is no model file: it has no card; allowed: files of fedchain scan train")
    try:
        return Card.model_validate_json(text.tobytes())
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        raise file.fail(f"has a damaged card: {place}: {first['msg']}") from error
