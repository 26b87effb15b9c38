"""Gajdošech's U-Net: a small network that decides which points of a scan to keep."""

from __future__ import annotations

from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import nn

from fedchain.learning.gradients.layers import StandardisedConv2d
from fedchain.learning.models import same_everywhere
from fedchain.learning.task import models
from fedchain.registry import cites
from fedchain.scans.models.blocks import Width, image_of

Norm = Literal["none", "group", "group_and_weights"]
"""What is normalised: nothing, the channels of each example, or the channels and the kernels."""
SLOPE = 0.3
"""Slope of the LeakyReLU for negative inputs."""
TABLE = (1, 2, 4, 6, 8)
"""Number of channels of each level of the network, divided by ``width``."""


@models
@cites("gajdosech2020", "ronneberger2015")
@same_everywhere
def gajdosech_unet(
    inputs: tuple[int, ...],
    outputs: int,
    *,
    levels: Annotated[int, Field(ge=1, le=4)] = 4,
    width: Width = 8,
    norm: Norm = "none",
) -> nn.Module:
    """Make Gajdošech's U-Net, which gives each pixel a logit for keeping its point.

    With levels 4, width 8 and norm none, the model is that of the paper, without the sigmoid at the
    end; it has 237,433 parameters. With levels 2, width 2 and norm group it has 2,035.

    Args:
        inputs: shape of one image, (channels, h, w); h and w must be divisible by 2^levels.
        outputs: logits per pixel, 1 for a mask.
        levels: how often the image is halved; a model has levels + 1 resolutions.
        width: channels at full resolution; the next levels have 2, 4, 6, 8 times as many.
        norm: ``none`` is as in the paper. ``group`` puts one GroupNorm after each 3x3 convolution.
            ``group_and_weights`` also brings the kernels of the 3x3 convolutions to mean 0 and
            variance 1 (Qiao et al. 2019).

    Returns:
        A module that turns images (n, channels, h, w) into logits (n, outputs, h, w).

    Raises:
        ValueError: the inputs are no image, or it cannot be halved ``levels`` times.

    Reference:
        Gajdošech, "Processing of 3D Scans using Machine Learning", 2020.
    """
    channels, _, _ = image_of("gajdosech_unet", inputs, levels)
    sizes = [width * times for times in TABLE[: levels + 1]]
    return UNet(channels, sizes, outputs, norm=norm)


class UNet(nn.Module):
    """A U-Net that turns an image into logits of the same height and width."""

    def __init__(self, channels: int, sizes: list[int], outputs: int, *, norm: Norm) -> None:
        """Make the layers; ``sizes`` lists the channels of each level, full resolution first."""
        super().__init__()
        below = [channels, *sizes[:-1]]
        self.down = nn.ModuleList(
            _convolutions(a, b, norm) for a, b in zip(below, sizes, strict=True)
        )
        coarse_to_fine = list(zip(sizes[:0:-1], sizes[-2::-1], strict=True))
        self.up = nn.ModuleList(nn.ConvTranspose2d(a, b, 2, stride=2) for a, b in coarse_to_fine)
        self.across = nn.ModuleList(_convolutions(2 * b, b, norm) for _, b in coarse_to_fine)
        self.last = nn.Conv2d(sizes[0], outputs, 1)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Return the logits of images, shape (images, outputs, height, width)."""
        beside: list[torch.Tensor] = []
        for level, layers in enumerate(self.down):
            image = nn.functional.max_pool2d(image, 2) if level else image
            image = layers(image)
            beside.append(image)
        beside.pop()
        for up, layers in zip(self.up, self.across, strict=True):
            image = layers(torch.cat([beside.pop(), up(image)], dim=1))
        logits: torch.Tensor = self.last(image)
        return logits


def _convolutions(channels: int, size: int, norm: Norm) -> nn.Sequential:
    layers: list[nn.Module] = []
    for entering in (channels, size):
        convolution = StandardisedConv2d if norm == "group_and_weights" else nn.Conv2d
        layers.append(convolution(entering, size, 3, padding=1))
        layers += [] if norm == "none" else [nn.GroupNorm(1, size)]
        layers.append(nn.LeakyReLU(SLOPE))
    return nn.Sequential(*layers)
