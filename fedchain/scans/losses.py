"""Losses for masks: one value per example, computed from the pixels that hold a point.

The targets are masks: 1 for a point to keep, 0 for a point to erase, NaN where there is no point.
The outputs are one logit for each pixel.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

import numpy as np
import torch
from pydantic import Field
from torch.nn.functional import softplus

from fedchain.learning.losses import MaskLoss
from fedchain.learning.task import Loss, losses
from fedchain.registry import cites
from fedchain.scans.borders import border_weights

Balance = Annotated[float, Field(gt=0, lt=1)]


@losses
@cites("lin2017")
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
        return _mean(weight * softplus(-right), valid)

    return MaskLoss(loss, "focal", alpha, gamma)


@losses
@cites()
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
@cites("milletari2016")
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


@losses
@cites("gajdosech2020")
def softened_bce(*, keep_target: Annotated[float, Field(gt=0.5, le=1)] = 0.6) -> Loss:
    """Return the cross-entropy with a softer target for the points to keep than 1.

    The loss of an example is the mean of -t log p - (1 - t) log(1 - p) over the pixels that hold a
    point. Here p is the predicted probability that a point is to be kept; t is keep_target for a
    point to keep, and 0 for a point to erase.

    Args:
        keep_target: probability that is aimed at for a point to keep, above 0.5. The paper of
            ``gajdosech_fcn`` multiplies its targets by 0.6.

    Reference:
        Gajdošech, "Processing of 3D Scans using Machine Learning", 2020.
    """

    def loss(outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        logits, keep, valid = _pixels(outputs, targets)
        return _mean(softplus(logits) - keep_target * keep * logits, valid)

    return loss


@losses
@cites("iglovikov2018")
def bce_log_jaccard(*, smooth: Annotated[float, Field(gt=0, le=1000)] = 1.0) -> Loss:
    """Return the cross-entropy minus the logarithm of the overlap J, the loss of ``ternausnet``.

    The loss is H - log J, where H is the mean cross-entropy over the pixels that hold a point, and
    J = (sum p t + smooth) / (sum p + sum t - sum p t + smooth). Here p is the predicted probability
    that a point is to be kept; t is 1 for a point to keep, and 0 for a point to erase. The sums are
    those of one example. The published code adds up a whole batch, so that clipping would not bound
    one record.

    Args:
        smooth: number of pixels added to the numerator and the denominator, above 0. The published
            code has 1e-15.

    Reference:
        Iglovikov and Shvets, "TernausNet", 2018, equation (4); J as in its published code.
    """

    def loss(outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        logits, keep, valid = _pixels(outputs, targets)
        chance = logits.sigmoid() * valid
        overlap = (chance * keep).sum(dim=1)
        union = chance.sum(dim=1) + keep.sum(dim=1) - overlap
        jaccard = (overlap + smooth) / (union + smooth)
        return _mean(softplus(logits) - keep * logits, valid) - jaccard.log()

    return loss


@losses
@cites("ronneberger2015")
def border_weighted_bce(
    *,
    border: Annotated[float, Field(ge=0, le=1000)] = 10.0,
    sigma: Annotated[float, Field(gt=0, le=1000)] = 5.0,
) -> Loss:
    """Return the cross-entropy with U-Net's weights, which are large between parts that are near.

    The loss of an example is the mean of w times the cross-entropy over the pixels that hold a
    point. The weight w balances the two classes. For a point to erase, border exp(-(d1 + d2)^2 / (2
    sigma^2)) is added, where d1 and d2 are the distances to the nearest and the second nearest
    connected part of the points to keep. The weights are computed from the mask at every call,
    which takes long for a mask of hundreds of parts.

    Args:
        border: largest weight that the nearness of two parts adds; 10 in the paper.
        sigma: standard deviation of the nearness, in pixels; 5 in the paper.

    Reference:
        Ronneberger, Fischer and Brox, "U-Net: Convolutional Networks for Biomedical Image
        Segmentation", 2015, equation (2).
    """

    def loss(outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        logits, keep, valid = _pixels(outputs, targets)
        masks = targets.detach().cpu().numpy()
        maps = [border_weights(mask == 1, np.isfinite(mask), border, sigma) for mask in masks]
        weights = torch.from_numpy(np.stack(maps)).to(logits).flatten(1)
        return _mean(weights * (softplus(logits) - keep * logits), valid)

    return loss


def _mean(values: torch.Tensor, valid: torch.Tensor) -> torch.Tensor:
    """Return the mean of each example over the pixels that hold a point, shape (examples,)."""
    return (values * valid).sum(dim=1) / valid.sum(dim=1).clamp(min=1)


def _pixels(
    outputs: torch.Tensor, targets: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return logits, masks (0 without a point), and which pixels hold a point."""
    flat = targets.reshape(targets.shape[0], -1)
    valid = ~flat.isnan()
    keep = flat.where(valid, flat.new_zeros(()))
    return outputs.reshape(flat.shape), keep.to(outputs.dtype), valid.to(outputs.dtype)
