"""DeconvNet: VGG16 and its mirror, which undoes each pooling at the places that it chose."""

from __future__ import annotations

import math

import torch
from torch import nn
from torch.nn import functional

from fedchain.learning.models import same_everywhere
from fedchain.learning.task import models
from fedchain.registry import cites
from fedchain.scans.models.blocks import (
    VGG16,
    Normalisation,
    Width,
    Window,
    activated,
    encoder,
    image_of,
)

CODE = 64
"""Channels between VGG16 and its mirror, divided by ``width``."""


@models
@cites("noh2015")
@same_everywhere
def deconvnet(
    inputs: tuple[int, ...],
    outputs: int,
    *,
    width: Width = 4,
    norm: Normalisation = "group",
    window: Window = 7,
) -> nn.Module:
    """Make DeconvNet: VGG16, two dense layers, and the mirror of VGG16 with unpooling.

    Unpooling puts each value back to the place (the switch) that max pooling took it from; the
    other places become 0. With width 64, norm group and window 7, the layers are those of the
    paper, with GroupNorm in the place of BatchNorm: BatchNorm mixes the examples of a batch, so
    that clipping would not bound one record. With 3 channels and 21 outputs they have 251,805,653
    parameters, and one gradient takes 1 GB: too many for a federated run. The paper begins with
    weights that were trained on ImageNet. Pre-trained weights are not available.

    Args:
        inputs: shape of one image, (channels, h, w); h and w must be divisible by 32.
        outputs: logits per pixel, 1 for a mask.
        width: channels at full resolution; the next resolutions have 2, 4, 8, 8 times as many, and
            the dense layers 64 times.
        norm: ``group`` puts a GroupNorm after each convolution, ``none`` puts nothing there.
        window: side of the kernels into and out of the dense layers. It is 7 in the paper, whose
            images of 224 pixels become one pixel there; smaller maps are padded. For images of 32
            pixels, 1 leaves out the weights that see only padding.

    Returns:
        A module that turns images (n, channels, h, w) into logits (n, outputs, h, w).

    Raises:
        ValueError: the inputs are no image, or its sides are not divisible by 32.

    Reference:
        Noh, Hong and Han, "Learning Deconvolution Network for Semantic Segmentation", 2015,
        table 3.
    """
    channels, *sides = image_of("deconvnet", inputs, len(VGG16))
    smallest = tuple(side // 2 ** len(VGG16) for side in sides)
    return DeconvNet(channels, outputs, width=width, norm=norm, window=window, smallest=smallest)


class DeconvNet(nn.Module):
    """VGG16 and its mirror."""

    def __init__(
        self,
        channels: int,
        outputs: int,
        *,
        width: int,
        norm: Normalisation,
        window: int,
        smallest: tuple[int, ...],
    ) -> None:
        """Make the layers; ``smallest`` has the sides of the image after the last pooling."""
        super().__init__()
        deep, code = 8 * width, CODE * width
        up, left = (math.ceil(max(0, window - side) / 2) for side in smallest)
        self.down = encoder(channels, VGG16, width, norm)
        self.code = nn.Sequential(
            activated(nn.Conv2d(deep, code, window, padding=(up, left)), norm),
            activated(nn.Conv2d(code, code, 1), norm),
            activated(nn.ConvTranspose2d(code, deep, window, padding=(up, left)), norm),
        )
        self.up = nn.ModuleList()
        for row, finer in zip(VGG16[::-1], [*VGG16[-2::-1], VGG16[0]], strict=True):
            leaving = [*row[1:], finer[-1]]
            pairs = zip(row, leaving, strict=True)
            layers = (nn.ConvTranspose2d(width * a, width * b, 3, padding=1) for a, b in pairs)
            self.up.append(nn.Sequential(*(activated(layer, norm) for layer in layers)))
        self.score = nn.Conv2d(width, outputs, 1)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Return the logits of images, shape (images, outputs, height, width)."""
        switches: list[torch.Tensor] = []
        for layers in self.down:
            image, places = functional.max_pool2d(layers(image), 2, return_indices=True)
            switches.append(places)
        image = self.code(image)
        for layers in self.up:
            image = layers(functional.max_unpool2d(image, switches.pop(), [2, 2]))
        logits: torch.Tensor = self.score(image)
        return logits
