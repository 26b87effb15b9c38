"""Losses for masks: one value per example, over the pixels that hold a point."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from fedchain.learning.task import Loss, losses

if TYPE_CHECKING:
    import torch

Balance = Annotated[float, Field(gt=0, lt=1)]


@losses
def focal(*, alpha: Balance = 0.07, gamma: Annotated[float, Field(ge=0, le=10)] = 4.0) -> Loss:
    """Return the focal loss: cross-entropy with less weight on pixels that are already right.

    The loss is the mean over valid pixels of -a_t (1 - p_t)^gamma log p_t. Here p_t is the
    probability of the right class; a_t is alpha if the point is to be kept, and 1 - alpha if it is
    to be erased. The logarithm is computed from the right class's logit z_t, so that it is exact
    for large logits: log p_t = -softplus(-z_t).

    Args:
        alpha: weight of the points to keep, between 0 and 1; the scan model used .06 to .08,
            because most points of its scans are to be kept.
        gamma: exponent that lowers the weight of right pixels, 0 or more; the scan model used 3
            to 5.

    Returns:
        A function of logits, (n, 1, h, w) or (n, h, w), and masks, (n, h, w) with NaN where there
        is no point. It returns the losses, (n,).

    Reference:
        Lin et al., "Focal Loss for Dense Object Detection", 2017, equation (5).
    """

    def loss(outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        from torch.nn.functional import softplus

        logits, keep, valid = _pixels(outputs, targets)
        right = logits * (2 * keep - 1)
        weight = alpha * keep + (1 - alpha) * (1 - keep)
        easy = (-gamma * softplus(right)).exp()
        return _mean(weight * easy * softplus(-right), valid)

    return loss


@losses
def bce(*, keep_weight: Balance = 0.5) -> Loss:
    """Return the binary cross-entropy, averaged over the pixels that hold a point.

    The loss is the mean over valid pixels of -2 w_t log p_t. Here w_t is keep_weight if the point
    is to be kept, and 1 - keep_weight if it is to be erased. A keep_weight of 0.5 gives the plain
    cross-entropy.

    Args:
        keep_weight: weight of the points to keep against those to erase, between 0 and 1.

    Returns:
        A function of logits, (n, 1, h, w) or (n, h, w), and masks, (n, h, w) with NaN where there
        is no point. It returns the losses, (n,).
    """

    def loss(outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        from torch.nn.functional import softplus

        logits, keep, valid = _pixels(outputs, targets)
        weight = 2 * (keep_weight * keep + (1 - keep_weight) * (1 - keep))
        return _mean(weight * softplus(-logits * (2 * keep - 1)), valid)

    return loss


@losses
def dice(*, smooth: Annotated[float, Field(gt=0, le=1000)] = 1.0) -> Loss:
    """Return the Dice loss: one minus the overlap of the pixels kept and the pixels to keep.

    The loss is 1 - (2 sum p t + smooth) / (sum p + sum t + smooth), with sums over the valid
    pixels. Here p is the predicted probability that a point remains; t is 1 if it is to be kept
    and 0 if it is to be erased. Rightly erased points do not change the loss.

    Args:
        smooth: added to numerator and denominator, in pixels, above 0; the ratio is then defined
            even where no point is to be kept.

    Returns:
        A function of logits, (n, 1, h, w) or (n, h, w), and masks, (n, h, w) with NaN where there
        is no point. It returns the losses, (n,).

    Reference:
        Milletari et al., "V-Net", 2016, section 3 (here with plain, not squared, sums).
    """

    def loss(outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        logits, keep, valid = _pixels(outputs, targets)
        chance = logits.sigmoid() * valid
        overlap = (chance * keep).sum(dim=1)
        return 1 - (2 * overlap + smooth) / (chance.sum(dim=1) + keep.sum(dim=1) + smooth)

    return loss


def _pixels(
    outputs: torch.Tensor, targets: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return logits, masks (0 where not valid) and valid pixels, each (n, pixels)."""
    flat = targets.reshape(targets.shape[0], -1)
    valid = ~flat.isnan()
    keep = flat.where(valid, flat.new_zeros(()))
    return outputs.reshape(flat.shape), keep.to(outputs.dtype), valid.to(outputs.dtype)


def _mean(values: torch.Tensor, valid: torch.Tensor) -> torch.Tensor:
    return (values * valid).sum(dim=1) / valid.sum(dim=1).clamp(min=1)
