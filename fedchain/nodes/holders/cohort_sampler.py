"""Cohort sampling: which participants release in which round, and on which slot of the network.

The network has one slot, an access point, for each participant of a round. The cohort of a round
is drawn from a random stream of its own, and only when it is needed, so memory does not grow with
the number of registered holders or of rounds. The cohort is public. Therefore sampling does not
amplify the privacy guarantee; it only spreads the releases over more holders.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
import numpy.typing as npt

from fedchain.randomness import stream

REMEMBERED = 4
"""Number of rounds whose cohort is cached: those that a fork keeps open, and the next."""


@dataclass(frozen=True)
class Sampling:
    """The cohorts of a run.

    >>> cohorts = Sampling(seed=0, holders=1000, asked=10, rounds=50)
    >>> len(set(cohorts.holders_of(1))), cohorts.holders_of(1) == cohorts.holders_of(2)
    (10, False)
    """

    seed: int
    """The scenario's seed."""
    holders: int
    """Number of registered participants: holders, or groups where holders form groups."""
    asked: int
    """Number of participants in a round. If these are all, slot k always belongs to participant
    k."""
    rounds: int
    """Number of rounds."""

    def holders_of(self, round_: int) -> Sequence[int]:
        """Return the participants of a round, by slot; they are drawn without replacement."""
        if self.asked == self.holders:
            return range(self.holders)
        return _drawn(self.seed, self.holders, self.asked, round_)

    @cached_property
    def most_releases(self) -> int:
        """Most rounds that one participant releases in: its noise must cover all of them."""
        if self.asked == self.holders:
            return self.rounds
        times = np.zeros(self.holders, dtype=np.uint32)
        for round_ in range(1, self.rounds + 1):
            times[_draw(self.seed, self.holders, self.asked, round_)] += 1
        return int(times.max())


def _draw(seed: int, holders: int, asked: int, round_: int) -> npt.NDArray[np.int64]:
    return stream(seed, "cohort", round_).choice(holders, asked, replace=False)


@lru_cache(REMEMBERED)
def _drawn(seed: int, holders: int, asked: int, round_: int) -> tuple[int, ...]:
    return tuple(_draw(seed, holders, asked, round_).tolist())
