"""A task whose first weights were trained on records that are declared public."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Annotated

import numpy as np
import torch
from pydantic import Field

from fedchain.arrays import Vector
from fedchain.learning.evaluation import Evaluation
from fedchain.learning.gradients.cohort import CohortGradients
from fedchain.learning.task import PUBLIC_ONLY, Records, Task, tasks
from fedchain.learning.tasks.subset import part_of
from fedchain.learning.weights import flat_weights, load_weights
from fedchain.machine import one_thread
from fedchain.randomness import stream
from fedchain.registry import Part
from fedchain.update import updates, used

Count = Annotated[int, Field(ge=1)]


@tasks
def warm_start(
    holders: int,
    seed: int,
    *,
    of: Annotated[Part, tasks],
    records: Count = 100,
    steps: Annotated[int, Field(ge=1, le=100_000)] = 100,
    update: Annotated[Part, updates] = Part("adam", {"learning_rate": 0.05}),  # noqa: B008
) -> Task:
    """Declare some records public, and begin with weights that were trained on them.

    They are drawn at random from the records of all holders, belong to no holder then, and are
    none of the held-out ones. Every step takes all of them, without clip or noise: nothing
    protects them. Genesis commits to the weights they gave. What these weights are worth alone
    is the baseline ``public_only``: only above it anything was learned from the holders.

    Args:
        holders: number of data holders.
        seed: the run's seed: draws the public records.
        of: the task.
        records: public records, of all holders together; each keeps one at least.
        steps: steps on the public records before genesis.
        update: what a step does with their mean gradient.

    Raises:
        ValueError: a holder would be left without records, or the weights overflow.
    """
    whole = tasks.build(of, holders, seed)
    task, _, weights = with_public(whole, of.kind, records, seed, steps, update)
    return beginning_at(task, weights)


def with_public(
    whole: Task, kind: str, records: int, seed: int, steps: int, update: Part
) -> tuple[Task, Records, Vector]:
    """Declare some records of a task public, and see what they are worth alone.

    Args:
        whole: the task.
        kind: its name, for messages.
        records: public records, of all holders together.
        seed: the run's seed: draws them.
        steps: steps on them.
        update: what a step does with their mean gradient.

    Returns:
        The task that is left, with the baseline ``public_only``; the public records; and the
        weights (d,) that they give.

    Raises:
        ValueError: it has no records or has public ones already, a holder would be left without
            records, or the weights overflow.
    """
    if not whole.learns:
        raise ValueError(f"task.of: {kind} has no records; only a task that learns is allowed")
    if whole.public:
        words = f"task.of: {kind} declares {whole.public} public records"
        raise ValueError(f"{words}; only one task of those that stand around each other may")
    public, kept = declared_public(whole.holders, records, seed)
    with ThreadPoolExecutor(1, initializer=one_thread) as alone:  # threads would change last bits
        weights = alone.submit(trained, whole, public, steps, update).result()
        worth = alone.submit(lambda: Evaluation(whole)(weights)[0]).result()
    baselines = {**whole.baselines, PUBLIC_ONLY: worth}
    task = replace(whole, holders=kept, public=public.count, baselines=baselines)
    return task, public, weights


def beginning_at(task: Task, weights: Vector) -> Task:
    """Return the task with other initial weights (d,)."""

    def model() -> torch.nn.Module:
        module = task.model()
        load_weights(module, weights)
        return module

    return replace(task, model=model)


def declared_public(
    holders: Sequence[Records], count: int, seed: int
) -> tuple[Records, tuple[Records, ...]]:
    """Draw public records, and return them and what is left to each holder.

    Args:
        holders: records of each.
        count: records to draw, of all together.
        seed: the run's seed.

    Raises:
        ValueError: a holder would be left without records.

    >>> held = [Records(np.full((5, 1), k), np.full(5, k)) for k in range(2)]
    >>> public, kept = declared_public(held, 3, 0)
    >>> public.count, sum(each.count for each in kept)
    (3, 7)
    """
    ends = np.cumsum([own.count for own in holders])
    drawn = np.zeros(ends[-1], dtype=np.bool_)
    drawn[stream(seed, "public records").permutation(len(drawn))[:count]] = True
    masks = np.split(drawn, ends[:-1])
    for holder, mask in enumerate(masks):
        if mask.all():
            words = f"task.records: {count} public records leave holder {holder} with none of its"
            raise ValueError(f"{words} {len(mask)}; each keeps one at least: declare fewer")
    given = [part_of(own, mask) for own, mask in zip(holders, masks, strict=True)]
    kept = tuple(part_of(own, ~mask) for own, mask in zip(holders, masks, strict=True))
    return _together(given), kept


def trained(task: Task, public: Records, steps: int, update: Part) -> Vector:
    """Return the weights (d,) after some steps on public records, all of them in each step.

    Args:
        task: its initial model, and its loss.
        public: the records.
        steps: number of steps.
        update: what a step does with the mean gradient.

    Raises:
        ValueError: the weights overflow.
    """
    gradients = CohortGradients(replace(task, holders=(public,)), clip=None)
    weights, memory = flat_weights(task.model()), dict[str, Vector]()
    for step in range(1, steps + 1):
        mean = gradients(weights, [0])[0].astype(np.float64)
        after = updates.build(update, weights, memory, mean, step)
        weights, memory = after.weights, dict(after.memory)
    if not np.isfinite(weights).all():
        words = f"task.update: {update.kind} overflows within {steps} steps on public records"
        raise ValueError(f"{words}; a smaller learning_rate is allowed")
    return used(weights, memory)


def _together(parts: Sequence[Records]) -> Records:
    """Join the records of several holders; each stays a record of its own."""
    parts = [part for part in parts if part.examples]
    numbers: list[np.ndarray[tuple[int], np.dtype[np.int64]]] = []
    start = 0
    for part in parts:
        if part.record is not None:
            numbers.append(start + np.unique(part.record, return_inverse=True)[1])
            start += part.count
    return Records(
        np.concatenate([part.inputs for part in parts]),
        np.concatenate([part.targets for part in parts]),
        np.concatenate(numbers) if numbers else None,
    )
