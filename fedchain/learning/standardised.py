"""Standardised convolutions: a kernel is brought to mean 0 and variance 1 before it is used."""

from __future__ import annotations

import torch
from torch import Tensor, nn

EPS = 1e-5
"""Added to the variance of a kernel, so that the division is always defined."""


class StandardisedConv2d(nn.Conv2d):
    """A convolution that uses (w - mean) / sqrt(variance + eps) instead of its weights w.

    Mean and variance are taken over the weights of one output channel; they do not depend on any
    example. Use it with group norm, which removes the scale of the output again.

    Reference:
        Qiao et al., "Micro-Batch Training with Batch-Channel Normalization and Weight
        Standardization", 2019, section 3.1.

    >>> kernel = StandardisedConv2d(2, 3, 3).kernel()
    >>> kernel.shape, bool(kernel.mean((1, 2, 3)).abs().max() < 1e-6)
    (torch.Size([3, 2, 3, 3]), True)
    """

    def kernel(self) -> Tensor:
        """Return the standardised weights, of the same shape as ``weight``."""
        centred, scale = _centre_and_scale(self.weight)
        return centred / scale

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 - torch's name
        """Return the convolution of images (n, channels, h, w)."""
        left: Tensor = self._conv_forward(input, self.kernel(), self.bias)
        return left

    def of_weights(self, gradient: Tensor) -> Tensor:
        """Convert gradients with respect to the kernel into gradients with respect to ``weight``.

        With k the kernel and s its scale, they are (g - mean g - k mean(g k)) / s.

        Args:
            gradient: gradient of each example with respect to the kernel, (n, *kernel).
        """
        centred, scale = _centre_and_scale(self.weight)
        kernel, axes = centred / scale, (2, 3, 4)
        along = (gradient * kernel).mean(axes, keepdim=True)
        return (gradient - gradient.mean(axes, keepdim=True) - kernel * along) / scale


def _centre_and_scale(weight: Tensor) -> tuple[Tensor, Tensor]:
    centred = weight - weight.mean((1, 2, 3), keepdim=True)
    return centred, torch.sqrt(centred.square().mean((1, 2, 3), keepdim=True) + EPS)
