"""Dense networks: the gradients of many holders at once, as segments of one matrix product.

The examples of several holders go through the network together, once forward and once backward.
The gradient of a dense layer is errors^T x inputs. The rows of one holder are a segment of both
matrices, so that its gradient is the product of its two segments. Each product is written directly
to its place in the result.
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
    """Return whether every parameter belongs to a dense layer that sees each example once.

    Args:
        module: the model; it is not changed.
        loss: gives one loss per example.
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
    """Which examples of a pass belong to which holder, and how their gradients are scaled."""

    sizes: Sequence[int]
    """Number of examples of each holder, in order."""
    shares: Sequence[float]
    """Factor of all gradients of a holder: 1 / n_k for the mean."""
    clipping: Clipping | None
    """How the gradient of an example is clipped; None: it is not clipped."""
    places: Places
    """Slice of each parameter in a row."""


def segment_sums(
    module: nn.Module,
    loss: Loss,
    inputs: Tensor,
    targets: Tensor,
    segments: Segments,
    out: Tensor,
) -> None:
    """Write the weighted sum of the clipped gradients of every segment of examples.

    The gradient of one example is the outer product error x input. Its squared norm, including the
    bias, is |error|^2 (|input|^2 + 1). Clipping therefore needs no gradient of a single example.

    Args:
        module: dense; it is not changed.
        loss: gives one loss per example.
        inputs: examples (n, ...).
        targets: their targets (n, ...).
        segments: which examples belong together.
        out: receives the sums, one row per segment, (len(sizes), d).

    Reference:
        Goodfellow, "Efficient Per-Example Gradient Computations", 2015.
    """
    passed = passes(module, loss, inputs, targets)
    places, sizes = segments.places, list(segments.sizes)
    with torch.no_grad():
        each = inputs.new_tensor(segments.shares)
        shares = each.repeat_interleave(torch.tensor(sizes, device=inputs.device))[:, None]
        for name, layer, entered, error in _scale_errors(passed, shares, segments.clipping):
            prefix = f"{name}." if name else ""
            weight, bias = places[f"{prefix}weight"], places.get(f"{prefix}bias")
            if len(set(sizes)) == 1:  # two calls in all, instead of two per holder
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


def _scale_errors(passed: list[Passed], shares: Tensor, clipping: Clipping | None) -> list[Passed]:
    """Scale the errors of each example, and so its gradient; one that overflowed becomes zero."""
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
