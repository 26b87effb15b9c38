"""Gradients of many holders of a dense network at once: segments of one matrix product.

The examples of several holders go through the network together, once forward and once backward.
The gradient of a dense layer is errors^T x inputs; the rows that belong to one holder are a
segment of both, so that every holder's gradient is a product of its own, written where it stays.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from fedchain.learning.clipping import clip_factors
from fedchain.learning.example_gradients import passes
from fedchain.learning.task import Loss
from fedchain.learning.weights import Places


def has_segments(module: nn.Module, loss: Loss, inputs: Tensor, targets: Tensor) -> bool:
    """Say whether every parameter belongs to a dense layer that sees each example once.

    Args:
        module: the model; it is not changed.
        loss: one loss an example.
        inputs: a few examples (n, ...).
        targets: their targets (n, ...).

    >>> from fedchain.learning.losses import cross_entropy
    >>> batch = torch.ones(2, 3), torch.tensor([0, 1])
    >>> has_segments(nn.Linear(3, 2), cross_entropy(), *batch)
    True
    """
    owners = [m for m in module.modules() if next(m.parameters(recurse=False), None) is not None]
    if not all(type(owner) is nn.Linear for owner in owners):
        return False
    passed = passes(module, loss, inputs, targets)
    flat = all(entered.ndim == 2 and len(entered) == len(inputs) for _, _, entered, _ in passed)
    return flat and len({name for name, *_ in passed}) == len(passed) == len(owners)


def segment_sums(
    module: nn.Module,
    loss: Loss,
    inputs: Tensor,
    targets: Tensor,
    segments: Sequence[slice],
    clip: float,
    places: Places,
    out: Tensor,
) -> None:
    """Write the sum of the clipped gradients of every segment of examples.

    The gradient of one example is error x input, an outer product, so its squared norm is
    |error|^2 (|input|^2 + 1), bias included: clipping needs no single gradient.

    Args:
        module: dense; it is not changed.
        loss: one loss an example.
        inputs: examples (n, ...).
        targets: their targets (n, ...).
        segments: examples of each holder.
        clip: bound on the 2-norm of one example's gradient; inf: none.
        places: where each parameter lies in a row.
        out: takes the sums, one row a segment, (len(segments), d).

    Reference:
        Goodfellow, "Efficient Per-Example Gradient Computations", 2015.
    """
    passed = passes(module, loss, inputs, targets)
    with torch.no_grad():
        if math.isfinite(clip):
            passed = _clipped(passed, clip)
        for name, layer, entered, error in passed:
            prefix = f"{name}." if name else ""
            shape, weight = layer.weight.shape, places[f"{prefix}weight"]
            bias = None if layer.bias is None else places[f"{prefix}bias"]
            for row, part in zip(out, segments, strict=True):
                torch.mm(error[part].T, entered[part], out=row[weight].view(shape))
                if bias is not None:
                    torch.sum(error[part], 0, out=row[bias])


def _clipped(
    passed: list[tuple[str, nn.Module, Tensor, Tensor]], clip: float
) -> list[tuple[str, nn.Module, Tensor, Tensor]]:
    """Scale every example's errors, so that its gradient is clipped; what overflowed is zero."""
    squares = sum(
        error.square().sum(1) * (entered.square().sum(1) + (layer.bias is not None))
        for _, layer, entered, error in passed
    )
    assert isinstance(squares, Tensor)
    factors = clip_factors(squares.sqrt(), clip)[:, None]
    if bool(factors.all()):
        return [(name, layer, entered, error * factors) for name, layer, entered, error in passed]
    kept, nothing = factors > 0, factors.new_zeros(())
    return [
        (name, layer, torch.where(kept, entered, nothing), torch.where(kept, error, 0) * factors)
        for name, layer, entered, error in passed
    ]
