"""Task without learning: only the chain runs."""

from __future__ import annotations

import numpy as np
import torch

from fedchain.learning.task import Records, Task, tasks
from fedchain.registry import cites


@tasks
@cites()
def none(holders: int, seed: int) -> Task:  # noqa: ARG001 - there is no data to draw
    """Learn nothing: make blocks without messages, to study the chain alone.

    There are no data holders, no model and no privacy. The scenario's ``rounds`` is the number of
    blocks of the main chain.

    >>> none(0, 0).learns
    False
    """
    return Task(
        name="none",
        holders=(),
        held_out=Records(np.zeros((0, 1), dtype=np.float32), np.zeros(0, dtype=np.int64)),
        model=torch.nn.Sequential,
        loss=lambda outputs, targets: outputs.sum(1),  # noqa: ARG005 - one loss per example
        measure=lambda outputs, known: {},  # noqa: ARG005 - nothing to measure
        score="",
        baselines={},
    )
