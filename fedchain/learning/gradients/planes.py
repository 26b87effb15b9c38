"""Method ``planes``: gradients of small convolutional models by compiled kernels."""

from __future__ import annotations

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

    def clipped_sum(
        self, weights: Vector, holder: Examples, clip: float | None, *, automatic: bool
    ) -> Tensor:
        """Return the float64 sum of the clipped gradients of a holder's examples.

        The weights are rounded to float32. With ``clip`` None, gradients are not clipped. The shape
        is (weights,).
        """
        images, masks = holder.inputs.numpy(), holder.targets.numpy()
        rows = np.arange(len(images))
        batch = weights.astype(np.float32), images, masks, rows
        return torch.from_numpy(self._gradients.clipped_sum(*batch, clip=clip, automatic=automatic))

    def each(self, weights: Vector, inputs: Tensor, targets: Tensor) -> Tensor:
        """Return the gradient of each example, shape (examples, weights)."""
        batch = inputs.numpy(), targets.numpy(), np.arange(len(inputs))
        return torch.from_numpy(self._gradients.each(weights.astype(np.float32), *batch))


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
