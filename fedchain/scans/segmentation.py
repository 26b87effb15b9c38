"""Parts that all scan tasks share: masks from logits, the initial model, and the metrics."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from fedchain.arrays import Array
from fedchain.errors import Problem, ScenarioError
from fedchain.learning.task import Metrics, Records, models
from fedchain.randomness import digest
from fedchain.registry import Part
from fedchain.scans.features import CHANNELS
from fedchain.scans.metrics import mask_metrics
from fedchain.scans.scan import Mask

if TYPE_CHECKING:
    from torch import nn

Targets = npt.NDArray[np.float32]


def targets_of(keep: Mask, valid: Mask) -> Targets:
    """Return masks in the form that losses take: 1 keep, 0 erase, NaN where there is no point."""
    return np.where(valid, keep, np.nan).astype(np.float32)


def kept_by(outputs: Array, shape: tuple[int, ...]) -> Mask:
    """Return the pixels that logits keep: a point with a probability below one half is erased.

    >>> kept_by(np.array([[[[0.0, -0.1]]]]), (1, 1, 2)).tolist()
    [[[True, False]]]
    """
    return np.asarray(outputs.reshape(shape) >= 0)


def measure(outputs: Array, records: Records) -> Metrics:
    """Return the metrics of logits (n, h, w) or (n, 1, h, w) on their records."""
    return measure_mask(kept_by(outputs, records.targets.shape), records)


def measure_mask(kept: Mask, records: Records) -> Metrics:
    """Return the metrics of a mask (n, h, w) on its records; the tiles of a scan count as one."""
    valid = np.isfinite(records.targets)
    return mask_metrics(kept, records.targets == 1, valid, records.record)


def initial_model(part: Part, seed: int, size: int) -> Callable[[], nn.Module]:
    """Return a function that makes the model with the same initial weights at every call.

    Raises:
        ScenarioError: the model does not fit images of this size.
    """
    import torch

    start = int.from_bytes(digest(seed, "initial weights")[:8], "big") >> 1

    def make() -> nn.Module:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(start)
            return models.build(part, (len(CHANNELS), size, size), 1)

    try:
        make()
    except ValueError as error:
        raise ScenarioError([Problem(("task", "model"), str(error))]) from error
    return make


def baselines(masks: Mapping[str, Mask], held_out: Records) -> dict[str, Metrics]:
    """Return the metrics of masks that need no learning, by name."""
    return {name: measure_mask(kept, held_out) for name, kept in masks.items()}
