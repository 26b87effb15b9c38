"""Sampling: which data holder is asked in which round, and through which seat it listens.

The network has one seat, an access point, for each holder that is asked in a round. Who sits
there is drawn anew for every round, from a stream of its own, when somebody asks: nothing grows
with the registered holders or the rounds. Who is asked is public, so that sampling amplifies no
guarantee; it only spreads the releases.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
import numpy.typing as npt

from fedchain.randomness import stream

REMEMBERED = 4
"""Rounds whose draw is kept: those that a fork keeps open, and the next."""


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
    """Number of registered holders."""
    asked: int
    """Number of holders asked in a round; where these are all, seat k is holder k always."""
    rounds: int
    """Number of rounds."""

    def holders_of(self, round_: int) -> Sequence[int]:
        """Return who is asked in a round, by seat; a draw without replacement."""
        if self.asked == self.holders:
            return range(self.holders)
        return _drawn(self.seed, self.holders, self.asked, round_)

    @cached_property
    def most_releases(self) -> int:
        """The largest number of rounds that one holder is asked in: what its noise must cover."""
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
