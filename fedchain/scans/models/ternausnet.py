"""TernausNet: a U-Net whose encoder is VGG11."""

from __future__ import annotations

from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import nn

from fedchain.learning.models import same_everywhere
from fedchain.learning.task import models
from fedchain.registry import cites
from fedchain.scans.models.blocks import (
    VGG11,
    Normalisation,
    activated,
    encoder,
    halved,
    image_of,
)

DECODER = (8, 8, 4), (12, 8, 4), (12, 8, 2), (6, 4, 1), (3, 2, 0.5)
"""Channels that enter, pass and leave each block of the decoder, divided by ``width``."""
MORE_CHANNELS = 1.5
"""Channels that enter the last convolution of the decoder, divided by ``width``."""


@models
@cites("iglovikov2018")
@same_everywhere
def ternausnet(
    inputs: tuple[int, ...],
    outputs: int,
    *,
    width: Annotated[int, Field(ge=2, le=64)] = 8,
    norm: Normalisation = "group",
    transposed: Literal[3, 4] = 3,
) -> nn.Module:
    """Make TernausNet: the encoder is VGG11, and the decoder doubles the image five times.

    With width 64 and norm none, the model is that of the paper; with 3 channels and 1 output it has
    22,927,393 parameters, or 25,364,513 with transposed 4. The paper begins with weights that were
    trained on ImageNet. Pre-trained weights are not available: the encoder learns from the start,
    too. The paper trains it with ``bce_log_jaccard``.

    Args:
        inputs: shape of one image, (channels, h, w); h and w must be divisible by 32.
        outputs: logits per pixel, 1 for a mask.
        width: channels at full resolution, from 2 on; the next resolutions have 2, 4, 8, 8 times as
            many, and the last layers half as many.
        norm: ``none`` is as in the paper; ``group`` puts a GroupNorm after each convolution but the
            last.
        transposed: side of the kernels of the transposed convolutions. The published code has 3,
            and 4 for those who want no chequered pattern, since 4 is a multiple of the stride 2.

    Returns:
        A module that turns images (n, channels, h, w) into logits (n, outputs, h, w).

    Raises:
        ValueError: the inputs are no image, or its sides are not divisible by 32.

    Reference:
        Iglovikov and Shvets, "TernausNet: U-Net with VGG11 Encoder Pre-Trained on ImageNet for
        Image Segmentation", 2018, figure 1.
    """
    channels, _, _ = image_of("ternausnet", inputs, len(VGG11))
    return TernausNet(channels, width, outputs, norm=norm, transposed=transposed)


class TernausNet(nn.Module):
    """A U-Net with VGG11 as its encoder."""

    def __init__(
        self, channels: int, width: int, outputs: int, *, norm: Normalisation, transposed: int
    ) -> None:
        """Make the layers for ``width`` channels at full resolution."""
        super().__init__()
        self.down = encoder(channels, VGG11, width, norm)
        self.up = nn.ModuleList(
            _doubling(*(int(width * times) for times in row), norm=norm, kernel=transposed)
            for row in DECODER
        )
        entering, half = int(width * MORE_CHANNELS), width // 2
        self.fine = activated(nn.Conv2d(entering, half, 3, padding=1), norm)
        self.last = nn.Conv2d(half, outputs, 1)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Return the logits of images, shape (images, outputs, height, width)."""
        beside: list[torch.Tensor] = []
        for level, layers in enumerate(self.down):
            image = layers(halved(image) if level else image)
            beside.append(image)
        image = halved(image)
        for layers in self.up:
            image = torch.cat([layers(image), beside.pop()], dim=1)
        logits: torch.Tensor = self.last(self.fine(image))
        return logits


def _doubling(
    entering: int, passing: int, leaving: int, *, norm: Normalisation, kernel: int
) -> nn.Sequential:
    """Return a convolution, and a transposed one that doubles the sides of an image."""
    larger = nn.ConvTranspose2d(
        passing, leaving, kernel, stride=2, padding=1, output_padding=kernel % 2
    )
    first = nn.Conv2d(entering, passing, 3, padding=1)
    return nn.Sequential(activated(first, norm), activated(larger, norm))
