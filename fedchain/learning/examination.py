"""Examination: checks of a task with parts of the user's own, before the first round."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

import numpy as np
import torch
from torch import Tensor, nn

from fedchain.arrays import Array
from fedchain.errors import PartError
from fedchain.learning.evaluation import PIECE, Evaluation, flat_weights
from fedchain.learning.fitting import check_fit
from fedchain.learning.gradients.probe import summed_gradient
from fedchain.learning.task import Loss, Records, Task
from fedchain.registry import suggest

RECORD_TYPES = {"inputs": ("float32",), "targets": ("int64", "float32")}
"""Number types of the arrays of records."""
MOST_CLASSES = 64
"""Largest number of classes of which one example each is tried."""


def examine_task(task: Task) -> None:
    """Try the records, the model, the loss and the score of a task.

    Raises:
        PartError: something is wrong; the text begins with the scenario's key.
    """
    _check_records(task)
    module, batch = task.model().eval(), _one_of_each_class(task)
    check_fit(module, task.loss, *batch)
    _check_finite(module, task.loss, *batch)
    for name, records in _sets_of(task):
        if fault := first_fault(module, task.loss, records):
            raise PartError(f"task: {name}: {fault} at the initial weights; it must be finite")
    if not np.array_equal(flat_weights(module), flat_weights(task.model())):
        raise PartError(
            "task.model: has other initial weights at every call; all who take part begin at the "
            "same ones: make it with seeded(lambda: .., seed) of fedchain.learning.models"
        )
    check_score(task)


def check_score(task: Task) -> None:
    """Check that a task's score is a metric that its ``measure`` returns.

    Raises:
        PartError: ``measure`` returns something else, or no such metric.
    """
    found = metrics_of(task)
    for name, value in found.items():
        if not isinstance(value, float | int | np.number) or isinstance(value, bool):
            raise PartError(
                f"task.measure: {name} must be a number, got {type(value).__name__}; "
                "NaN is allowed where a metric is not defined"
            )
    if task.score not in found:
        raise PartError(
            f"task.score: measure returns no metric {task.score!r}; {suggest(task.score, found)}"
        )


def metrics_of(task: Task) -> Mapping[str, float]:
    """Return the metrics of a task's model at its initial weights.

    Raises:
        PartError: ``measure`` fails, or returns no mapping.
    """
    try:
        return Evaluation(task)(flat_weights(task.model()))[0]
    except TypeError as error:  # the metrics are no mapping
        raise PartError(f"task.measure: must return metrics by name: {error}") from error


def first_fault(module: nn.Module, loss: Loss, records: Records) -> str:
    """Return which example gives no finite loss, in words; empty if all losses are finite.

    >>> line = nn.Linear(1, 1)
    >>> records = Records(np.array([[1.0], [np.inf]], np.float32), np.zeros(2, np.int64))
    >>> first_fault(line, lambda outputs, targets: outputs[:, 0], records)
    'example 1 has inf among its inputs'
    """
    if len(odd := np.flatnonzero(~_finite(records.inputs))):
        return f"example {odd[0]} has {_odd_value(records.inputs[odd[0]])} among its inputs"
    for start in range(0, records.examples, PIECE):
        piece = slice(start, start + PIECE)
        batch = torch.tensor(records.inputs[piece]), torch.tensor(records.targets[piece])
        with torch.no_grad():
            losses = loss(module(batch[0]), batch[1])
        for place in torch.nonzero(~torch.isfinite(losses)).flatten().tolist():
            return f"the loss of example {start + place} is {float(losses[place])}"
    return ""


def _check_records(task: Task) -> None:
    """Check types, shapes, numbers and labels of the records of all holders."""
    least = math.inf
    for name, records in _sets_of(task):
        for field, types in RECORD_TYPES.items():
            array = getattr(records, field)
            if str(getattr(array, "dtype", type(array).__name__)) not in types:
                words = f"task: {name}: {field} must be an array of {' or '.join(types)}"
                raise PartError(f"{words}, got {_type_of(array)}; {_conversion(field)}")
        _check_shapes(name, records, task.held_out)
        if len(odd := np.flatnonzero(~_finite(records.inputs))):
            raise PartError(
                f"task: {name}: example {odd[0]} has {_odd_value(records.inputs[odd[0]])} among "
                "its inputs; allowed: finite numbers, so fill or leave out such records"
            )
        if records.targets.dtype == np.int64:
            least = min(least, int(records.targets.min()))
    if least not in (0, math.inf):
        way = f"labels {'-' if least > 0 else '+'} {abs(least)}"
        raise PartError(f"task: the smallest label is {least}; labels count from 0: write {way}")


def _type_of(array: object) -> str:
    return str(array.dtype) if isinstance(array, np.ndarray) else type(array).__name__


def _conversion(field: str) -> str:
    way = "labels.astype(np.int64)" if field == "targets" else "inputs.astype(np.float32)"
    return f"write {way}"


def _check_shapes(name: str, records: Records, held_out: Records) -> None:
    if not records.examples or len(records.inputs) != len(records.targets):
        raise PartError(
            f"task: {name}: {len(records.inputs)} inputs and {len(records.targets)} targets; "
            "allowed: as many of both, and at least one"
        )
    for field in RECORD_TYPES:
        got, wanted = getattr(records, field).shape[1:], getattr(held_out, field).shape[1:]
        if got != wanted:
            words = f"task: {name}: one example has {field} of shape {got}"
            raise PartError(f"{words}, but a held-out one {wanted}; all must be alike")


def _sets_of(task: Task) -> Iterator[tuple[str, Records]]:
    """Yield the name and the records of the held-out set, then of each holder."""
    yield "held_out", task.held_out
    for holder, records in enumerate(task.holders):
        yield f"holder {holder}", records


def _odd_value(numbers: Array) -> float:
    """Return the first number that is not finite."""
    return float(numbers[~np.isfinite(numbers)][0])


def _finite(inputs: Array) -> Array:
    """Return for each example whether all its inputs are finite."""
    return np.asarray(np.isfinite(inputs.reshape(len(inputs), -1)).all(axis=1))


def _one_of_each_class(task: Task) -> tuple[Tensor, Tensor]:
    """Return inputs and targets of one example of each class, or of the first held-out ones."""
    inputs, targets = [task.held_out.inputs[:1]], [task.held_out.targets[:1]]
    seen = set(np.unique(targets[0]).tolist()) if targets[0].dtype == np.int64 else set()
    for _, records in _sets_of(task):
        if records.targets.dtype != np.int64 or records.targets.ndim != 1:
            return _tensors([records.inputs[:2]], [records.targets[:2]])
        labels, places = np.unique(records.targets, return_index=True)
        for label, place in zip(labels.tolist(), places.tolist(), strict=True):
            if label not in seen and len(seen) < MOST_CLASSES:
                seen.add(label)
                inputs.append(records.inputs[place : place + 1])
                targets.append(records.targets[place : place + 1])
    return _tensors(inputs, targets)


def _tensors(inputs: list[Array], targets: list[Array]) -> tuple[Tensor, Tensor]:
    return torch.tensor(np.concatenate(inputs)), torch.tensor(np.concatenate(targets))


def _check_finite(module: nn.Module, loss: Loss, inputs: Tensor, targets: Tensor) -> None:
    """Check that losses and gradients of a few examples are finite at the initial weights."""
    with torch.no_grad():
        losses = loss(module(inputs), targets)
    for place, target in enumerate(targets):
        label = f" of an example of class {int(target)}" if target.ndim == 0 else ""
        if not torch.isfinite(losses[place]):
            words = f"task.loss: is {float(losses[place])} at the initial weights{label}"
            raise PartError(
                f"{words}; allowed: finite numbers, as of logsumexp, or log of clamp(min=1e-6)"
            )
        one = inputs[place : place + 1], targets[place : place + 1]
        if not torch.isfinite(summed_gradient(module, loss, *one)).all():
            words = f"task.loss: its gradient{label} is not finite at the initial weights"
            raise PartError(
                f"{words}; use no root or quotient at 0, nor torch.where with such a branch"
            )
