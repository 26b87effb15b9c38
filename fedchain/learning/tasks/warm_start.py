"""Warm start: a task whose initial weights were trained on records that are declared public."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Annotated

import numpy as np
import torch
from pydantic import Field

from fedchain.arrays import Vector
from fedchain.learning.evaluation import Evaluation, flat_weights, load_weights
from fedchain.learning.gradients.cohort import CohortGradients
from fedchain.learning.task import PUBLIC_ONLY, Metrics, Records, Task, join_records, tasks
from fedchain.machine import one_thread
from fedchain.randomness import stream
from fedchain.registry import Part, cites
from fedchain.update import updates, used


@tasks
@cites()
def warm_start(
    holders: int,
    seed: int,
    *,
    of: Annotated[Part, tasks],
    records: Annotated[int, Field(ge=1)] = 100,
    steps: Annotated[int, Field(ge=1, le=100_000)] = 100,
    update: Annotated[Part, updates] = Part("adam", {"learning_rate": 0.05}),  # noqa: B008
) -> Task:
    """Declare some records public, and begin with weights that were trained on them.

    The public records are drawn at random from the records of all holders, and belong to no holder
    afterwards. Training uses no clipping and no noise: nothing protects the public records. The
    baseline ``public_only`` has the metrics of the trained weights. A run whose score is not higher
    has learned nothing from the holders.

    Args:
        holders: number of data holders.
        seed: the seed of the run; it draws the public records.
        of: the task.
        records: number of public records, drawn from all holders together; each holder keeps at
            least one record.
        steps: number of training steps before genesis; each step uses all public records.
        update: the update that makes each training step.

    Raises:
        ValueError: a holder would be left without records, or the weights overflow.
    """
    whole = without_public(of, holders, seed)
    task, _, weights = with_public(whole, records, seed, steps, update)
    return beginning_at(task, weights)


def without_public(of: Part, holders: int, seed: int) -> Task:
    """Make a task some of whose records can be declared public.

    Raises:
        ValueError: the task has no records, or already has public ones.
    """
    whole = tasks.build(of, holders, seed)
    if not whole.learns:
        raise ValueError(f"task.of: {of.kind} has no records; only a task that learns is allowed")
    if whole.public:
        words = f"task.of: {of.kind} declares {whole.public} public records"
        raise ValueError(f"{words}; only one task of those that stand around each other may")
    return whole


def with_public(
    whole: Task, records: int, seed: int, steps: int, update: Part
) -> tuple[Task, Records, Vector]:
    """Declare some records of a task public, and train the model on them alone.

    The other arguments are those of ``warm_start``.

    Returns:
        The task without the public records and with the baseline ``public_only``; the public
        records; and the trained weights, as one flat vector.

    Raises:
        ValueError: a holder would be left without records, or the weights overflow.
    """
    public, kept = declared_public(whole.holders, records, seed)
    weights, worth = worth_of(whole, public, steps, update)
    baselines = {**whole.baselines, PUBLIC_ONLY: worth}
    task = replace(whole, holders=kept, public=public.count, baselines=baselines)
    return task, public, weights


def worth_of(task: Task, public: Records, steps: int, update: Part) -> tuple[Vector, Metrics]:
    """Return weights that were trained on public records alone, and their metrics.

    Raises:
        ValueError: the weights overflow.
    """
    with ThreadPoolExecutor(1, initializer=one_thread) as alone:  # more threads change last bits
        weights = alone.submit(trained, task, public, steps, update).result()
        return weights, alone.submit(lambda: Evaluation(task)(weights)[0]).result()


def beginning_at(task: Task, weights: Vector) -> Task:
    """Return the task with other initial weights, given as one flat vector."""

    def model() -> torch.nn.Module:
        module = task.model()
        load_weights(module, weights)
        return module

    return replace(task, model=model)


def declared_public(
    holders: Sequence[Records], count: int, seed: int, name: str = "public records"
) -> tuple[Records, tuple[Records, ...]]:
    """Draw public records from all holders together; return them, and the holders' other records.

    ``name`` is the name of the random stream that draws them.

    Raises:
        ValueError: a holder would be left without records.

    >>> held = [Records(np.full((5, 1), k), np.full(5, k)) for k in range(2)]
    >>> public, kept = declared_public(held, 3, 0)
    >>> public.count, sum(each.count for each in kept)
    (3, 7)
    """
    ends = np.cumsum([own.count for own in holders])
    drawn = np.zeros(ends[-1], dtype=np.bool_)
    drawn[stream(seed, name).permutation(len(drawn))[:count]] = True
    masks = np.split(drawn, ends[:-1])
    for holder, mask in enumerate(masks):
        if mask.all():
            words = f"task.records: {count} public records leave holder {holder} with none of its"
            raise ValueError(f"{words} {len(mask)}; each keeps one at least: declare fewer")
    given = [own.part(mask) for own, mask in zip(holders, masks, strict=True) if mask.any()]
    kept = tuple(own.part(~mask) for own, mask in zip(holders, masks, strict=True))
    return join_records(given), kept


def trained(task: Task, public: Records, steps: int, update: Part) -> Vector:
    """Return the weights of a task's model after training on public records, as one flat vector.

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
