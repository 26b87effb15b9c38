"""Method ``planes``: gradients of small convolutional models by compiled kernels."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import Tensor, nn

from fedchain.arrays import Vector
from fedchain.learning.evaluation import flat_weights
from fedchain.learning.gradients.examples import Examples
from fedchain.learning.gradients.methods import by_layers
from fedchain.learning.task import Loss
from fedchain.native.loading import library
from fedchain.native.planes import PlaneGradients, PlanePlan

JOINED = 64
"""Largest number of examples of several holders that are computed together."""
SAME = 0.01
"""Largest difference of a gradient to that of ``by_layers``, as a share of its norm. Rounding is
far below it, except where it turns the sign of a value before an activation."""


class Planes:
    """Computes gradients of one model by planes. An object must not be used by two threads."""

    def __init__(self, gradients: PlaneGradients) -> None:
        self._gradients = gradients

    def twin(self) -> Planes:
        """Return an equal object for another thread."""
        return Planes(self._gradients.twin())

    def sums(
        self, weights: Vector, holders: Sequence[Examples], clip: float | None, *, automatic: bool
    ) -> Iterator[Tensor]:
        """Yield the float64 sum of the clipped gradients of each holder, shape (weights,).

        Args:
            weights: the model's weights. They are rounded to float32.
            holders: the examples of each holder.
            clip: bound on the norm of each gradient; None for no bound.
            automatic: scale every gradient to nearly the clip, not only those above it.
        """
        rounded = weights.astype(np.float32)
        for group in _groups(holders):
            inputs, targets = group[0].inputs, group[0].targets
            if (
                len(group) > 1
            ):  # full blocks: a holder with few examples alone would leave lanes idle
                inputs = torch.cat([each.inputs for each in group])
                targets = torch.cat([each.targets for each in group])
            batch = rounded, inputs.numpy(), targets.numpy(), [len(each.inputs) for each in group]
            found = self._gradients.clipped_sums(*batch, clip=clip, automatic=automatic)
            yield from torch.from_numpy(found)

    def each(self, weights: Vector, inputs: Tensor, targets: Tensor) -> Tensor:
        """Return the gradient of each example, shape (examples, weights)."""
        batch = weights.astype(np.float32), inputs.numpy(), targets.numpy()
        return torch.from_numpy(self._gradients.each(*batch))


def _groups(holders: Sequence[Examples]) -> Iterator[list[Examples]]:
    """Yield the holders in order, in groups of at most ``JOINED`` examples or of one holder."""
    group: list[Examples] = []
    for holder in holders:
        if group and sum(len(each.inputs) for each in [*group, holder]) > JOINED:
            yield group
            group = []
        group.append(holder)
    yield group


def planes_for(
    plan: PlanePlan, module: nn.Module, loss: Loss, inputs: Tensor, targets: Tensor
) -> Planes | None:
    """Return the method for a plan on the CPU, or None if it cannot be used.

    Args:
        plan: the plan of the model and the loss.
        module: the model.
        loss: the loss, which gives one value for each example.
        inputs: a few examples, shape (examples, channels, height, width).
        targets: their targets.
    """
    kernels = library()
    if kernels is None or targets.shape[1:] != inputs.shape[2:]:
        return None
    if inputs.dtype != torch.float32 or targets.dtype != torch.float32:
        return None
    found = Planes(PlaneGradients(kernels, plan))
    known = by_layers(module, loss, inputs, targets)
    apart = (found.each(flat_weights(module), inputs, targets) - known).norm(dim=1)
    # A hook, or a call that the tracer does not see, can make the model another one.
    return found if bool((apart <= SAME * known.norm(dim=1)).all()) else None
