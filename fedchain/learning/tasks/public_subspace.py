"""Public subspace: a task whose releases are projected on directions of public gradients."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

import numpy as np
import torch
from pydantic import Field

from fedchain.arrays import Matrix, Singles, Vector
from fedchain.learning.gradients.cohort import CohortGradients
from fedchain.learning.task import Subspace, Task, tasks
from fedchain.learning.tasks.warm_start import beginning_at, with_public, without_public
from fedchain.registry import Part, cites
from fedchain.update import updates

NOTHING = 1e-4
"""A direction is dropped if its singular value is at most this share of the largest singular
value."""
UpTo4096 = Annotated[int, Field(ge=1, le=4096)]


@tasks
@cites("zhou2021")
def public_subspace(
    holders: int,
    seed: int,
    *,
    of: Annotated[Part, tasks],
    records: UpTo4096 = 100,
    directions: UpTo4096 = 80,
    warm: bool = False,
    steps: Annotated[int, Field(ge=1, le=100_000)] = 100,
    update: Annotated[Part, updates] = Part("adam", {"learning_rate": 0.05}),  # noqa: B008
) -> Task:
    """Declare some records public, and project releases on directions of the public gradients.

    In each round, a holder projects its noisy gradient on the leading directions of the public
    records' gradients. Less noise remains, and the privacy guarantee is the same. Nothing protects
    the public records.

    Args:
        holders: number of data holders.
        seed: the seed of the run; it draws the public records.
        of: the task.
        records: number of public records, drawn from all holders together; each holder keeps at
            least one record.
        directions: number of directions, at most ``records``.
        warm: also begin with the weights that were trained on the public records.
        steps: number of training steps on the public records, for the baseline ``public_only`` and
            for ``warm``.
        update: the update that makes each training step.

    Raises:
        ValueError: a holder would be left without records, there are more directions than records,
            or the weights overflow.

    Reference:
        Zhou, Wu and Banerjee, Bypassing the Ambient Dimension, ICLR 2021, algorithm 1.
    """
    if directions > records:
        raise ValueError(f"task.directions: must be at most records = {records}, got {directions}")
    whole = without_public(of, holders, seed)
    task, public, weights = with_public(whole, records, seed, steps, update)
    task = replace(task, subspace=Subspace(public, directions))
    return beginning_at(task, weights) if warm else task


class PublicDirections:
    """Computes the leading directions of public gradients; each thread needs its own object."""

    def __init__(self, task: Task) -> None:
        """Make the model for the public records of a task that has a subspace."""
        assert task.subspace is not None
        self._most = task.subspace.directions
        public = task.subspace.public
        single = tuple(public.part(row) for row in np.eye(public.count, dtype=np.bool_))
        self._gradients = CohortGradients(replace(task, holders=single), clip=None)
        self._at: tuple[bytes, torch.Tensor] | None = None

    def twin(self) -> PublicDirections:
        """Return a copy for another thread."""
        other = object.__new__(PublicDirections)
        other._most, other._gradients, other._at = self._most, self._gradients.twin(), None
        return other

    def projected(self, releases: Singles | Matrix, weights: Vector, parent: bytes) -> Matrix:
        """Return the projection of each release on the leading directions at the given weights.

        ``parent`` is the hash of the block that has these weights.
        """
        # This uses torch, as the gradients do: a worker limits torch to one thread, and more
        # threads would change the last bits of the result.
        if self._at is None or self._at[0] != parent:
            every = range(len(self._gradients.task.holders))
            public = torch.from_numpy(self._gradients(weights, every).astype(np.float64))
            self._at = parent, leading(public, self._most)
        basis = self._at[1]
        rows = torch.from_numpy(releases.astype(np.float64))
        return np.asarray(((rows @ basis.T) @ basis).numpy())


def leading(gradients: torch.Tensor, most: int) -> torch.Tensor:
    """Return the leading right singular vectors of gradients, as orthonormal rows.

    There are ``most`` vectors, or fewer if the gradients span fewer dimensions. The gradients are
    not centred; those that are not finite are left out.

    >>> rows = torch.tensor([[3.0, 0.0, 0.0], [0.0, 0.0, 2.0]], dtype=torch.float64)
    >>> leading(rows, 1).abs().tolist()
    [[1.0, 0.0, 0.0]]
    """
    sound = gradients[torch.isfinite(gradients).all(dim=1)]
    if not len(sound):
        return gradients[:0]
    # Decompose the small matrix (m, m) of inner products instead of the large one (d, d).
    squares, mixtures = torch.linalg.eigh(sound @ sound.T)
    kept = squares.flip(0)[:most] > NOTHING**2 * squares[-1]
    chosen = mixtures.flip(1)[:, :most][:, kept]
    basis: torch.Tensor = (chosen / squares.flip(0)[:most][kept].sqrt()).T @ sound
    return basis
