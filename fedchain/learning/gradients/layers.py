"""Layers: functions that compute the gradients of one layer's weights for each example.

The functions use the input of the layer and the error of its output. The error is the gradient of
the loss with respect to the output.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.grad import conv2d_weight

LayerGradients = dict[str, Tensor]
"""Maps the name of each parameter of a layer to the gradients of all examples, one row each."""
CHANNEL_BLOCK = 8
"""Number of channels that torch's convolutions process as a block; a partial block is slow."""
EPS = 1e-5
"""Added to the variance of a standardised kernel, so that the division is always defined."""


class StandardisedConv2d(nn.Conv2d):
    """A convolution that uses (w - mean) / sqrt(variance + eps) instead of its weights w.

    Mean and variance are taken over the weights of one output channel.

    Reference:
        Qiao et al., "Micro-Batch Training with Batch-Channel Normalization and Weight
        Standardization", 2019, section 3.1.

    >>> kernel = StandardisedConv2d(2, 3, 3).kernel()
    >>> kernel.shape, bool(kernel.mean((1, 2, 3)).abs().max() < 1e-6)
    (torch.Size([3, 2, 3, 3]), True)
    """

    def kernel(self) -> Tensor:
        """Return the standardised weights, in the shape of ``weight``."""
        centred, scale = _centre_and_scale(self.weight)
        return centred / scale

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 - torch's name
        """Return the convolution of images, shape (images, channels, height, width)."""
        left: Tensor = self._conv_forward(input, self.kernel(), self.bias)
        return left

    def of_weights(self, gradient: Tensor) -> Tensor:
        """Convert gradients of the kernel into gradients of ``weight``, one for each example."""
        centred, scale = _centre_and_scale(self.weight)
        kernel, axes = centred / scale, (2, 3, 4)
        along = (gradient * kernel).mean(axes, keepdim=True)
        return (gradient - gradient.mean(axes, keepdim=True) - kernel * along) / scale


def _centre_and_scale(weight: Tensor) -> tuple[Tensor, Tensor]:
    centred = weight - weight.mean((1, 2, 3), keepdim=True)
    return centred, torch.sqrt(centred.square().mean((1, 2, 3), keepdim=True) + EPS)


def supports(layer: nn.Module) -> bool:
    """Return whether ``GRADIENTS`` has a function that is right for the layer.

    >>> supports(nn.Conv2d(2, 4, 3, padding=1)), supports(nn.Conv2d(2, 4, 3, groups=2))
    (True, False)
    """
    if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
        plain = layer.groups == 1 and layer.dilation == (1, 1) and layer.padding_mode == "zeros"
        return plain and not isinstance(layer.padding, str)
    return type(layer) in GRADIENTS


def memory_format(module: nn.Module, *, single: bool) -> torch.memory_format:
    """Return the memory format of the weights with which a model computes fastest.

    ``single`` says whether the gradient of each example is needed, and not only the sum.

    >>> [memory_format(nn.Conv2d(2, channels, 3), single=True) for channels in (4, 16)]
    [torch.contiguous_format, torch.channels_last]
    """
    # Channels-last is faster if all convolutions have whole blocks of output channels. It does not
    # help to compute the gradient of each example with GroupNorm.
    if single and any(isinstance(layer, nn.GroupNorm) for layer in module.modules()):
        return torch.contiguous_format
    windows = [  # kernels of one pixel do not count, because they are plain products
        layer
        for layer in module.modules()
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d) and layer.kernel_size != (1, 1)
    ]
    blocks = bool(windows) and all(layer.out_channels % CHANNEL_BLOCK == 0 for layer in windows)
    return torch.channels_last if blocks else torch.contiguous_format


def turned_backwards(layer: nn.Conv2d, entered: Tensor, left: Tensor) -> Tensor:
    """Return the output ``left`` of a convolution, with a faster backward pass for few channels.

    If the faster pass is not possible, ``left`` is returned unchanged.
    """
    # The input's error is a convolution of the output's error with the flipped kernel. For few
    # channels torch's forward pass computes it three to five times faster than its backward pass.
    padding = _opposite_padding(layer)
    if layer.stride != (1, 1) or min(padding) < 0 or not left.is_contiguous():
        return left
    apply: Callable[..., Tensor] = _Turned.apply
    acting = layer.kernel() if isinstance(layer, StandardisedConv2d) else layer.weight
    return apply(entered, acting, left.detach(), padding)


class _Turned(torch.autograd.Function):
    """A convolution with a known output, whose backward pass computes no weight gradient."""

    @staticmethod
    def forward(
        context: Any, entered: Tensor, weight: Tensor, left: Tensor, padding: tuple[int, int]
    ) -> Tensor:
        del entered  # it is an argument only to be a node of the graph
        context.save_for_backward(weight)
        context.padding = padding
        return left.view_as(left)

    @staticmethod
    def backward(context: Any, error: Tensor) -> tuple[Tensor, None, None, None]:
        (weight,) = context.saved_tensors
        kernel = weight.flip(2, 3).transpose(0, 1)
        return functional.conv2d(error, kernel, padding=context.padding), None, None, None


def _dense(layer: nn.Module, entered: Tensor, error: Tensor) -> LayerGradients:
    del layer  # the gradient does not depend on its weights
    entered = entered.reshape(len(entered), -1, entered.shape[-1])
    error = error.reshape(len(error), -1, error.shape[-1])
    return {"weight": error.mT @ entered, "bias": error.sum(1)}


def _convolution(layer: nn.Module, entered: Tensor, error: Tensor) -> LayerGradients:
    assert isinstance(layer, nn.Conv2d)
    if layer.out_channels % CHANNEL_BLOCK == 0 or layer.stride != (1, 1):
        weight = _grouped(layer, entered, error)
    elif layer.out_channels < layer.in_channels:
        # Input and error swap places: the error has fewer channels, and so fewer patches.
        turned = _correlate(error, entered, layer.kernel_size, _opposite_padding(layer))
        weight = turned.flip(3, 4).transpose(1, 2)
    else:
        weight = _correlate(entered, error, layer.kernel_size, _padding(layer))
    return {"weight": weight.reshape(len(error), *layer.weight.shape), "bias": error.sum((2, 3))}


def _standardised(layer: nn.Module, entered: Tensor, error: Tensor) -> LayerGradients:
    assert isinstance(layer, StandardisedConv2d)
    found = _convolution(layer, entered, error)
    return {**found, "weight": layer.of_weights(found["weight"])}


def _grouped(layer: nn.Conv2d, entered: Tensor, error: Tensor) -> Tensor:
    """Return the weight gradients of all examples by one grouped convolution.

    The shape is (n * f, m, *kernel) for n examples, f output channels and m input channels.
    """
    n, (f, *shape) = len(error), layer.weight.shape
    image, its_error = (each.reshape(1, -1, *each.shape[2:]) for each in (entered, error))
    gradient: Callable[..., Tensor] = conv2d_weight
    return gradient(
        image, (n * f, *shape), its_error, layer.stride, _padding(layer), layer.dilation, n
    )


def _padding(layer: nn.Conv2d) -> tuple[int, int]:
    assert not isinstance(layer.padding, str)
    return layer.padding[0], layer.padding[1]


def _opposite_padding(layer: nn.Conv2d) -> tuple[int, int]:
    (up, left), (height, width) = _padding(layer), layer.kernel_size
    return height - 1 - up, width - 1 - left


def _correlate(
    moved: Tensor, fixed: Tensor, kernel: tuple[int, ...], padding: tuple[int, int]
) -> Tensor:
    """Return the sums of fixed[n, f, p] * moved[n, m, p + shift] over all pixels p.

    There is a sum for each shift within the kernel; the shape is (n, f, m, *kernel).
    """
    # Rows are padded and laid end to end. A shifted image is then a shifted view, and the patches
    # of a 3x3 kernel are nine long copies for each channel.
    n, channels, _, _ = moved.shape
    height, width = fixed.shape[2:]
    up, left = padding
    row = width + kernel[1] - 1
    right = row - left - moved.shape[3]
    down = height + kernel[0] - 1 - up - moved.shape[2]
    moved = moved.contiguous()
    # One row more than needed, because shifted views run beyond the last row.
    padded = functional.pad(moved, (left, right, up, down + 1))
    image, plane = padded.stride(0), padded.stride(1)
    shape, stride = (n, channels, *kernel, height * row), (image, plane, row, 1, 1)
    patches = padded.as_strided(shape, stride).reshape(n, -1, height * row)
    rows = functional.pad(fixed, (0, row - width)).flatten(2)
    return (rows @ patches.mT).reshape(n, -1, channels, *kernel)


def _transposed(layer: nn.Module, entered: Tensor, error: Tensor) -> LayerGradients:
    assert isinstance(layer, nn.ConvTranspose2d)
    assert not isinstance(layer.padding, str)
    kernel, stride = layer.kernel_size, layer.stride
    if kernel == stride and layer.padding == (0, 0) and layer.output_padding == (0, 0):
        n, _, height, width = entered.shape
        tiles = error.reshape(n, -1, height, kernel[0], width, kernel[1])
        patches = tiles.permute(0, 1, 3, 5, 2, 4).reshape(n, -1, height * width)
    else:
        patches = functional.unfold(error, kernel, padding=layer.padding, stride=stride)
    weight = entered.flatten(2) @ patches.mT
    return {"weight": weight.reshape(len(error), *layer.weight.shape), "bias": error.sum((2, 3))}


def _group_norm(layer: nn.Module, entered: Tensor, error: Tensor) -> LayerGradients:
    assert isinstance(layer, nn.GroupNorm)
    normed = functional.group_norm(entered, layer.num_groups, eps=layer.eps)
    return {
        "weight": (error * normed).reshape(*error.shape[:2], -1).sum(2),
        "bias": error.reshape(*error.shape[:2], -1).sum(2),
    }


GRADIENTS: dict[type[nn.Module], Callable[[nn.Module, Tensor, Tensor], LayerGradients]] = {
    nn.Linear: _dense,
    nn.Conv2d: _convolution,
    StandardisedConv2d: _standardised,
    nn.ConvTranspose2d: _transposed,
    nn.GroupNorm: _group_norm,
}
"""Functions that compute each example's gradient of every parameter of a layer, by the type of the
layer. The arguments are the layer, its inputs, and the gradients of the loss with respect to its
outputs."""
