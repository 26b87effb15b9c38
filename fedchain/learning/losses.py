"""Losses for classification: one number per example."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fedchain.learning.task import Loss, losses

if TYPE_CHECKING:
    import torch


@losses
def cross_entropy() -> Loss:
    """Return the cross-entropy: minus the log-probability of the right class.

    A single output per example is the logit of class 1. Several outputs are the logits of the
    classes; the loss is then -log softmax(outputs)[target].

    Returns:
        A function from (outputs (n,) or (n, 1) or (n, classes), class numbers (n,)) to losses
        (n,).

    >>> import torch
    >>> cross_entropy()(torch.zeros(1, 4), torch.tensor([2])).exp()
    tensor([4.])
    """
    return _cross_entropy


def _cross_entropy(outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    from torch.nn import functional

    if outputs.ndim == 1 or outputs.shape[1] == 1:
        logits = outputs.reshape(len(outputs))
        labels = targets.to(logits.dtype)
        return functional.binary_cross_entropy_with_logits(logits, labels, reduction="none")
    return functional.cross_entropy(outputs, targets, reduction="none")
