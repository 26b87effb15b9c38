"""Task: everything that a run needs for learning: records, model, loss and metrics."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from fedchain.arrays import Array, Flags, Wholes
from fedchain.errors import Problem
from fedchain.registry import Family, Part

if TYPE_CHECKING:
    import torch

PUBLIC_ONLY = "public_only"
"""Name of the baseline that learns from public records only; other baselines learn nothing."""
MOST_SHOWN = 64
"""Most held-out scans of which pictures are made."""
Metrics = Mapping[str, float]
Loss = Callable[["torch.Tensor", "torch.Tensor"], "torch.Tensor"]
"""Maps the outputs and the targets of n examples to n losses, shape (n,)."""


@dataclass(frozen=True)
class Records:
    """The records of one holder, or the held-out records; a record has one or more examples."""

    inputs: Array
    """Inputs of the model, float32, shape (examples, ...)."""
    targets: Array
    """Targets of the loss, shape (examples, ...): int64 classes, or float32 masks, which are NaN
    where a pixel holds no point."""
    record: Wholes | None = None
    """Id of the record of each example, or None if each example is a record. Privacy protects whole
    records, such as all tiles of one scan."""
    raw: Array | None = None
    """The inputs from which ``Task.see`` made ``inputs``, shape (examples, ...); None if the task
    has no features."""

    @property
    def examples(self) -> int:
        """Number of examples."""
        return len(self.inputs)

    @property
    def count(self) -> int:
        """Number of records. The number of each holder's records is public."""
        return self.examples if self.record is None else len(np.unique(self.record))

    @property
    def places(self) -> Wholes:
        """Index of each example's record among all records, from 0, shape (examples,)."""
        numbers = np.arange(self.examples) if self.record is None else self.record
        return np.unique(numbers, return_inverse=True)[1]

    def part(self, mask: Flags) -> Records:
        """Return only the records whose flag in the mask is true; the mask has shape (records,).

        >>> tiles = Records(np.zeros((3, 1)), np.arange(3), np.array([4, 7, 4]))
        >>> tiles.part(np.array([True, False])).targets
        array([0, 2])
        """
        kept = mask[self.places]
        record = None if self.record is None else self.record[kept]
        raw = None if self.raw is None else self.raw[kept]
        return Records(self.inputs[kept], self.targets[kept], record, raw)


def join_records(parts: Sequence[Records]) -> Records:
    """Join the records of several holders into one set."""
    starts = np.cumsum([0, *(part.count for part in parts)])
    places = [part.places + start for part, start in zip(parts, starts, strict=False)]
    raw = [part.raw for part in parts if part.raw is not None]
    return Records(
        np.concatenate([part.inputs for part in parts]),
        np.concatenate([part.targets for part in parts]),
        None if parts[0].record is None else np.concatenate(places),
        np.concatenate(raw) if len(raw) == len(parts) else None,
    )


@dataclass(frozen=True)
class Sampled:
    """The records of several holders that were sampled for a release."""

    masks: Sequence[Flags]
    """For each holder, one flag for each record: whether the record takes part."""
    sizes: Sequence[float]
    """For each holder, the number by which its sum of gradients is divided: the number of records
    that take part, or its expectation if they are drawn independently."""


@dataclass(frozen=True)
class Subspace:
    """A subspace on which releases are projected, spanned by directions of public gradients."""

    public: Records
    """Records from whose gradients the directions are computed; they belong to no holder."""
    directions: int
    """Number of directions."""


@dataclass(frozen=True)
class ExtraMetric:
    """A metric of the model on other inputs than the held-out ones."""

    inputs: Array
    """Inputs of the model, float32, shape (examples, ...)."""
    measure: Callable[[Array], float]
    """Maps the model's outputs for these inputs to a metric; NaN where it is not defined."""


@dataclass(frozen=True, eq=False, kw_only=True)
class ShownScan:
    """A held-out scan, with what pictures of its masks need."""

    name: str
    """Name of the scan."""
    examples: slice
    """The scan's examples among the held-out ones."""
    image: Array
    """Intensity and depth of each pixel, 0 to 1, shape (2 or more, height, width)."""
    valid: Array
    """Pixels that hold a point, shape (height, width)."""
    keep: Array
    """Pixels that should be kept, shape (height, width)."""
    positions: Array | None
    """Points in metres, shape (height, width, 3), or None if they are not known."""
    kept: Callable[[Array], Array]
    """Maps the model's outputs for the scan's examples to the pixels that the model keeps, shape
    (height, width)."""


@dataclass(frozen=True, kw_only=True)
class Task:
    """Everything that a run needs for learning: data, model, loss, metrics and baselines."""

    name: str
    """Name under which the task is registered."""
    holders: Sequence[Records]
    """Records of each data holder. A lazy sequence must give the same records at every read."""
    held_out: Records
    """Records on which the model is measured; they belong to no holder."""
    model: Callable[[], torch.nn.Module]
    """Makes the model, with the same initial weights at every call."""
    model_for: Callable[[tuple[int, ...]], Callable[[], torch.nn.Module]] | None = None
    """Maps another shape of one example's inputs to a function that makes the model for it. None if
    the model fits only the task's own inputs."""
    prepare: Callable[[], torch.nn.Module] | None = None
    """Makes a module of torch that turns inputs, as the task's data have them, into those of
    ``Records.inputs``: it subtracts public means, for example. None if both are the same."""
    read: Callable[[Path], Array] | None = None
    """Reads inputs, as the task's data have them, from a file like these: shape (examples, ...).
    None if such a file holds plain numbers."""
    classes: Sequence[str] = ()
    """Names of the classes; empty if their numbers are their names."""
    see: Callable[[Array], Array] | None = None
    """Makes features, the inputs of the model, from raw inputs. None if these are the same."""
    loss: Loss
    """Gives one loss for each example."""
    measure: Callable[[Array, Records], Metrics]
    """Maps the model's outputs (a numpy array) and the records to metrics by name."""
    score: str
    """Name of the main metric, ``iou`` or ``accuracy``; higher is better."""
    baselines: Mapping[str, Metrics]
    """Metrics on the held-out records, by the name of the baseline."""
    record: str = "row"
    """What one record is, in one word: ``row``, ``scan``, ``tile``."""
    note: str = ""
    """One line about the data, which the report shows."""
    public: int = 0
    """Number of records that are declared public and belong to no holder."""
    public_scans: tuple[str, ...] = ()
    """Names of scans that are declared public, because records are compared with them."""
    subspace: Subspace | None = None
    """Subspace on which the holders' releases are projected, or None for no projection."""
    root: Records | None = None
    """Records of the public root, which belong to no holder, or None without a public root."""
    views: int = 1
    """Number of views of each example of the holders. The gradient of an example is the mean over
    its views."""
    extra_metrics: Mapping[str, ExtraMetric] = field(default_factory=dict)
    """Metrics on other inputs than those of ``held_out``, by name."""
    shown: Callable[[int], Sequence[ShownScan]] | None = None
    """Returns the first held-out scans, at most as many as asked for, with what pictures of their
    masks need. None if the task has no scans."""

    @functools.cached_property
    def learns(self) -> bool:
        """Whether there are holders with data; if not, only the chain runs."""
        return len(self.holders) > 0


@dataclass(frozen=True)
class Shapes:
    """The shapes of a task's examples, which model and loss must fit."""

    inputs: tuple[int, ...]
    """Shape of the inputs of one example."""
    outputs: int
    """Number of outputs of the model: one for each class, or 1 for a mask."""
    targets: tuple[int, ...]
    """Shape of the targets of one example: () for a class, (height, width) for a mask."""
    score: str = "accuracy"
    """Name of the main metric."""


TASK_SHAPES: dict[str, Callable[[Mapping[str, Any]], Shapes]] = {}
"""For each kind of task, a function that returns the shapes from the task's parameters."""

OWN_DATA = frozenset({"table", "images"})
"""Kinds of tasks whose data are any table or any pictures of the user, so that mistakes in them are
looked for before a run and during it."""


def _misfits(part: Part) -> Iterator[Problem]:
    """Yield a problem if the model and the loss of a task do not fit its examples."""
    if part.kind in TASK_SHAPES:
        from fedchain.learning.fitting import misfits  # imports torch

        given = part.parameters
        yield from misfits(part.kind, given["model"], given["loss"], TASK_SHAPES[part.kind](given))


def _flaw(made: Task, *_: object) -> str | None:
    """Say which array of the held-out records has a type that torch cannot use."""
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
        "fedchain.learning.tasks.features",
        "fedchain.learning.tasks.images",
        "fedchain.learning.tasks.nothing",
        "fedchain.learning.tasks.public_root",
        "fedchain.learning.tasks.public_subspace",
        "fedchain.learning.tasks.subset",
        "fedchain.learning.tasks.table",
        "fedchain.learning.tasks.warm_start",
        "fedchain.scans.tasks.folder",
        "fedchain.scans.tasks.images",
        "fedchain.scans.tasks.simulated",
        "fedchain.scans.tasks.turntable",
        "fedchain.surfaces.tasks.refinement",
        "fedchain.surfaces.tasks.upsampling",
    ),
    Task,
    _flaw,
    _misfits,
)
"""The family of tasks. A task is made by a function ``(holders: int, seed: int, *, ...) -> Task``.
The seed is the seed of the run."""
models: Family[torch.nn.Module] = Family(
    "model", ("fedchain.learning.models", "fedchain.scans.models", "fedchain.surfaces.models")
)
"""The family of models. A model is made by a function
``(inputs: tuple[int, ...], outputs: int, *, ...)``. ``inputs`` is the shape of one example,
``outputs`` the number of outputs for each example or pixel."""
losses: Family[Loss] = Family(
    "loss", ("fedchain.learning.losses", "fedchain.scans.losses", "fedchain.surfaces.losses")
)
"""The family of losses. A loss is made by a function ``(*, ...) -> Loss``."""


def _split_flaw(
    made: list[Wholes], labels: Wholes, _: Wholes, holders: int, *__: object
) -> str | None:
    if len(made) != holders or not all(len(part) for part in made):
        sizes = [len(part) for part in made]
        return f"must give each of {holders} holders a record, got {len(made)} parts of {sizes}"
    if not np.array_equal(np.sort(np.concatenate(made)), np.arange(len(labels))):
        return f"must deal each of the {len(labels)} records exactly once"
    return None


splits: Family[list[Wholes]] = Family(
    "split", ("fedchain.learning.tasks.splits",), list, _split_flaw
)
"""The family of splits. A split is a function ``(labels, sites, holders: int, generator, *, ...)``.
It returns the indices of each holder's records, in rising order. ``labels`` has the class of each
record, ``sites`` the place where each record was taken."""
