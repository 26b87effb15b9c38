"""Labelled task: turns inputs and their classes into a task, for data of a user's own."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from fedchain.arrays import Array, Wholes
from fedchain.errors import FedchainError, PartError
from fedchain.learning.losses import accuracy, majority
from fedchain.learning.models import seeded
from fedchain.learning.prediction import largest_logits, outputs_of
from fedchain.learning.task import Metrics, Records, Task, losses, models, splits
from fedchain.randomness import stream
from fedchain.registry import Part

SOFTMAX, CROSS_ENTROPY, IID = (Part(kind, {}) for kind in ("softmax", "cross_entropy", "iid"))
"""The parts of a labelled task, unless others are given."""
Prepare = Callable[[Array, Wholes], torch.nn.Module]
"""Makes the module that turns inputs into those of the model, from the inputs of all records and
the indices of the public ones."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Labelled:
    """Records with classes, before they are dealt to holders."""

    inputs: Array
    """Inputs of all records, numbers of any type, shape (records, ...)."""
    labels: Array
    """Class of each record, whole numbers from 0, shape (records,)."""
    classes: int
    """Number of classes."""
    sites: Array | None = None
    """Where each record comes from, whole numbers, shape (records,), for splits by site; None: the
    classes take their place."""


def labelled_task(
    name: str,
    data: Labelled,
    holders: int,
    seed: int,
    *,
    model: Part = SOFTMAX,
    loss: Part = CROSS_ENTROPY,
    split: Part = IID,
    held_out: float = 0.25,
    prepare: Prepare | None = None,
    measure: Callable[[Array, Wholes], Metrics] | None = None,
    **described: Any,
) -> Task:
    """Hold out some records, deal the others to the holders, and return the task.

    Held-out records are drawn by the seed. They belong to nobody and count as public, so that
    ``prepare`` may compute means from them.

    Args:
        name: the name of the task.
        data: the records.
        holders: number of data holders.
        seed: the run's seed; it fixes held-out records, split and initial weights.
        model: kind and parameters of the model.
        loss: kind and parameters of the loss.
        split: which holder has which records.
        held_out: share of the records that no holder has, above 0 and below 1.
        prepare: makes the module that turns inputs into those of the model, such as
            ``Standardised``; None: the inputs become float32 as they are.
        measure: maps outputs and classes to metrics, with ``accuracy``; None: accuracy alone.
        described: further fields of the task: ``record``, ``note``.

    Raises:
        ValueError: the split refuses the records, or the model their shape.

    >>> data = Labelled(inputs=np.eye(8), labels=np.arange(8) % 2, classes=2)
    >>> task = labelled_task("eight", data, 2, 0)
    >>> [len(own.targets) for own in task.holders], len(task.held_out.targets)
    ([3, 3], 2)
    """
    count, labels = len(data.labels), data.labels.astype(np.int64)
    order = stream(seed, "held out").permutation(count)
    public = np.sort(order[: max(1, round(held_out * count))])
    kept = np.setdiff1d(np.arange(count), public)
    prepared = None if prepare is None else prepare(data.inputs, public)
    raw = data.inputs if prepared is None else outputs_of(prepared, data.inputs)
    inputs = np.asarray(raw, np.float32)
    model_for = _models_by_shape(model, data.classes, seed)
    measured, shape = losses.build(loss), inputs.shape[1:]
    outputs = _outputs_of(model_for(shape), inputs[public[:1]], model.kind)
    guessed = majority(labels[kept], labels[public], outputs, measured)
    sites = labels if data.sites is None else data.sites
    parts = splits.build(split, labels[kept], sites[kept], holders, stream(seed, "split"))
    return Task(
        name=name,
        holders=tuple(Records(inputs[kept[part]], labels[kept[part]]) for part in parts),
        held_out=Records(inputs[public], labels[public]),
        model=model_for(shape),
        model_for=model_for,
        prepare=None if prepared is None else lambda: prepared,
        loss=measured,
        measure=_measure_with(measure),
        score="accuracy",
        baselines={"majority": guessed},
        **described,
    )


def _outputs_of(make: Callable[[], torch.nn.Module], example: Array, kind: str) -> int:
    """Return the number of outputs for one example."""
    try:
        with torch.no_grad():
            return int(make().eval()(torch.from_numpy(example)).shape[-1])
    except (FedchainError, ValueError):
        raise
    except Exception as error:  # the model may be the user's own
        words = f"task.model: {kind} does not take examples of shape {example.shape[1:]}"
        raise PartError(f"{words}: {' '.join(str(error).split())}") from error


def _measure_with(
    measure: Callable[[Array, Wholes], Metrics] | None,
) -> Callable[[Array, Records], Metrics]:
    if measure is None:
        return lambda outputs, records: {"accuracy": accuracy(outputs, records.targets)}
    return lambda outputs, records: measure(outputs, records.targets)


def _models_by_shape(
    model: Part, classes: int, seed: int
) -> Callable[[tuple[int, ...]], Callable[[], torch.nn.Module]]:
    """Return the task's ``model_for``."""
    return lambda inputs: seeded(lambda: models.build(model, inputs, classes), seed)


def accuracy_and_f1(outputs: Array, labels: Wholes) -> Mapping[str, float]:
    """Return the accuracy, and the mean over the classes of F1 = 2 TP / (2 TP + FP + FN).

    A class that neither occurs nor is predicted does not count.

    Args:
        outputs: logits of all classes, shape (examples, classes), or of class 1 alone, shape
            (examples, 1).
        labels: the true classes, shape (examples,).

    >>> found = accuracy_and_f1(np.array([[-1.0], [3.0], [2.0]]), np.array([0, 1, 0]))
    >>> round(found["f1"], 4)
    0.6667
    """
    guessed = largest_logits(outputs)
    classes = np.union1d(guessed, labels)
    right = [(guessed == k) & (labels == k) for k in classes]
    sizes = [(guessed == k).sum() + (labels == k).sum() for k in classes]
    scores = [2.0 * hit.sum() / size for hit, size in zip(right, sizes, strict=True)]
    return {"accuracy": accuracy(outputs, labels), "f1": float(np.mean(scores))}
