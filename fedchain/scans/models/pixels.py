"""A model of single pixels: each point is judged by its own channels, and by nothing else."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field
from torch import nn

from fedchain.learning.models import same_everywhere
from fedchain.learning.task import models


@models
@same_everywhere
def pixels(
    inputs: tuple[int, ...],
    outputs: int,
    *,
    hidden: Annotated[int, Field(ge=0, le=256)] = 0,
) -> nn.Module:
    """Make a model of single pixels, out of 1x1 convolutions.

    Channels that compare a point with other views say nearly all that is to be known about it. A
    model of few weights then learns as much as a U-Net, and needs far less privacy noise.

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
    if len(inputs) != 3:
        raise ValueError(
            f"pixels: inputs of shape {inputs} are no image; allowed: (channels, h, w)"
        )
    if hidden == 0:
        return nn.Conv2d(inputs[0], outputs, 1)
    return nn.Sequential(nn.Conv2d(inputs[0], hidden, 1), nn.ReLU(), nn.Conv2d(hidden, outputs, 1))
