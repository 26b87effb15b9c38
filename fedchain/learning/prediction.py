"""Prediction: what the outputs of a model say about its inputs."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from fedchain.arrays import Array, Wholes
from fedchain.learning.evaluation import PIECE


def outputs_of(module: nn.Module, inputs: Array) -> Array:
    """Return the outputs of a model for inputs of shape (examples, ...), a piece at a time.

    >>> outputs_of(nn.Flatten(), np.zeros((250, 2, 2), np.float32)).shape
    (250, 4)
    """
    with torch.inference_mode():
        pieces = torch.split(torch.tensor(inputs), PIECE)
        return torch.cat([module(piece) for piece in pieces]).numpy()


def largest_logits(outputs: Array) -> Wholes:
    """Return the class with the largest logit of each example.

    Args:
        outputs: logits of all classes, shape (examples, classes), or of class 1 alone, shape
            (examples, 1).

    >>> largest_logits(np.array([[-1.0], [3.0]])), largest_logits(np.array([[0.5, 2.0, 1.0]]))
    (array([0, 1]), array([1]))
    """
    single = outputs.shape[1] == 1
    return (outputs[:, 0] > 0).astype(np.int64) if single else outputs.argmax(1)


def decided(outputs: Array, targets: Array) -> Array:
    """Return what the outputs of a model say, in the form of a task's targets.

    Args:
        outputs: outputs of the model, shape (examples, ...).
        targets: targets of the task, of which only type and shape are read.

    Returns:
        The class of each example, int64, if targets are classes; else the outputs.
    """
    is_class = np.issubdtype(targets.dtype, np.integer) and targets.ndim == 1 and outputs.ndim == 2
    return largest_logits(outputs) if is_class else outputs
