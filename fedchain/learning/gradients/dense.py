"""Gradients of many holders of a dense network at once: segments of one matrix product.

The examples of several holders go through the network together, once forward and once backward.
The gradient of a dense layer is errors^T x inputs; the rows that belong to one holder are a
segment of both, so that every holder's gradient is a product of its own, written where it stays.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from fedchain.learning.gradients.clipping import Clipping
from fedchain.learning.gradients.per_example import Passed, passes
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


@dataclass(frozen=True)
class Segments:
    """How the examples of a pass belong to holders, and what becomes of their gradients."""

    sizes: Sequence[int]
    """Examples of each holder, in order."""
    shares: Sequence[float]
    """What every gradient of a holder is multiplied by: 1 / n_k for the mean."""
    clipping: Clipping | None
    """How one example's gradient is brought below its bound; None: it is not."""
    places: Places
    """Where each parameter lies in a row."""


def segment_sums(
    module: nn.Module,
    loss: Loss,
    inputs: Tensor,
    targets: Tensor,
    segments: Segments,
    out: Tensor,
) -> None:
    """Write the weighted sum of the clipped gradients of every segment of examples.

    The gradient of one example is error x input, an outer product, so its squared norm is
    |error|^2 (|input|^2 + 1), bias included: clipping needs no single gradient.

    Args:
        module: dense; it is not changed.
        loss: one loss an example.
        inputs: examples (n, ...).
        targets: their targets (n, ...).
        segments: which examples belong together.
        out: takes the sums, one row a segment, (len(sizes), d).

    Reference:
        Goodfellow, "Efficient Per-Example Gradient Computations", 2015.
    """
    passed = passes(module, loss, inputs, targets)
    places, sizes = segments.places, list(segments.sizes)
    with torch.no_grad():
        each = inputs.new_tensor(segments.shares)
        shares = each.repeat_interleave(torch.tensor(sizes, device=inputs.device))[:, None]
        for name, layer, entered, error in _scaled(passed, shares, segments.clipping):
            prefix = f"{name}." if name else ""
            weight, bias = places[f"{prefix}weight"], places.get(f"{prefix}bias")
            if len(set(sizes)) == 1:  # two calls for all, where each call waits for its turn
                many, n = len(sizes), sizes[0]
                mine, given = error.view(many, n, -1), entered.view(many, n, -1)
                torch.bmm(mine.mT, given, out=out[:, weight].view(many, mine.shape[2], -1))
                if bias is not None:
                    torch.sum(mine, 1, out=out[:, bias])
                continue
            parts = zip(out, torch.split(error, sizes), torch.split(entered, sizes), strict=True)
            for row, one, its in parts:
                torch.mm(one.T, its, out=row[weight].view(layer.weight.shape))
                if bias is not None:
                    torch.sum(one, 0, out=row[bias])


def _scaled(passed: list[Passed], shares: Tensor, clipping: Clipping | None) -> list[Passed]:
    """Scale every example's errors, so that its gradient is; what overflowed is zero."""
    if clipping is None:
        return [(name, layer, entered, error * shares) for name, layer, entered, error in passed]
    squares = shares.new_zeros(len(shares))
    for _, layer, entered, error in passed:
        squares += error.square().sum(1) * (entered.square().sum(1) + (layer.bias is not None))
    factors = clipping(squares.sqrt())[:, None]
    kept, factors = factors > 0, factors * shares
    if bool(kept.all()):
        return [(name, layer, entered, error * factors) for name, layer, entered, error in passed]
    nothing = shares.new_zeros(())
    return [
        (name, layer, entered.where(kept, nothing), error.where(kept, nothing) * factors)
        for name, layer, entered, error in passed
    ]
