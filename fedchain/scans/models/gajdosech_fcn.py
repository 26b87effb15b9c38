"""Gajdošech's fully convolutional network, with which the benchmark of devices is made."""

from __future__ import annotations

from itertools import pairwise

from torch import nn

from fedchain.learning.models import same_everywhere
from fedchain.learning.task import models
from fedchain.registry import cites
from fedchain.scans.models.blocks import Normalisation, Width, activated, image_of

LEAST_SIDE = 7
"""Smallest side of an image in pixels: three 3x3 convolutions leave one pixel of it."""


@models
@cites("gajdosech2020")
@same_everywhere
def gajdosech_fcn(
    inputs: tuple[int, ...], outputs: int, *, width: Width = 4, norm: Normalisation = "group"
) -> nn.Module:
    """Make Gajdošech's fully convolutional network: three 3x3 convolutions and three back.

    The convolutions have no padding, so each makes the image two pixels smaller; the transposed
    convolutions are linear and bring the size back. With width 32 and norm none, the model is that
    of the paper, without the sigmoid at the end; with 4 channels and 1 output it has 333,409
    parameters. The paper trains it with ``softened_bce``. Pre-trained weights are not available.

    Args:
        inputs: shape of one image, (channels, h, w); h and w must be at least 7.
        outputs: logits per pixel, 1 for a mask.
        width: channels of the first convolution; the next ones have 2 and 4 times as many.
        norm: ``none`` is as in the paper; ``group`` puts a GroupNorm after each 3x3 convolution,
            transposed ones too.

    Returns:
        A module that turns images (n, channels, h, w) into logits (n, outputs, h, w).

    Raises:
        ValueError: the inputs are no image, or it is too small.

    Reference:
        Gajdošech, "Processing of 3D Scans using Machine Learning", 2020.
    """
    channels, height, wide = image_of("gajdosech_fcn", inputs)
    if min(height, wide) < LEAST_SIDE:
        raise ValueError(
            f"gajdosech_fcn: {height} x {wide} pixels are too few; allowed: sides from {LEAST_SIDE}"
        )
    sizes = [channels, width, 2 * width, 4 * width]
    pairs = list(pairwise(sizes))
    back = [(4 * width, 4 * width), *((b, a) for a, b in reversed(pairs[1:]))]
    layers: list[nn.Module] = [activated(nn.Conv2d(a, b, 3), norm) for a, b in pairs]
    for a, b in back:
        layers.append(nn.ConvTranspose2d(a, b, 3))
        layers += [] if norm == "none" else [nn.GroupNorm(1, b)]
    return nn.Sequential(*layers, nn.Conv2d(width, outputs, 1))
