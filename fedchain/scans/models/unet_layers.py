"""Layers of a U-Net with padded convolutions; no layer overwrites its input or mixes examples."""

from __future__ import annotations

from typing import Literal

import torch
from torch import nn

from fedchain.learning.gradients.layers import StandardisedConv2d

Norm = Literal["none", "group", "group_and_weights"]
"""What is normalised: nothing, the channels of each example, or the channels and the kernels."""
SLOPE = 0.3
"""Slope of the LeakyReLU for negative inputs."""


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
        """Return logits (n, outputs, h, w) of images (n, channels, h, w)."""
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
