"""Canary records: records whose gradients an audit knows; each takes part with probability 1/2."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Annotated

import numpy as np
from pydantic import Field
from torch import nn

from fedchain.arrays import Flags, Singles
from fedchain.learning.models import seeded
from fedchain.learning.task import Records, Task, join_records, tasks
from fedchain.randomness import stream
from fedchain.registry import Part, cites

LENGTH = np.float32(2.0**20)
"""Norm of a canary's gradient before clipping, far above any clip."""
MOST_VALUES = 2**28
"""Largest number of values in the records of all holders; as float32 they take a gigabyte."""
FIRST = 1e-6
"""Standard deviation of the initial weights. It is small, so that the first step can change the
signs of the weights."""
LOUD = 10.0
"""Standard deviation of the inputs of a planted canary, divided by that of its holder's inputs."""


@tasks
@cites()
def canaries(holders: int, seed: int, *, each: Annotated[int, Field(ge=2, le=4096)] = 500) -> Task:
    """Measure privacy: every record is a canary, which takes part with probability 1/2.

    Each canary has an axis. Its gradient lies along this axis, and is far longer than the clip. A
    canary that does not take part is replaced by a record of zeros.

    Args:
        holders: number of data holders.
        seed: the seed of the run; it fixes axes, initial weights, and the canaries that take part.
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
    # A canary's gradient has the sign of the weights along its axis. The sign changes from round to
    # round, so that an audit can tell a canary from noise that repeats itself. Zeros stand for a
    # canary that is out, because the holder's number of records is public.
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


@tasks
@cites()
def planted(
    holders: int,
    seed: int,
    *,
    of: Annotated[Part, tasks],
    data_seed: Annotated[int, Field(ge=0)] = 0,
    each: Annotated[int, Field(ge=2, le=4096)] = 100,
) -> Task:
    """Plant canaries among the records of a task, each with probability 1/2, for audits.

    A canary is a copy of a record whose inputs are replaced by large random numbers. A canary that
    does not take part is absent, so a holder's number of records shows how many canaries take part,
    but not which.

    Args:
        holders: number of data holders.
        seed: the seed of the run; it fixes the canaries, and which of them take part.
        of: the task.
        data_seed: the seed of the task ``of``.
        each: number of canaries of each holder, including those that do not take part.

    Raises:
        ValueError: the task has no records.
    """
    whole = tasks.build(of, holders, data_seed)
    if not whole.learns:
        raise ValueError(f"task.of: {of.kind} has no records; only a task that learns is allowed")
    kept = tuple(
        join_records([own, made.part(inside_of(seed, holder, each))])
        for holder, (own, made) in enumerate(canaries_among(whole, seed, each))
    )
    return replace(whole, holders=kept)


def canaries_among(task: Task, seed: int, each: int) -> list[tuple[Records, Records]]:
    """Return each holder's own records, and all its canaries, also those that do not take part."""
    return [(own, _in_form_of(own, seed, k, each)) for k, own in enumerate(task.holders)]


def _in_form_of(own: Records, seed: int, holder: int, each: int) -> Records:
    """Return canaries that are copies of a holder's records, with other inputs."""
    # Loud inputs, so that the gradient exceeds the clip and points elsewhere than those of records.
    rows = np.eye(own.count, dtype=np.bool_)
    copies = join_records([own.part(rows[number % own.count]) for number in range(each)])
    drawn = stream(seed, "planted", holder).standard_normal(copies.inputs.shape)
    loud = (LOUD * float(own.inputs.std() or 1.0) * drawn).astype(own.inputs.dtype)
    return Records(loud, copies.targets, copies.record)


def axes_of(seed: int, each: int) -> Singles:
    """Return the axes of a holder's canaries as orthonormal rows, shape (canaries, canaries).

    All holders have the same axes.

    >>> axes = axes_of(0, 8)
    >>> bool(np.allclose(axes @ axes.T, np.eye(8), atol=1e-6))
    True
    """
    normal = stream(seed, "canary axes").standard_normal((each, each))
    return np.linalg.qr(normal)[0].astype(np.float32)


def inside_of(seed: int, holder: int, each: int) -> Flags:
    """Return one flag for each canary of a holder: whether the canary takes part.

    >>> bool(0.4 < inside_of(0, 3, 1000).mean() < 0.6)
    True
    """
    return stream(seed, "canaries", holder).random(each) < 0.5


def _linear_model(each: int) -> nn.Module:
    layer = nn.Linear(each, 1, bias=False)
    nn.init.normal_(layer.weight, std=FIRST)
    return layer
