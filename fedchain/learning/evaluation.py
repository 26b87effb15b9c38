"""Measuring a model on the held-out records."""

from __future__ import annotations

import numpy as np
import torch

from fedchain.arrays import Vector
from fedchain.learning.task import Array, Metrics, Task
from fedchain.learning.weights import load_weights

PIECE = 200
"""Examples that go through the model together."""


def evaluate(task: Task, weights: Vector) -> tuple[Metrics, Array]:
    """Run the model on the held-out records.

    Args:
        task: the model, the held-out records and the metrics.
        weights: (d,) float64.

    Returns:
        Metrics by name, and the outputs (n, ...) that they were taken from.
    """
    module = task.model().eval()
    load_weights(module, weights)
    inputs = torch.from_numpy(np.require(task.held_out.inputs, requirements=["W", "C"]))
    with torch.no_grad():
        starts = range(0, len(inputs), PIECE)
        pieces = [module(inputs[start : start + PIECE]).numpy() for start in starts]
    outputs: Array = np.concatenate(pieces)
    return task.measure(outputs, task.held_out), outputs
