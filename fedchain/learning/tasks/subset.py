"""Subset: a task whose holders keep only a random part of their records, for audits."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

import numpy as np
from pydantic import Field

from fedchain.arrays import Flags
from fedchain.learning.task import Task, tasks
from fedchain.randomness import stream
from fedchain.registry import Part, cites


@tasks
@cites()
def subset(
    holders: int,
    seed: int,
    *,
    of: Annotated[Part, tasks],
    data_seed: Annotated[int, Field(ge=0)] = 0,
    records: Annotated[int, Field(ge=1)] | None = None,
) -> Task:
    """Keep a random part of each holder's records: each with probability 1/2, or a fixed number.

    Runs with different seeds have the same data, split and initial weights. They differ in the
    records that take part, and in the noise.

    Args:
        holders: number of data holders.
        seed: the seed of the run; it selects the records that are kept.
        of: the task.
        data_seed: the seed of the task ``of``.
        records: how many a holder keeps, or all if it has fewer; null: each with probability 1/2.
    """
    whole = tasks.build(of, holders, data_seed)
    if not whole.learns:
        raise ValueError(f"task.of: {of.kind} has no records; only a task that learns is allowed")
    kept = tuple(
        own.part(taking_part(seed, holder, own.count, records))
        for holder, own in enumerate(whole.holders)
    )
    return replace(whole, holders=kept)


def taking_part(seed: int, holder: int, count: int, records: int | None = None) -> Flags:
    """Return one flag for each record of a holder: whether it takes part. At least one does.

    >>> int(taking_part(0, 1, 100, 3).sum()), bool(35 < taking_part(0, 1, 100).sum() < 65)
    (3, True)
    """
    drawn = stream(seed, "subset", holder).random(count)
    if records is not None:
        return np.asarray(np.argsort(np.argsort(drawn)) < records)
    return np.asarray(drawn < max(0.5, np.nextafter(drawn.min(), 1.0)))
