"""A model of single pixels: each point is judged by its own channels, and by nothing else."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field
from torch import nn

from fedchain.learning.models import same_everywhere
from fedchain.learning.task import models
from fedchain.registry import cites
from fedchain.scans.models.blocks import image_of


@models
@cites()
@same_everywhere
def pixels(
    inputs: tuple[int, ...],
    outputs: int,
    *,
    hidden: Annotated[int, Field(ge=0, le=256)] = 0,
) -> nn.Module:
    """Make a model of single pixels, out of 1x1 convolutions.

    It suits channels that compare a point with other views, which say nearly all that can be known
    about the point. A model of few weights then learns as much as a U-Net, and needs far less
    privacy noise.

    Args:
        inputs: shape of one image, (channels, h, w), of any height and width.
        outputs: logits per pixel, 1 for a mask.
        hidden: units of the hidden layer, with ReLU; 0 makes a logistic regression.

    Returns:
        A module that turns images (n, channels, h, w) into logits (n, outputs, h, w).

    Raises:
        ValueError: the inputs are no image.

    >>> sum(weights.numel() for weights in pixels((15, 8, 8), 1, hidden=8).parameters())
    137
    """
    channels, _, _ = image_of("pixels", inputs)
    if hidden == 0:
        return nn.Conv2d(channels, outputs, 1)
    return nn.Sequential(nn.Conv2d(channels, hidden, 1), nn.ReLU(), nn.Conv2d(hidden, outputs, 1))
