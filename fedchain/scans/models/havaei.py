"""Havaei's network: two paths of different windows, and a cascade of two such networks."""

from __future__ import annotations

from typing import Literal

import torch
from torch import nn
from torch.nn import functional

from fedchain.learning.models import same_everywhere
from fedchain.learning.task import models
from fedchain.registry import cites
from fedchain.scans.models.blocks import Normalisation, Width, image_of

PATCH = 33
"""Side in pixels of the patch around a pixel from which the pixel's logits are computed."""
PATHS = 21
"""Side in pixels of what both paths make of a patch."""
Cascade = Literal["none", "input", "local", "mean_field"]
"""Where the second network reads the probabilities of the first one; ``none``: there is no second
network."""


@models
@cites("havaei2017")
@same_everywhere
def havaei(
    inputs: tuple[int, ...],
    outputs: int,
    *,
    width: Width = 4,
    norm: Normalisation = "group",
    cascade: Cascade = "none",
) -> nn.Module:
    """Make Havaei's network: a local path with small windows beside a global path with large ones.

    A pixel's logits come from the patch of 33 x 33 pixels around it. The local path has a 7x7 and a
    3x3 convolution, each with the largest of two (maxout) and pooling by 4 and by 2 with stride 1;
    the global path has one 13x13 convolution with maxout. Both are joined, and a 21x21 convolution
    gives the logits. The network runs as a convolution over the whole image, with zeros around it,
    and with norm none computes the same as patch by patch. With width 64 and norm none, it is that
    of the paper, without dropout; with 4 channels and 5 outputs it has 809,637 parameters.
    Pre-trained weights are not available.

    Args:
        inputs: shape of one image, (channels, h, w).
        outputs: logits per pixel, 1 for a mask.
        width: channels of the local path; the global path has 2.5 times as many, rounded down.
        norm: ``none`` is as in the paper; ``group`` puts a GroupNorm before each maxout.
        cascade: where a second network reads the probabilities that a first one gives the classes:
            ``input`` beside the channels of the image, ``local`` beside the first hidden channels
            of the local path, ``mean_field`` beside the channels before the last convolution.
            ``none`` is one network alone. Both networks learn together; the paper trains the first
            one before the second.

    Returns:
        A module that turns images (n, channels, h, w) into logits (n, outputs, h, w).
        ``train_two_phases`` trains it on balanced patches first, as the paper does.

    Raises:
        ValueError: the inputs are no image.

    Reference:
        Havaei and others, "Brain Tumor Segmentation with Deep Neural Networks", 2017, figures 1 and
        3.
    """
    channels, _, _ = image_of("havaei", inputs)
    if cascade == "none":
        return TwoPaths(channels, outputs, width=width, norm=norm)
    return Cascaded(channels, outputs, width=width, norm=norm, cascade=cascade)


class TwoPaths(nn.Module):
    """One network with two paths."""

    def __init__(
        self,
        channels: int,
        outputs: int,
        *,
        width: int,
        norm: Normalisation,
        beside_local: int = 0,
        beside_last: int = 0,
    ) -> None:
        """Make the layers.

        ``beside_local`` and ``beside_last`` are the numbers of further channels that enter the
        second convolution of the local path and the last convolution.
        """
        super().__init__()
        wide = 5 * width // 2
        self.first = _maxout(channels, width, 7, norm)
        self.second = _maxout(width + beside_local, width, 3, norm)
        self.wide = _maxout(channels, wide, 13, norm)
        self.last = nn.Conv2d(width + wide + beside_last, outputs, PATHS)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Return the logits of images, shape (images, outputs, height, width)."""
        return self.of_patches(functional.pad(image, [PATCH // 2] * 4))

    def of_patches(
        self,
        image: torch.Tensor,
        local: torch.Tensor | None = None,
        last: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """Return the logits of the pixels whose whole patch is in the image.

        Args:
            image: shape (n, channels, h, w); the logits have shape (n, outputs, h - 32, w - 32).
            local: channels beside those of the first hidden layer, (n, .., h - 9, w - 9).
            last: channels beside those before the last convolution, (n, .., h - 12, w - 12).
        """
        fine = functional.max_pool2d(self.first(image), 4, stride=1)
        fine = fine if local is None else torch.cat([fine, local], dim=1)
        fine = functional.max_pool2d(self.second(fine), 2, stride=1)
        joined = [fine, self.wide(image), *([] if last is None else [last])]
        logits: torch.Tensor = self.last(torch.cat(joined, dim=1))
        return logits


class Cascaded(nn.Module):
    """Two networks, of which the second one reads the probabilities that the first one gives."""

    def __init__(
        self, channels: int, outputs: int, *, width: int, norm: Normalisation, cascade: Cascade
    ) -> None:
        """Make both networks."""
        super().__init__()
        more = {place: outputs * (place == cascade) for place in ("input", "local", "mean_field")}
        self.cascade = cascade
        self.before = TwoPaths(channels, outputs, width=width, norm=norm)
        self.after = TwoPaths(
            channels + more["input"],
            outputs,
            width=width,
            norm=norm,
            beside_local=more["local"],
            beside_last=more["mean_field"],
        )

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Return the logits of images, shape (images, outputs, height, width)."""
        logits = self.before(image)
        chances = logits.sigmoid() if logits.shape[1] == 1 else logits.softmax(dim=1)
        large = functional.pad(image, [PATCH // 2] * 4)
        beside = functional.pad(chances, [PATCH // 2] * 4)
        if self.cascade == "input":
            return self.after.of_patches(torch.cat([large, beside], dim=1))
        if self.cascade == "local":
            return self.after.of_patches(large, local=_within(beside, 9))
        return self.after.of_patches(large, last=_within(beside, 12))


class Maxout(nn.Module):
    """The larger one of each two neighbouring channels.

    >>> Maxout()(torch.tensor([1.0, 3.0, 5.0, 2.0]).reshape(1, 4, 1, 1)).flatten()
    tensor([3., 5.])
    """

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Return images with half of the channels."""
        n, channels, height, width = image.shape
        return image.reshape(n, channels // 2, 2, height, width).amax(dim=2)


def _maxout(entering: int, leaving: int, side: int, norm: Normalisation) -> nn.Sequential:
    between = [] if norm == "none" else [nn.GroupNorm(1, 2 * leaving)]
    return nn.Sequential(nn.Conv2d(entering, 2 * leaving, side), *between, Maxout())


def _within(image: torch.Tensor, lost: int) -> torch.Tensor:
    """Return the middle of an image that is smaller by ``lost`` pixels in height and width."""
    before, after = lost // 2, lost - lost // 2
    return functional.pad(image, (-before, -after, -before, -after))
