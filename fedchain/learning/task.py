"""What a run learns: the data of every holder, the model, the loss, the metrics."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from fedchain.arrays import Flags
from fedchain.registry import Family

if TYPE_CHECKING:
    import torch

PUBLIC_ONLY = "public_only"
"""The baseline that learned from public records alone; the others learn nothing."""
Array = npt.NDArray[Any]
Metrics = Mapping[str, float]
Loss = Callable[["torch.Tensor", "torch.Tensor"], "torch.Tensor"]
"""(outputs (n, ..), targets (n, ..)) to one loss an example, (n,)."""


@dataclass(frozen=True)
class Records:
    """The examples of one holder, or the held-out ones."""

    inputs: Array
    """Float32, shape (n, ...)."""
    targets: Array
    """Shape (n, ...): class numbers (int64) or masks (float32, NaN where a pixel is not valid)."""
    record: npt.NDArray[np.int64] | None = None
    """The record that each example belongs to, (n,), numbered from 0; None: each is its own.
    Privacy protects a record: a scan cut into tiles is one record with many examples."""

    @property
    def examples(self) -> int:
        """Number of examples."""
        return len(self.inputs)

    @property
    def count(self) -> int:
        """Number of records: the public n_k of equation (6)."""
        return self.examples if self.record is None else len(np.unique(self.record))


@dataclass(frozen=True)
class Sampled:
    """The records of several holders that take part in a release."""

    masks: Sequence[Flags]
    """Of each holder, in order: which of its records, (n_k,)."""
    rate: float
    """Chance of each record; rate n_k are expected."""


@dataclass(frozen=True)
class Subspace:
    """Where the releases of a task are projected: on leading directions of public gradients."""

    public: Records
    """Whose gradients give the directions; of no holder."""
    directions: int
    """How many of them."""


@dataclass(frozen=True, kw_only=True)
class Task:
    """Everything that learning needs, and nothing that it does not."""

    name: str
    """The registered name."""
    holders: Sequence[Records]
    """One entry a data holder. Where there are very many it may make an entry when it is asked
    for, the same one every time."""
    held_out: Records
    """What the model is measured on; no holder has it."""
    model: Callable[[], torch.nn.Module]
    """Makes the model with its initial weights: the same ones at every call."""
    loss: Loss
    """One loss an example."""
    measure: Callable[[Array, Records], Metrics]
    """(outputs of the model (n, ..) as numpy, records) to metrics by name."""
    score: str
    """The headline metric: ``iou`` or ``accuracy``; higher is better."""
    baselines: Mapping[str, Metrics]
    """Metrics on the held-out records of what needs no data holder, by the baseline's name."""
    record: str = "row"
    """What one record is, in one word: ``row``, ``scan``, ``tile``."""
    note: str = ""
    """What a reader of the report should know of the data, in one line."""
    public: int = 0
    """Records that were declared public and are of no holder: the initial weights come of them,
    or the subspace."""
    subspace: Subspace | None = None
    """Where what holders release is projected; None: nowhere."""
    views: int = 1
    """Examples that each example of the holders was made into; the gradient of a record is the
    mean over them."""
    pictures: Callable[[Array, int], Mapping[str, npt.NDArray[np.uint8]]] | None = None
    """(outputs on held_out, how many) to RGB pictures (h, w, 3) by name; None where none fit."""

    @property
    def learns(self) -> bool:
        """Whether anybody has data; if not the chain is alone."""
        return len(self.holders) > 0


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
        "fedchain.scans.tasks",
    ),
    Task,
)
"""Part: ``(holders: int, seed: int, *, ...) -> Task``."""
models: Family[torch.nn.Module] = Family(
    "model", ("fedchain.learning.models", "fedchain.scans.models")
)
"""Part: ``(inputs: tuple[int, ...], outputs: int, *, ...) -> torch.nn.Module``; inputs is the
shape of one example, outputs the number of outputs (an example, or a pixel)."""
losses: Family[Loss] = Family("loss", ("fedchain.learning.losses", "fedchain.scans.losses"))
"""Part: ``(*, ...) -> Loss``."""
splits: Family[list[npt.NDArray[np.int64]]] = Family("split", ("fedchain.learning.tasks.splits",))
"""Part: ``(labels (n,), sites (n,), holders: int, generator, *, ...) -> list of indices``."""
