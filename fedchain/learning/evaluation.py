"""Evaluation of a model on the held-out records, which no privacy guarantee covers."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import torch

from fedchain.arrays import Vector
from fedchain.learning.task import Array, Metrics, Task
from fedchain.learning.weights import load_weights
from fedchain.machine import one_thread

PIECE = 100
"""Number of examples that go through the model together."""


@dataclass(frozen=True)
class Measured:
    """Metrics of a model on the held-out records."""

    metrics: Mapping[str, float | None]
    """Values by name, including the mean loss; None: not defined. Empty: nobody measured it."""
    seconds: float = 0.0
    """Time that the measurement took."""


def already(measured: Measured) -> Future[Measured]:
    """Return a finished future that holds a measurement."""
    future: Future[Measured] = Future()
    future.set_result(measured)
    return future


UNMEASURED = already(Measured({}))
"""The result for a model that nobody measures."""


class Evaluation:
    """Runs its own model on the held-out records; only one thread may use it at a time."""

    def __init__(self, task: Task) -> None:
        """Make the model.

        Args:
            task: the model, the held-out records, the loss and the metrics.
        """
        self._task = task
        self._module = task.model().eval()
        inputs = np.require(task.held_out.inputs, requirements=["W", "C"])
        self._pieces = torch.split(torch.from_numpy(inputs), PIECE)
        self._targets = torch.tensor(task.held_out.targets)

    def __call__(self, weights: Vector) -> tuple[Metrics, Array]:
        """Measure weights on the held-out records.

        Args:
            weights: (d,) float64.

        Returns:
            Metrics by name, including the mean loss; and the outputs (n, ...) that they are
            computed from.
        """
        load_weights(self._module, weights)
        with torch.no_grad():
            outputs = torch.cat([self._module(piece) for piece in self._pieces])
            loss = float(self._task.loss(outputs, self._targets).mean())
        found: Array = outputs.numpy()
        return {**self._task.measure(found, self._task.held_out), "loss": loss}, found


class Evaluations:
    """Measures models one after the other, in a background thread while the run goes on."""

    def __init__(self, task: Task) -> None:
        self._evaluation = Evaluation(task)
        self._beside = ThreadPoolExecutor(1, "evaluation", initializer=one_thread)

    def begin(self, weights: Vector) -> Future[Measured]:
        """Begin to measure weights (d,); they must not change until the measurement is done."""
        return self._beside.submit(self._measure, weights)

    def outputs(self, weights: Vector) -> Array:
        """Return the outputs of the model on the held-out records, (n, ...)."""
        return self._beside.submit(self._evaluation, weights).result()[1]

    def close(self) -> None:
        """Wait for open measurements, then end the thread."""
        self._beside.shutdown()

    def _measure(self, weights: Vector) -> Measured:
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
