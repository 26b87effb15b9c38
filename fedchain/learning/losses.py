"""Losses and metrics for classification."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import torch
from torch.nn import functional

from fedchain.arrays import Array, Wholes
from fedchain.learning.prediction import largest_logits
from fedchain.learning.task import Loss, Metrics, losses
from fedchain.registry import cites


@dataclass(frozen=True)
class MaskLoss:
    """A loss of masks that planes can compute: a loss that knows its formula by name.

    The targets are 1 for a pixel to keep, 0 for a pixel to erase, and NaN where no pixel is.
    """

    formula: Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
    """Gives one loss for each example, without the factor."""
    kind: Literal["dice", "focal"]
    """Name of the formula."""
    first: float
    """The first parameter of the formula: the number ``smooth`` of dice, ``alpha`` of focal."""
    second: float = 0.0
    """The second parameter of the formula: ``gamma`` of focal."""
    factor: float = 1.0
    """Number that multiplies each loss."""

    def __call__(self, outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """Return the loss of each example, shape (examples,)."""
        found = self.formula(outputs, targets)
        return found if self.factor == 1.0 else self.factor * found


def divided_loss(loss: Loss, number: int) -> Loss:
    """Return a loss divided by a number."""
    if isinstance(loss, MaskLoss):
        return replace(loss, factor=loss.factor / number)
    return lambda outputs, targets: loss(outputs, targets) / number


@losses
@cites()
def cross_entropy() -> Loss:
    """Return the cross-entropy: minus the log-probability of the right class.

    A single output per example is the logit of class 1. Several outputs are the logits of all
    classes; the loss is then -log softmax(outputs)[target].

    >>> cross_entropy()(torch.zeros(1, 4), torch.tensor([2])).exp()
    tensor([4.])
    """
    return _cross_entropy


def _cross_entropy(outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    if outputs.ndim == 1 or outputs.shape[1] == 1:
        logits = outputs.reshape(len(outputs))
        labels = targets.to(logits.dtype)
        return functional.binary_cross_entropy_with_logits(logits, labels, reduction="none")
    return functional.cross_entropy(outputs, targets, reduction="none")


def accuracy(outputs: Array, labels: Wholes) -> float:
    """Return the share of examples whose true class has the largest logit.

    Args:
        outputs: logits of all classes, shape (examples, classes), or of class 1 alone, shape
            (examples, 1).
        labels: the true classes, shape (examples,).

    >>> accuracy(np.array([[-1.0], [3.0]]), np.array([0, 1]))
    1.0
    """
    return float((largest_logits(outputs) == labels).mean())


def majority(known: Wholes, asked: Wholes, outputs: int, loss: Loss) -> Metrics:
    """Return accuracy and loss of a model that always predicts the frequencies of the classes.

    Args:
        known: classes from which the frequencies are counted, one for each record.
        asked: classes of the records on which the metrics are measured.
        outputs: number of outputs of the model; 1 means the logit of class 1.
        loss: the loss that is measured.

    Returns:
        ``accuracy`` and ``loss``. The loss is not finite if ``known`` lacks a class of ``asked``.

    >>> known, asked = np.array([0, 0, 0, 1]), np.array([0, 1])
    >>> found = majority(known, asked, 1, cross_entropy())
    >>> found["accuracy"], round(found["loss"], 4)
    (0.5, 0.837)
    """
    with np.errstate(divide="ignore"):
        logs = np.log(np.bincount(known, minlength=max(2, outputs)) / len(known))
    same = np.tile(logs[1:] - logs[:1] if outputs == 1 else logs, (len(asked), 1))
    mean = loss(torch.tensor(same), torch.tensor(asked.astype(np.int64))).mean()
    return {"accuracy": accuracy(same, asked), "loss": float(mean)}
