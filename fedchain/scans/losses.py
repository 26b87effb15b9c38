"""Losses for masks: one value per example, computed from the pixels that hold a point.

The targets are masks: 1 for a point to keep, 0 for a point to erase, NaN where there is no point.
The outputs are one logit for each pixel.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

import torch
from pydantic import Field
from torch.nn.functional import softplus

from fedchain.learning.losses import MaskLoss
from fedchain.learning.task import Loss, losses

Balance = Annotated[float, Field(gt=0, lt=1)]


@losses
def focal(*, alpha: Balance = 0.07, gamma: Annotated[float, Field(ge=0, le=10)] = 4.0) -> MaskLoss:
    """Return the focal loss: cross-entropy with less weight on pixels that are already right.

    The loss of an example is the mean of -a_t (1 - p_t)^gamma log p_t over the pixels that hold a
    point. Here p_t is the predicted probability of the right class; a_t is alpha for a point to
    keep, and 1 - alpha for a point to erase.

    Args:
        alpha: weight of the points to keep, between 0 and 1. The paper of ``gajdosech_unet`` used
            0.06 to 0.08.
        gamma: exponent, 0 or more; a larger one gives less weight to pixels that are already right.
            The paper of ``gajdosech_unet`` used 3 to 5.

    Reference:
        Lin et al., "Focal Loss for Dense Object Detection", 2017, equation (5).
    """

    def loss(outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        logits, keep, valid = _pixels(outputs, targets)
        right = logits * (2 * keep - 1)
        weight = alpha * keep + (1 - alpha) * (1 - keep)
        # With the logit z of the right class, log p_t = -softplus(-z) and log(1 - p_t) =
        # -softplus(z). These forms are exact for large logits.
        if gamma > 0:
            weight = weight * (-gamma * softplus(right)).exp()
        return (weight * softplus(-right) * valid).sum(dim=1) / valid.sum(dim=1).clamp(min=1)

    return MaskLoss(loss, "focal", alpha, gamma)


@losses
def bce(*, keep_weight: Balance = 0.5) -> Loss:
    """Return the binary cross-entropy, averaged over the pixels that hold a point.

    The loss of an example is the mean of -2 w_t log p_t. Here p_t is the predicted probability of
    the right class; w_t is keep_weight for a point to keep, and 1 - keep_weight for a point to
    erase.

    Args:
        keep_weight: weight of the points to keep, between 0 and 1; 0.5 gives the plain
            cross-entropy.
    """
    return replace(focal(alpha=keep_weight, gamma=0), factor=2.0)


@losses
def dice(*, smooth: Annotated[float, Field(gt=0, le=1000)] = 1.0) -> Loss:
    """Return the Dice loss: one minus the overlap of the pixels kept and the pixels to keep.

    The loss is 1 - (2 sum p t + smooth) / (sum p + sum t + smooth), with sums over the pixels that
    hold a point. Here p is the predicted probability that a point is to be kept; t is 1 for a point
    to keep, and 0 for a point to erase.

    Args:
        smooth: number of pixels added to the numerator and the denominator, above 0.

    Reference:
        Milletari et al., "V-Net", 2016, section 3; its denominator sums p^2 and t^2, not p and t.
    """

    def loss(outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        logits, keep, valid = _pixels(outputs, targets)
        chance = logits.sigmoid() * valid
        overlap = (chance * keep).sum(dim=1)
        return 1 - (2 * overlap + smooth) / (chance.sum(dim=1) + keep.sum(dim=1) + smooth)

    return MaskLoss(loss, "dice", smooth)


def _pixels(
    outputs: torch.Tensor, targets: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return logits, masks (0 without a point), and which pixels hold a point."""
    flat = targets.reshape(targets.shape[0], -1)
    valid = ~flat.isnan()
    keep = flat.where(valid, flat.new_zeros(()))
    return outputs.reshape(flat.shape), keep.to(outputs.dtype), valid.to(outputs.dtype)
