"""Measuring a model on the held-out records; outside every privacy guarantee."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch

from fedchain.arrays import Vector
from fedchain.learning.task import Array, Metrics, Task
from fedchain.learning.weights import load_weights

PIECE = 100
"""Examples that go through the model together."""


def evaluate(task: Task, weights: Vector, workers: int = 1) -> tuple[Metrics, Array]:
    """Run the model on the held-out records.

    Args:
        task: the model, the held-out records, the loss and the metrics.
        weights: (d,) float64.
        workers: threads, each with one torch thread; the result does not depend on it.

    Returns:
        Metrics by name, the mean loss among them, and the outputs (n, ...) they come from.
    """
    module = task.model().eval()
    load_weights(module, weights)
    inputs = torch.from_numpy(np.require(task.held_out.inputs, requirements=["W", "C"]))

    def outputs_of(piece: torch.Tensor) -> Array:
        with torch.no_grad():
            return np.asarray(module(piece).numpy())

    with ThreadPoolExecutor(workers, initializer=torch.set_num_threads, initargs=(1,)) as threads:
        outputs: Array = np.concatenate(list(threads.map(outputs_of, torch.split(inputs, PIECE))))
    loss = task.loss(torch.from_numpy(outputs), torch.tensor(task.held_out.targets)).mean()
    return {**task.measure(outputs, task.held_out), "loss": float(loss)}, outputs
