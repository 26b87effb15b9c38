"""U-Net, the network for biomedical images from which most networks for masks descend."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn.functional import pad

from fedchain.learning.models import same_everywhere
from fedchain.learning.task import models
from fedchain.registry import cites
from fedchain.scans.models.blocks import Normalisation, Width, activated, halved, image_of

HALVINGS = 4
"""How often the image is halved."""
LEAST_VALID, REST_VALID = 188, 12
"""An image without padding needs sides of at least 188 pixels, which leave 12 when divided by 16.
Then every image that is halved has even sides."""
LOST_VALID = 184
"""Pixels by which the logits without padding are smaller than the image."""


@models
@cites("ronneberger2015")
@same_everywhere
def unet(
    inputs: tuple[int, ...],
    outputs: int,
    *,
    width: Width = 8,
    norm: Normalisation = "group",
    valid: bool = False,
) -> nn.Module:
    """Make the U-Net of Ronneberger and others: five resolutions, joined by concatenation.

    With width 64, norm none and valid true, the model is that of the paper, without dropout, which
    would make a gradient depend on chance. It has 31,030,658 parameters with 1 channel and 2
    outputs, also with padding. The paper trains it with ``border_weighted_bce``. Pre-trained
    weights are not available.

    Args:
        inputs: shape of one image, (channels, h, w); h and w must be divisible by 16. With valid
            true they must be at least 188, and leave 12 when divided by 16.
        outputs: logits per pixel, 1 for a mask.
        width: channels at full resolution; the next resolutions have 2, 4, 8, 16 times as many.
        norm: ``none`` is as in the paper; ``group`` puts a GroupNorm after each 3x3 convolution.
        valid: whether the 3x3 convolutions have no padding, as in the paper. Then the logits belong
            to the inner pixels, without a frame of 92 pixels, and no task takes them as a mask.

    Returns:
        A module that turns images (n, channels, h, w) into logits (n, outputs, h, w); with valid
        true, into (n, outputs, h - 184, w - 184).

    Raises:
        ValueError: the inputs are no image, or its sides are not allowed.

    Reference:
        Ronneberger, Fischer and Brox, "U-Net: Convolutional Networks for Biomedical Image
        Segmentation", 2015, figure 1.
    """
    if valid:
        channels, height, wide = image_of("unet", inputs)
        if min(height, wide) < LEAST_VALID or {height % 16, wide % 16} != {REST_VALID}:
            raise ValueError(
                f"unet: {height} x {wide} pixels do not fit convolutions without padding; allowed: "
                f"sides from {LEAST_VALID} that leave {REST_VALID} when divided by 16"
            )
    else:
        channels, _, _ = image_of("unet", inputs, HALVINGS)
    sizes = [width * 2**level for level in range(HALVINGS + 1)]
    return RonnebergerNet(channels, sizes, outputs, norm=norm, padding=0 if valid else 1)


class RonnebergerNet(nn.Module):
    """A U-Net with ReLU; its convolutions may do without padding."""

    def __init__(
        self, channels: int, sizes: list[int], outputs: int, *, norm: Normalisation, padding: int
    ) -> None:
        """Make the layers; ``sizes`` lists the channels of each level, full resolution first."""
        super().__init__()

        def pair(entering: int, leaving: int) -> nn.Sequential:
            ways = (entering, leaving), (leaving, leaving)
            return nn.Sequential(
                *(activated(nn.Conv2d(a, b, 3, padding=padding), norm) for a, b in ways)
            )

        steps = list(zip([channels, *sizes], sizes, strict=False))
        turns = list(zip(sizes[:0:-1], sizes[-2::-1], strict=True))
        self.padding = padding
        self.down = nn.ModuleList(pair(a, b) for a, b in steps)
        self.up = nn.ModuleList(nn.ConvTranspose2d(a, b, 2, stride=2) for a, b in turns)
        self.across = nn.ModuleList(pair(2 * b, b) for _, b in turns)
        self.last = nn.Conv2d(sizes[0], outputs, 1)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Return the logits of images."""
        beside: list[torch.Tensor] = []
        for level, layers in enumerate(self.down):
            image = layers(halved(image) if level else image)
            beside.append(image)
        beside.pop()
        for up, layers in zip(self.up, self.across, strict=True):
            fine, coarse = beside.pop(), up(image)
            fine = fine if self.padding else _inner(fine, coarse)
            image = layers(torch.cat([fine, coarse], dim=1))
        logits: torch.Tensor = self.last(image)
        return logits


def _inner(fine: torch.Tensor, coarse: torch.Tensor) -> torch.Tensor:
    """Return the middle of an image that has the height and width of another one."""
    up, left = ((a - b) // 2 for a, b in zip(fine.shape[2:], coarse.shape[2:], strict=True))
    return pad(fine, (-left, -left, -up, -up))
