"""Evaluation: it measures a model on held-out records.

The weights of a model are one flat vector: the parameters in the order of ``named_parameters``,
each in C order. No privacy guarantee covers the held-out records.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from fedchain.arrays import Array, Vector
from fedchain.learning.task import Metrics, Task
from fedchain.machine import one_thread

PIECE = 100
"""Number of examples that go through the model together."""


def layout(module: nn.Module) -> tuple[tuple[str, tuple[int, ...]], ...]:
    """Return the name and shape of each parameter, in the order of the flat vector.

    >>> layout(nn.Linear(3, 2))
    (('weight', (2, 3)), ('bias', (2,)))
    """
    return tuple((name, tuple(value.shape)) for name, value in module.named_parameters())


def dimension(module: nn.Module) -> int:
    """Return the number of weights of a model.

    >>> dimension(nn.Linear(3, 2))
    8
    """
    return sum(value.numel() for value in module.parameters())


def places(module: nn.Module) -> dict[str, slice]:
    """Return the slice of each parameter in the flat vector, by name.

    >>> places(nn.Linear(3, 2))["bias"]
    slice(6, 8, None)
    """
    found, start = {}, 0
    for name, value in module.named_parameters():
        found[name] = slice(start, start + value.numel())
        start += value.numel()
    return found


def flatten(tensors: Sequence[torch.Tensor]) -> Vector:
    """Join tensors, each in C order, into one float64 vector.

    >>> flatten([torch.ones(1, 2), torch.zeros(1)])
    array([1., 1., 0.])
    """
    rows = [tensor.detach().cpu().reshape(-1) for tensor in tensors]
    return np.concatenate([np.empty(0), *(row.numpy().astype(np.float64) for row in rows)])


def flat_weights(module: nn.Module) -> Vector:
    """Return a copy of the module's weights as one float64 vector."""
    return flatten(list(module.parameters()))


def load_weights(module: nn.Module, weights: Vector) -> None:
    """Copy a flat vector into the parameters of a module, rounded to their data type.

    Raises:
        ValueError: the length of the vector does not fit the module.

    >>> module = nn.Linear(1, 1)
    >>> load_weights(module, np.array([2.0, -1.0]))
    >>> flat_weights(module)
    array([ 2., -1.])
    """
    sizes = [value.numel() for value in module.parameters()]
    if weights.shape != (sum(sizes),):
        raise ValueError(
            f"weights: shape {weights.shape} does not fit the model; it has {sum(sizes)} parameters"
        )
    parts = torch.split(torch.tensor(weights), sizes)
    with torch.no_grad():
        for value, part in zip(module.parameters(), parts, strict=True):
            value.copy_(part.view(value.shape))


@dataclass(frozen=True)
class Measured:
    """Metrics of a model on the held-out records."""

    metrics: Mapping[str, float | None]
    """Values by name, including the mean loss; None for a value that is not defined. Empty if
    nobody measured the model."""
    seconds: float = 0.0
    """Real time that the measurement took, in seconds."""


def already(measured: Measured) -> Future[Measured]:
    """Return a finished future that holds a measurement."""
    future: Future[Measured] = Future()
    future.set_result(measured)
    return future


Recall = Callable[[str], Mapping[str, float | None]]
"""A function that returns the recorded metrics of the model after a block, given the block's hash
in hexadecimal; {} if none are recorded."""
UNMEASURED = already(Measured({}))
"""The result for a model that nobody measures."""


class Evaluation:
    """Runs a model on a task's held-out records; only one thread may use it at a time."""

    def __init__(self, task: Task) -> None:
        self._task = task
        self._module = task.model().eval()
        shown = [task.held_out.inputs, *(each.inputs for each in task.extra_metrics.values())]
        self._pieces = [_pieces(inputs) for inputs in shown]
        self._targets = torch.tensor(task.held_out.targets)

    def __call__(self, weights: Vector) -> tuple[Metrics, Array]:
        """Return the metrics and the outputs of the model with these weights.

        The metrics include the mean loss and the task's extra metrics.
        """
        load_weights(self._module, weights)
        with torch.no_grad():
            # Held-out inputs come first.
            outputs, *others = [torch.cat(list(map(self._module, p))) for p in self._pieces]
            loss = float(self._task.loss(outputs, self._targets).mean())
        found: Array = outputs.numpy()
        metrics = {**self._task.measure(found, self._task.held_out), "loss": loss}
        for (name, extra), each in zip(self._task.extra_metrics.items(), others, strict=True):
            metrics[name] = extra.measure(each.numpy())
        return metrics, found


def _pieces(inputs: Array) -> Sequence[torch.Tensor]:
    """Split inputs into pieces that go through the model together."""
    writable = np.require(inputs, requirements=["W", "C"])
    return torch.split(torch.from_numpy(writable), PIECE)


class Evaluations:
    """Measures models one after the other in a background thread, while the run goes on."""

    def __init__(self, task: Task, recall: Recall = lambda _: {}) -> None:
        """Start the thread.

        Args:
            task: the task with the held-out records.
            recall: returns the metrics that an interrupted run has recorded.
        """
        self._task, self._recall = task, recall
        self._evaluation = Evaluation(task)
        self._beside = ThreadPoolExecutor(1, "evaluation", initializer=one_thread)

    def measure(self, block: bytes, weights: Vector) -> Future[Measured]:
        """Begin to measure the model after a block, unless its metrics are recorded already.

        Nothing is measured if the task learns nothing. The caller must not change the weights until
        the measurement is done.

        Args:
            block: hash of the block, 32 bytes.
            weights: the model's weights, as one flat vector.
        """
        if not self._task.learns:
            return UNMEASURED
        known = self._recall(block.hex())
        if known:
            return already(Measured(known))
        return self._beside.submit(self._measure_now, weights)

    def outputs(self, weights: Vector) -> Array:
        """Return the outputs of the model with these weights, shape (held-out examples, ...)."""
        return self._beside.submit(self._evaluation, weights).result()[1]

    def close(self) -> None:
        """Wait for all measurements that were begun, then end the thread."""
        self._beside.shutdown()

    def _measure_now(self, weights: Vector) -> Measured:
        began = time.perf_counter()
        metrics = plain_numbers(self._evaluation(weights)[0])
        return Measured(metrics, time.perf_counter() - began)


def plain_numbers(metrics: Mapping[str, float]) -> dict[str, float | None]:
    """Return metrics as numbers that JSON can hold: a value that is not finite becomes None.

    >>> plain_numbers({"precision": float("nan"), "iou": np.float32(0.5)})
    {'precision': None, 'iou': 0.5}
    """
    values = {name: float(value) for name, value in metrics.items()}
    return {name: value if math.isfinite(value) else None for name, value in values.items()}
