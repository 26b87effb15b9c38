"""Blocks of layers that several models of scans share, and the check of their images."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import nn

Normalisation = Literal["none", "group"]
"""What is normalised after a convolution: nothing, or all channels of each example together."""
Width = Annotated[int, Field(ge=1, le=64)]
"""Number of channels at full resolution."""
Window = Literal[1, 3, 5, 7]
"""Side in pixels of the kernels that take the place of a fully connected layer."""
VGG11 = (1,), (2,), (4, 4), (8, 8), (8, 8)
"""Channels of the convolutions of VGG11 at each resolution, divided by ``width``."""
VGG16 = (1, 1), (2, 2), (4, 4, 4), (8, 8, 8), (8, 8, 8)
"""Channels of the convolutions of VGG16 at each resolution, divided by ``width``."""


def image_of(model: str, inputs: tuple[int, ...], halvings: int = 0) -> tuple[int, int, int]:
    """Return channels, height and width of a model's images.

    Args:
        model: name of the model, for the error text.
        inputs: shape of one example.
        halvings: how often the model halves the sides of its images.

    Raises:
        ValueError: the inputs are no image, or it cannot be halved so often.

    >>> image_of("unet", (5, 32, 48), 4)
    (5, 32, 48)
    """
    if len(inputs) != 3:
        raise ValueError(
            f"{model}: inputs of shape {inputs} are no image; allowed: (channels, h, w)"
        )
    channels, height, width = inputs
    if height % 2**halvings or width % 2**halvings:
        raise ValueError(
            f"{model}: {height} x {width} pixels cannot be halved {halvings} times; "
            f"allowed: sides divisible by {2**halvings}"
        )
    return channels, height, width


def activated(convolution: nn.Conv2d | nn.ConvTranspose2d, norm: Normalisation) -> nn.Sequential:
    """Return a convolution, the GroupNorm if there is one, and a ReLU."""
    between = [] if norm == "none" else [nn.GroupNorm(1, convolution.out_channels)]
    return nn.Sequential(convolution, *between, nn.ReLU())


def convolutions(entering: int, sizes: Iterable[int], norm: Normalisation) -> nn.Sequential:
    """Return 3x3 convolutions that keep the size of an image; ``sizes`` lists their channels."""
    layers = []
    for leaving in sizes:
        layers.append(activated(nn.Conv2d(entering, leaving, 3, padding=1), norm))
        entering = leaving
    return nn.Sequential(*layers)


def encoder(
    channels: int, table: Sequence[Sequence[int]], width: int, norm: Normalisation
) -> nn.ModuleList:
    """Return the convolutions of VGG11 or VGG16, one module for each resolution, without pools."""
    blocks = nn.ModuleList()
    for row in table:
        sizes = [width * times for times in row]
        blocks.append(convolutions(channels, sizes, norm))
        channels = sizes[-1]
    return blocks


def halved(image: torch.Tensor) -> torch.Tensor:
    """Return the largest value of each 2 x 2 pixels of images (n, channels, h, w)."""
    return nn.functional.max_pool2d(image, 2)
