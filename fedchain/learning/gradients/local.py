"""Local training: holders take steps with their own weights, and send the sum of the gradients."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from fedchain.arrays import Flags, Matrix, Singles, Vector
from fedchain.learning.task import Sampled
from fedchain.randomness import stream
from fedchain.scenario import Local

if TYPE_CHECKING:
    from fedchain.learning.gradients.cohort import CohortGradients

AddNoise = Callable[[Matrix, int], Singles | Matrix]
"""A function that returns the gradients of a local step with noise, given the gradients without
noise, shape (holders, weights), and the number of the step, from 0."""


def train_locally(
    gradients: CohortGradients,
    weights: Vector,
    holders: Sequence[int],
    local: Local,
    drawn: Callable[[int], Sampled | None],
    add_noise: AddNoise | None = None,
) -> tuple[Matrix, Matrix]:
    """Return the pseudo-gradients of holders: v_k = g_k(w_0) + .. + g_k(w_(steps - 1)).

    Here w_0 are the given weights, and w_(t+1) = w_t - learning_rate g_k(w_t) are the holder's own.
    Without noise, v_k is clipped as a whole if the unit is the holder. With noise, each g_k has its
    noise before the holder moves, so that v_k follows from published releases alone.

    Args:
        gradients: computes the clipped mean gradients g_k.
        weights: the weights of the chain, shape (weights,).
        holders: indices of the holders in the task.
        local: number and size of the steps.
        drawn: returns the records of all holders in a step, given its number from 0; None: all.
        add_noise: adds the noise of a step; None: the steps have none.

    Returns:
        The sums without noise and those with noise, float64, shape (holders, weights) each. They
        are one array without ``add_noise``. With one step they are the gradients, bit for bit.

    Reference:
        McMahan et al., "Communication-Efficient Learning of Deep Networks from Decentralized Data",
        2017, algorithm 1. The difference w_0 - w_steps is learning_rate v_k.
    """
    own = np.repeat(weights.astype(np.float64)[None], len(holders), axis=0)
    with np.errstate(over="ignore", invalid="ignore"):  # what diverges is never sent
        clean = sent = _gradients_at(gradients, own[:1], holders, drawn(0))
        if add_noise is not None:
            sent = add_noise(clean, 0).astype(np.float64)
        moved = sent
        for step in range(1, local.steps):
            own -= local.learning_rate * moved
            found = _gradients_at(gradients, own, holders, drawn(step))
            moved = found if add_noise is None else add_noise(found, step).astype(np.float64)
            clean = clean + found
            sent = clean if add_noise is None else sent + moved
    return (clean, sent) if add_noise is not None else (gradients.clipped(clean),) * 2


def _gradients_at(
    gradients: CohortGradients, own: Matrix, holders: Sequence[int], drawn: Sampled | None
) -> Matrix:
    """Return a copy of the gradients; ``own`` has each holder's weights, or one row for all."""
    if len(own) == 1:  # together, as without local training
        return gradients.means(own[0], holders, drawn).copy()
    rows = np.empty(own.shape)
    for k, (row, weights, holder) in enumerate(zip(rows, own, holders, strict=True)):
        alone = drawn and Sampled(drawn.masks[k : k + 1], drawn.sizes[k : k + 1])
        row[:] = gradients.means(weights, [holder], alone)[0]
    return rows


class Batches:
    """The records of each local step of some holders in a round, without chance in the order.

    Every holder shuffles its records and takes the next ``batch`` of them in each step. If fewer
    are left, it shuffles again. A holder with no more records than that takes all in every step.
    """

    def __init__(
        self, local: Local, seed: int, round_: int, holders: Sequence[int], counts: Sequence[int]
    ) -> None:
        """Begin the shuffles of a round.

        Args:
            local: the size of a batch.
            seed: the seed of the scenario.
            round_: height of the block that may carry the messages.
            holders: ids of the holders.
            counts: number of records of each holder.
        """
        size = local.batch
        self._streams = None
        if size is not None:
            self._sizes = [min(size, count) for count in counts]
            self._streams = [
                shuffled(count, size, stream(seed, "batches", holder, round_))
                for holder, count in zip(holders, counts, strict=True)
            ]

    def __call__(self, step: int) -> Sampled | None:  # noqa: ARG002 - steps are asked in order
        """Return the records of the next step; None for all records."""
        if self._streams is None:
            return None
        return Sampled([next(each) for each in self._streams], self._sizes)


def shuffled(records: int, size: int, generator: np.random.Generator) -> Iterator[Flags]:
    """Yield the batches of a holder without end, each as one flag for each record.

    >>> [int(flags.sum()) for flags, _ in zip(shuffled(7, 3, stream(0, "batches")), range(3))]
    [3, 3, 3]
    """
    size = min(size, records)
    while True:
        order = generator.permutation(records)
        for start in range(0, records - size + 1, size):
            flags = np.zeros(records, dtype=np.bool_)
            flags[order[start : start + size]] = True
            yield flags
