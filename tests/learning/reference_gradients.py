"""The slow and obvious way: one example at a time, one record at a time."""

from __future__ import annotations

import numpy as np
import torch

from fedchain.learning.evaluation import flatten, load_weights
from fedchain.learning.task import Records, Task


def slow_row(
    task: Task, weights: np.ndarray, records: Records, clip: float | None, automatic: bool = False
) -> np.ndarray:
    module = task.model().double()
    load_weights(module, weights)
    numbers = np.arange(records.examples) if records.record is None else records.record
    total = np.zeros_like(weights)
    for number in np.unique(numbers):
        gradient = np.zeros_like(weights)
        for place in np.flatnonzero(numbers == number):
            gradient += one_gradient(task, module, records, place)
        norm = np.linalg.norm(gradient)
        if automatic:
            total += gradient * clip / (norm + 0.01)
        else:
            total += gradient if clip is None else gradient * min(1.0, clip / norm)
    return total / len(np.unique(numbers))


def one_gradient(task: Task, module: torch.nn.Module, records: Records, place: int) -> np.ndarray:
    inputs = torch.from_numpy(np.array(records.inputs[place : place + 1])).double()
    targets = torch.from_numpy(np.array(records.targets[place : place + 1]))
    targets = targets.double() if targets.is_floating_point() else targets
    loss = task.loss(module(inputs), targets).sum()
    parameters = list(module.parameters())
    found = torch.autograd.grad(loss, parameters, allow_unused=True, materialize_grads=True)
    return flatten(found)
