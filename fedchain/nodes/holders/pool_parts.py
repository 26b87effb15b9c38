"""Parts of a pool: what one worker needs to compute the gradients of holders."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from fedchain.arrays import Matrix, Singles, Vector
from fedchain.learning.task import Sampled, Task
from fedchain.nodes.holders.colluders import Colluders, colluders_in
from fedchain.nodes.holders.release import ReleaseContext, drawn_records, private_releases
from fedchain.privacy.local_steps import releases_in_message
from fedchain.privacy.mechanisms import Mechanism
from fedchain.scenario import Local, Scenario

if TYPE_CHECKING:
    # These modules import torch, which a check of a scenario file does not need.
    from fedchain.learning.gradients.cohort import CohortGradients
    from fedchain.learning.tasks.public_subspace import PublicDirections


@dataclass(frozen=True, kw_only=True)
class PoolParts:
    """The parts of a holder pool or group pool. Each worker has its own parts."""

    gradients: CohortGradients
    """Computes the gradients."""
    scenario: Scenario
    """The scenario of the run."""
    task: Task
    """The task, with the records of each holder."""
    mechanism: Mechanism
    """The privacy mechanism, which draws the noise."""
    subspace: PublicDirections | None = None
    """Projects releases after the noise; None: no projection."""

    @functools.cached_property
    def colluders(self) -> Colluders | None:
        """The colluders of the scenario; None if all holders are honest."""
        return colluders_in(self.scenario)

    @functools.cached_property
    def count(self) -> Callable[[int], int]:
        """A function that returns the number of records of a holder, given the holder's id."""
        return functools.lru_cache(4096)(lambda holder: self.task.holders[holder].count)

    def twin(self) -> PoolParts:
        """Return equal parts for another thread."""
        subspace = self.subspace and self.subspace.twin()
        return replace(self, gradients=self.gradients.twin(), subspace=subspace)

    def mean_gradients(
        self, weights: Vector, contexts: Sequence[ReleaseContext]
    ) -> tuple[Matrix, Matrix | None]:
        """Return what holders release, without noise: gradients, or pseudo-gradients.

        Args:
            weights: the weights of the chain, shape (dimension,).
            contexts: holder, round and block of each release.

        Returns:
            The clipped gradients, shape (holders, dimension), which the next call may overwrite.
            The second matrix is None, or has the sums of local steps that have noise of their own.
        """
        whose, local = [self.records_of(each) for each in contexts], self.scenario.local
        if local is None:
            return self.gradients(weights, whose, self._drawn(contexts)), None
        return self._pseudo_gradients(weights, whose, contexts, local)

    def _pseudo_gradients(
        self,
        weights: Vector,
        whose: Sequence[int],
        contexts: Sequence[ReleaseContext],
        local: Local,
    ) -> tuple[Matrix, Matrix | None]:
        from fedchain.learning.gradients.local import Batches, train_locally

        counts = [self.count(each.holder) for each in contexts]

        def at(step: int) -> list[ReleaseContext]:
            return [replace(each, local_step=step) for each in contexts]

        def add_noise(rows: Matrix, step: int) -> Singles:
            return private_releases(rows, self.mechanism, counts, at(step))

        ids, seed = [each.holder for each in contexts], self.scenario.seed
        in_order = Batches(local, seed, contexts[0].round, ids, counts)
        sampled = self.mechanism.terms.sampling_rate < 1
        noisy = releases_in_message(self.mechanism, local) > 1
        clean, sent = train_locally(
            self.gradients,
            weights,
            whose,
            local,
            (lambda step: self._drawn(at(step))) if sampled else in_order,
            add_noise if noisy else None,
        )
        return clean, sent if noisy else None

    def records_of(self, context: ReleaseContext) -> int:
        """Return the index of a holder's records, which may be poisoned in the round."""
        colluders, holder = self.colluders, context.holder
        return holder if colluders is None else colluders.records_of(holder, context.round)

    def _drawn(self, contexts: Sequence[ReleaseContext]) -> Sampled | None:
        """Draw which records of each holder take part in its release; None: all do."""
        rate = self.mechanism.terms.sampling_rate
        if rate == 1:
            return None
        counts = [self.count(each.holder) for each in contexts]
        pairs = zip(contexts, counts, strict=True)
        masks = [drawn_records(at, count, self.mechanism) for at, count in pairs]
        return Sampled(masks, [rate * count for count in counts])
