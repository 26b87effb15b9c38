"""Task: it holds the records from which a run learns, the model, the loss and the metrics."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from fedchain.arrays import Array, Flags, Wholes
from fedchain.errors import Problem
from fedchain.registry import Family, Part

if TYPE_CHECKING:
    import torch

PUBLIC_ONLY = "public_only"
"""Name of the baseline that learns from public records only; the other baselines learn nothing."""
Metrics = Mapping[str, float]
Loss = Callable[["torch.Tensor", "torch.Tensor"], "torch.Tensor"]
"""Maps outputs (n, ..) and targets (n, ..) to the losses (n,), one for each example."""


@dataclass(frozen=True)
class Records:
    """The examples of one holder, or the held-out examples."""

    inputs: Array
    """Float32, shape (n, ...)."""
    targets: Array
    """Shape (n, ...): classes (int64), or masks (float32, NaN where a pixel is not valid)."""
    record: Wholes | None = None
    """Number of each example's record, shape (n,); None: each example is a record. Privacy
    protects whole records: a scan that is cut into tiles is one record with many examples."""

    @property
    def examples(self) -> int:
        """Number of examples."""
        return len(self.inputs)

    @property
    def count(self) -> int:
        """Number of records; for holder k this is the public number n_k of equation (6)."""
        return self.examples if self.record is None else len(np.unique(self.record))

    @property
    def places(self) -> Wholes:
        """Position of each example's record among all records, counted from 0, shape (n,)."""
        numbers = np.arange(self.examples) if self.record is None else self.record
        return np.unique(numbers, return_inverse=True)[1]

    def part(self, mask: Flags) -> Records:
        """Return the records whose flag in the mask (count,) is true, with all their examples.

        >>> tiles = Records(np.zeros((3, 1)), np.arange(3), np.array([4, 7, 4]))
        >>> tiles.part(np.array([True, False])).targets
        array([0, 2])
        """
        kept = mask[self.places]
        record = None if self.record is None else self.record[kept]
        return Records(self.inputs[kept], self.targets[kept], record)


def join_records(parts: Sequence[Records]) -> Records:
    """Join the records of several holders into one set; no two holders share a record."""
    starts = np.cumsum([0, *(part.count for part in parts)])
    places = [part.places + start for part, start in zip(parts, starts, strict=False)]
    return Records(
        np.concatenate([part.inputs for part in parts]),
        np.concatenate([part.targets for part in parts]),
        None if parts[0].record is None else np.concatenate(places),
    )


@dataclass(frozen=True)
class Sampled:
    """The records of several holders that were sampled for a release."""

    masks: Sequence[Flags]
    """For each holder, in order: flags (n_k,) that say which of its n_k records take part."""
    rate: float
    """Probability that a record takes part; on average, rate * n_k records of holder k do."""


@dataclass(frozen=True)
class Subspace:
    """A subspace on which releases are projected: the leading directions of public gradients."""

    public: Records
    """Records whose gradients give the directions; they belong to no holder."""
    directions: int
    """Number of directions."""


@dataclass(frozen=True, kw_only=True)
class Task:
    """All that learning needs to know: data, model, loss, metrics and baselines."""

    name: str
    """The registered name."""
    holders: Sequence[Records]
    """Records of each data holder. With very many holders, an entry may be made when it is read;
    it must then be the same every time."""
    held_out: Records
    """Records on which the model is measured; they belong to no holder."""
    model: Callable[[], torch.nn.Module]
    """Makes the model. Its initial weights are the same at every call."""
    loss: Loss
    """Gives one loss per example."""
    measure: Callable[[Array, Records], Metrics]
    """Maps the model's outputs (n, ..), a numpy array, and the records to metrics by name."""
    score: str
    """The headline metric: ``iou`` or ``accuracy``; higher is better."""
    baselines: Mapping[str, Metrics]
    """Metrics on the held-out records, by name of the baseline; no baseline needs a run."""
    record: str = "row"
    """What one record is, in one word: ``row``, ``scan``, ``tile``."""
    note: str = ""
    """One line about the data for the reader of the report."""
    public: int = 0
    """Number of records that were declared public and belong to no holder; the initial weights or
    the subspace are computed from them."""
    subspace: Subspace | None = None
    """Subspace on which the holders' releases are projected; None: they are not projected."""
    views: int = 1
    """Number of views that replace each example of the holders; the example's gradient is the mean
    over these views."""
    pictures: Callable[[Array, int], Mapping[str, npt.NDArray[np.uint8]]] | None = None
    """Maps the outputs on ``held_out`` and a number of pictures to RGB pictures (h, w, 3) by name;
    None: the task has no pictures."""

    @functools.cached_property
    def learns(self) -> bool:
        """Whether there are holders with data; if not, only the chain runs."""
        return len(self.holders) > 0


@dataclass(frozen=True)
class Shapes:
    """The shapes of a task's examples, which its model and its loss must fit."""

    inputs: tuple[int, ...]
    """Shape of the inputs of one example."""
    outputs: int
    """Number of outputs that the model is asked for: one for each class, or 1 for a mask."""
    targets: tuple[int, ...]
    """Shape of the targets of one example: () for a class, the pixels for a mask."""


TASK_SHAPES: dict[str, Callable[[Mapping[str, Any]], Shapes]] = {}
"""For each kind of task with a model and a loss: the shapes, from the task's parameters."""


def _misfits(part: Part) -> Iterator[Problem]:
    """Yield a problem if the model and the loss of a task do not fit its examples."""
    if part.kind in TASK_SHAPES:
        from fedchain.learning.fitting import misfits  # imports torch

        given = part.parameters
        yield from misfits(part.kind, given["model"], given["loss"], TASK_SHAPES[part.kind](given))


def _flaw(made: Task, *_: object) -> str | None:
    """Say which array of the held-out records has a type that torch would fail on."""
    allowed = {"inputs": ("float32",), "targets": ("int64", "float32")}
    for name, types in allowed.items():
        found = str(getattr(made.held_out, name).dtype)
        if found not in types:
            return f"held_out.{name} must be {' or '.join(types)}, got {found}; convert all records"
    return None


tasks: Family[Task] = Family(
    "task",
    (
        "fedchain.learning.tasks.augmented",
        "fedchain.learning.tasks.classic",
        "fedchain.learning.tasks.canary_records",
        "fedchain.learning.tasks.nothing",
        "fedchain.learning.tasks.public_subspace",
        "fedchain.learning.tasks.subset",
        "fedchain.learning.tasks.warm_start",
        "fedchain.scans.folder",
        "fedchain.scans.simulated",
    ),
    Task,
    _flaw,
    _misfits,
)
"""A task is made by a function ``(holders: int, seed: int, *, ...) -> Task``. The seed is the run's
seed."""
models: Family[torch.nn.Module] = Family(
    "model", ("fedchain.learning.models", "fedchain.scans.models")
)
"""A model is made by a function ``(inputs: tuple[int, ...], outputs: int, *, ...)``. ``inputs`` is
the shape of one example, ``outputs`` the number of outputs for each example or pixel."""
losses: Family[Loss] = Family("loss", ("fedchain.learning.losses", "fedchain.scans.losses"))
"""A loss is made by a function ``(*, ...) -> Loss``."""
splits: Family[list[Wholes]] = Family("split", ("fedchain.learning.tasks.splits",))
"""A split is a function ``(labels (n,), sites (n,), holders: int, generator, *, ...)``. It returns
the indices of each holder's records, in rising order. ``labels`` are the classes of all records;
``sites`` say where each record was taken."""
