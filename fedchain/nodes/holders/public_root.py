"""Public root: it computes the messages of the public root, which have no clip and no noise."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from fedchain.arrays import Matrix, Vector
from fedchain.learning.task import Task
from fedchain.ledger.chain.declared import PUBLIC
from fedchain.nodes.holders.holder_pool import ReleaseBackend, ReleaseBatch
from fedchain.nodes.holders.release import ReleaseRequest, messages_of
from fedchain.scenario import Local, Scenario
from fedchain.timing import Stopwatch

if TYPE_CHECKING:
    # The module imports torch, which a check of a scenario file does not need.
    from fedchain.learning.gradients.cohort import CohortGradients


def of_root(task: Task) -> Task:
    """Return a task in which the public root is the only holder."""
    assert task.root is not None
    return replace(task, holders=(task.root,))


class RootedPool:
    """A pool of holders or groups, and the public root, whose message it makes itself."""

    def __init__(
        self, pool: ReleaseBackend, gradients: CohortGradients, scenario: Scenario
    ) -> None:
        """Store the parts.

        Args:
            pool: computes the releases of all other participants.
            gradients: computes the gradient of the task ``of_root``, without a clip.
            scenario: the scenario of the run; the id of the root follows those of all others.
        """
        self._pool, self._gradients, self._scenario = pool, gradients, scenario
        self._root = scenario.nodes.participants

    def twin(self) -> RootedPool:
        """Return an equal pool for another thread."""
        return RootedPool(self._pool.twin(), self._gradients.twin(), self._scenario)

    def __call__(self, weights: Vector, asked: Sequence[ReleaseRequest]) -> ReleaseBatch:
        """Return the releases for the requests; the request of the root can only be the last."""
        if asked[-1].context.holder != self._root:
            return self._pool(weights, asked)
        root = self._speak(weights, asked[-1:])
        if len(asked) == 1:
            return root
        own = self._pool(weights, asked[:-1])
        seconds = Counter(own.seconds) + Counter(root.seconds)
        clips = own.clips + root.clips if own.clips else ()
        return ReleaseBatch(own.messages + root.messages, seconds, clips)

    def _speak(self, weights: Vector, asked: Sequence[ReleaseRequest]) -> ReleaseBatch:
        """Return the message of the public root: the gradient of all its records.

        It trains locally if the holders do, since rules compare their messages with its own.
        """
        watch, local = Stopwatch(), self._scenario.local
        with watch("gradients"):
            if local is None:
                gradient = self._gradients(weights, [0])
            else:
                gradient = self._train(weights, asked[0].context.round, local)
        with watch("signing"):
            messages = messages_of(gradient, asked, [PUBLIC], self._scenario.ledger.storage)
        return ReleaseBatch(tuple(messages), watch.lap(), (math.inf,))

    def _train(self, weights: Vector, round_: int, local: Local) -> Matrix:
        from fedchain.learning.gradients.local import Batches, train_locally

        count = [self._gradients.task.holders[0].count]
        drawn = Batches(local, self._scenario.seed, round_, [self._root], count)
        return train_locally(self._gradients, weights, [0], local, drawn)[0]
