"""FCN-8s: VGG16 without fully connected layers, with scores from three resolutions."""

from __future__ import annotations

import torch
from torch import nn

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
    halved,
    image_of,
)

DENSE = 64
"""Channels of the layers in place of VGG's fully connected ones, divided by ``width``."""


@models
@cites("shelhamer2017")
def fcn8s(
    inputs: tuple[int, ...],
    outputs: int,
    *,
    width: Width = 4,
    norm: Normalisation = "group",
    window: Window = 7,
) -> nn.Module:
    """Make FCN-8s: VGG16 gives scores at 1/32, 1/16 and 1/8 of the resolution, which are added.

    The scores are enlarged by transposed convolutions, which begin as bilinear interpolation and
    learn. With width 64, norm none and window 7, the layers are those of the paper; with 3 channels
    and 21 outputs they have 134,489,759 parameters, too many for a federated run. Instead of 100
    pixels around the image, the first dense layer has padding, so that logits and image have one
    size. There is no dropout, which would make a gradient depend on chance. The paper begins with
    weights that were trained on ImageNet. Pre-trained weights are not available.

    Args:
        inputs: shape of one image, (channels, h, w); h and w must be divisible by 32.
        outputs: logits per pixel, 1 for a mask.
        width: channels at full resolution; the next resolutions have 2, 4, 8, 8 times as many, and
            the dense layers 64 times.
        norm: ``none`` is as in the paper; ``group`` puts a GroupNorm after each convolution of VGG.
        window: side of the kernels of the first dense layer. It is 7 in the paper, for images from
            224 pixels on. For images of 32 pixels, whose smallest map is one pixel, 1 computes the
            same from fewer weights, and so with less noise in a private run.

    Returns:
        A module that turns images (n, channels, h, w) into logits (n, outputs, h, w).

    Raises:
        ValueError: the inputs are no image, or its sides are not divisible by 32.

    Reference:
        Shelhamer, Long and Darrell, "Fully Convolutional Networks for Semantic Segmentation", 2017,
        section 4.
    """
    channels, _, _ = image_of("fcn8s", inputs, len(VGG16))
    model = _drawn(channels, outputs, width, norm, window)
    for layer in model.modules():
        if isinstance(layer, nn.ConvTranspose2d):
            _interpolate(layer)
    return model


class FCN8s(nn.Module):
    """VGG16 with scores from three resolutions."""

    def __init__(
        self, channels: int, outputs: int, width: int, norm: Normalisation, window: int
    ) -> None:
        """Make the layers for ``width`` channels at full resolution."""
        super().__init__()
        dense = DENSE * width
        self.down = encoder(channels, VGG16, width, norm)
        self.dense = nn.Sequential(
            activated(nn.Conv2d(8 * width, dense, window, padding=window // 2), norm),
            activated(nn.Conv2d(dense, dense, 1), norm),
        )
        self.score = nn.Conv2d(dense, outputs, 1)
        self.score4 = nn.Conv2d(8 * width, outputs, 1)
        self.score3 = nn.Conv2d(4 * width, outputs, 1)
        self.two, self.four, self.eight = (_larger(outputs, times) for times in (2, 2, 8))

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Return the logits of images, shape (images, outputs, height, width)."""
        pooled: list[torch.Tensor] = []
        for layers in self.down:
            image = halved(layers(image))
            pooled.append(image)
        scores = self.two(self.score(self.dense(image))) + self.score4(pooled[3])
        logits: torch.Tensor = self.eight(self.four(scores) + self.score3(pooled[2]))
        return logits


@same_everywhere
def _drawn(channels: int, outputs: int, width: int, norm: Normalisation, window: int) -> FCN8s:
    return FCN8s(channels, outputs, width, norm, window)


def _larger(channels: int, times: int) -> nn.ConvTranspose2d:
    """Return a transposed convolution that makes an image ``times`` as large."""
    sizes = channels, channels, 2 * times
    return nn.ConvTranspose2d(*sizes, stride=times, padding=times // 2, bias=False)


@torch.no_grad()
def _interpolate(layer: nn.ConvTranspose2d) -> None:
    """Set the weights of an enlarging layer to bilinear interpolation of each channel."""
    times, channels = layer.stride[0], layer.out_channels
    row = 1 - (torch.arange(2 * times, device="cpu") - (times - 0.5)).abs() / times
    kernels = torch.zeros(layer.weight.shape, device="cpu")
    kernels[range(channels), range(channels)] = row[:, None] * row
    layer.weight.copy_(kernels)
