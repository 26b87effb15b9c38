"""Clipping: what bounds how far one record can move the sum, equation (6)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from fedchain.learning.example_gradients import passes
from fedchain.learning.task import Loss
from fedchain.learning.weights import dimension, layout, places


def clip_factors(norms: Tensor, clip: float) -> Tensor:
    """Return min(1, clip / norm) for each norm (n,), rounded down; 0 where it is not finite.

    A record whose gradient overflowed would otherwise leave the bound as NaN.

    >>> clip_factors(torch.tensor([0.5, 2.0, float("inf")]), 1.0)
    tensor([1.0000, 0.5000, 0.0000])
    """
    factors = (clip / norms).clamp(max=1.0) * (1 - 4 * torch.finfo(norms.dtype).eps)
    return torch.where(torch.isfinite(norms), factors, torch.zeros_like(factors))


def clipped_sum(rows: Tensor, clip: float) -> Tensor:
    """Return the sum (d,) of rows (n, d), each clipped to a 2-norm of at most clip.

    >>> clipped_sum(torch.tensor([[3.0, 4.0], [0.0, 0.5]]), 1.0)
    tensor([0.6000, 1.3000])
    """
    factors = clip_factors(torch.linalg.vector_norm(rows, dim=1), clip)
    if not bool(factors.all()):
        rows = torch.where(factors[:, None] > 0, rows, torch.zeros_like(rows))
    return factors @ rows


def is_dense(module: nn.Module) -> bool:
    """Say whether every parameter belongs to a dense layer.

    >>> is_dense(nn.Sequential(nn.Flatten(), nn.Linear(4, 2)))
    True
    """
    owners = [m for m in module.modules() if next(m.parameters(recurse=False), None) is not None]
    return all(type(owner) is nn.Linear for owner in owners)


def dense_clipped_sum(
    module: nn.Module, loss: Loss, inputs: Tensor, targets: Tensor, clip: float
) -> Tensor:
    """Return the sum (d,) of the clipped gradients of n examples, without making any of them.

    The gradient of a dense layer is error x input, an outer product, so its squared norm is
    |error|^2 (|input|^2 + 1), bias included; the clipped sum is one matrix product a layer.

    Reference:
        Goodfellow, "Efficient Per-Example Gradient Computations", 2015.
    """
    passed = passes(module, loss, inputs, targets)
    where = places(layout(module))
    total = inputs.new_zeros(dimension(layout(module)))
    with torch.no_grad():
        squares = inputs.new_zeros(len(inputs))
        for _, layer, entered, error in passed:
            bias = 0.0 if layer.bias is None else 1.0
            squares += error.square().sum(1) * (entered.square().sum(1) + bias)
        factors = clip_factors(squares.sqrt(), clip)
        kept = factors.nonzero()[:, 0]  # what overflowed would spread through the product
        for name, layer, entered, error in passed:
            if len(kept) < len(inputs):
                entered, error = entered[kept], error[kept]
            scaled = error * factors[kept, None]
            prefix = f"{name}." if name else ""
            total[where[f"{prefix}weight"]] = (scaled.T @ entered).flatten()
            if layer.bias is not None:
                total[where[f"{prefix}bias"]] = scaled.sum(0)
    return total
