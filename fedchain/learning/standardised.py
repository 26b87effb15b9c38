"""Convolutions whose kernels are brought to mean 0 and variance 1 before they act."""

from __future__ import annotations

import torch
from torch import Tensor, nn

EPS = 1e-5
"""Added to the variance of a kernel."""


class StandardisedConv2d(nn.Conv2d):
    """A convolution with (w - mean) / sqrt(variance + eps) in the place of its weights w.

    Mean and variance are those of each output channel's own weights, so that nothing looks at
    another example. Meant for group norm, which takes the scale off again.

    Reference:
        Qiao et al., "Micro-Batch Training with Batch-Channel Normalization and Weight
        Standardization", 2019, section 3.1.

    >>> kernel = StandardisedConv2d(2, 3, 3).kernel()
    >>> kernel.shape, bool(kernel.mean((1, 2, 3)).abs().max() < 1e-6)
    (torch.Size([3, 2, 3, 3]), True)
    """

    def kernel(self) -> Tensor:
        """Return the weights that act, of the shape of the layer's own."""
        centred, scale = _parts(self.weight)
        return centred / scale

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 - torch's name
        """Return the convolution of images (n, channels, h, w)."""
        left: Tensor = self._conv_forward(input, self.kernel(), self.bias)
        return left

    def of_weights(self, gradient: Tensor) -> Tensor:
        """Return gradients with respect to the layer's own weights.

        With k the kernel and s its scale, (g - mean g - k mean(g k)) / s.

        Args:
            gradient: with respect to the kernel, one an example, (n, *kernel).
        """
        centred, scale = _parts(self.weight)
        kernel, axes = centred / scale, (2, 3, 4)
        along = (gradient * kernel).mean(axes, keepdim=True)
        return (gradient - gradient.mean(axes, keepdim=True) - kernel * along) / scale


def _parts(weight: Tensor) -> tuple[Tensor, Tensor]:
    centred = weight - weight.mean((1, 2, 3), keepdim=True)
    return centred, torch.sqrt(centred.square().mean((1, 2, 3), keepdim=True) + EPS)
