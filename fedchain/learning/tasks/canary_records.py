"""Canary records: an audit knows their gradients; each takes part with probability 1/2."""

from __future__ import annotations

import math
from typing import Annotated

import numpy as np
from pydantic import Field
from torch import nn

from fedchain.arrays import Flags, Singles
from fedchain.learning.models import seeded
from fedchain.learning.task import Records, Task, tasks
from fedchain.randomness import stream

LENGTH = np.float32(2.0**20)
"""Norm of a canary's gradient before it is clipped: far above any clip."""
MOST_VALUES = 2**28
"""Most numbers in the records of all holders together: as float32, a gigabyte."""
FIRST = 1e-6
"""Standard deviation of the initial weights. Only their signs matter. They are small, so that the
first step can change the signs."""


@tasks
def canaries(holders: int, seed: int, *, each: Annotated[int, Field(ge=2, le=4096)] = 500) -> Task:
    """Measure privacy: every record is a canary, which takes part with probability 1/2.

    A canary's gradient is long, so that its norm after clipping is the clip C. The
    gradient lies along the canary's own axis: the axes of one holder are orthogonal to each other,
    and random with respect to the weights. The gradient's sign is the sign of the weights'
    component along the axis. This sign changes from round to round, so that an audit can tell a
    canary from noise that repeats itself. A canary that does not take part is a record of zeros, so
    that the holder's public number of records does not reveal it.

    Args:
        holders: number of data holders.
        seed: the run's seed; it fixes axes, initial weights, and the canaries that take part.
        each: number of canaries of each holder; the model has the same number of weights.

    Raises:
        ValueError: the records would not fit into memory.
    """
    if holders * each**2 > MOST_VALUES:
        fits = math.isqrt(MOST_VALUES // holders)
        raise ValueError(
            f"task.each: {each} canaries at each of {holders} holders do not fit into memory; "
            f"at most {fits} do"
        )
    axes = axes_of(seed, each)
    records = tuple(
        Records(LENGTH * axes * inside_of(seed, holder, each)[:, None], np.zeros(each, np.int64))
        for holder in range(holders)
    )
    return Task(
        name="canaries",
        holders=records,
        held_out=Records(axes, np.zeros(each, np.int64)),
        model=seeded(lambda: _linear_model(each), seed),
        loss=lambda outputs, targets: outputs[:, 0].abs(),  # noqa: ARG005 - there are no targets
        measure=lambda outputs, known: {},  # noqa: ARG005 - nothing is learned
        score="loss",
        baselines={},
        note=f"{holders * each} canaries to measure privacy with; nothing is learned",
    )


def axes_of(seed: int, each: int) -> Singles:
    """Return the axes of a holder's canaries as orthonormal rows (each, each).

    All holders have the same axes.

    >>> axes = axes_of(0, 8)
    >>> bool(np.allclose(axes @ axes.T, np.eye(8), atol=1e-6))
    True
    """
    normal = stream(seed, "canary axes").standard_normal((each, each))
    return np.linalg.qr(normal)[0].astype(np.float32)


def inside_of(seed: int, holder: int, each: int) -> Flags:
    """Return flags (each,) that say which canaries of a holder take part.

    >>> bool(0.4 < inside_of(0, 3, 1000).mean() < 0.6)
    True
    """
    return stream(seed, "canaries", holder).random(each) < 0.5


def _linear_model(each: int) -> nn.Module:
    layer = nn.Linear(each, 1, bias=False)
    nn.init.normal_(layer.weight, std=FIRST)
    return layer
