"""Privacy filter: normal noise whose size depends on what the holder has already spent."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import accumulate
from typing import Annotated

from pydantic import Field

from fedchain.arrays import Matrix, Singles
from fedchain.privacy import accounting
from fedchain.privacy.mechanisms.gaussian import Gaussian
from fedchain.privacy.mechanisms.mechanism import (
    Clip,
    Delta,
    Epsilon,
    Mechanism,
    NoiseMultiplier,
    Terms,
    Unit,
    mechanisms,
    noise_for,
    terms_of,
)
from fedchain.registry import cites

Growth = Annotated[float, Field(ge=1, le=16)]
PER_OCTAVE = 16
"""Number of agreed noise multipliers for each doubling of the noise."""
# Each such release spends half of what is left, so that the noise grows by half an octave.
LAST_EXTRA = 4
"""Number of releases that a holder may make in the last round, not counting the first there."""
# With it a share is at most half of what is left, so that something remains after a fork.
STEEPEST_FALL = 0.5
"""Smallest ratio of the cost of a round to the cost of the round before."""
# The rounding of a share must not lead to the next larger noise.
LEAST_EXCESS = 1e-12
"""Relative excess of the least agreed noise over the noise of the first round."""


@mechanisms
@cites("rogers2016", "smith2022", when={"clip=automatic": ("bu2023",)})
def privacy_filter(
    releases: int,
    dimension: int,  # noqa: ARG001 - the cost of Gaussian noise does not depend on it
    *,
    epsilon: Epsilon = None,
    noise_multiplier: NoiseMultiplier = None,
    delta: Delta = 1e-5,
    clip: Clip,
    growth: Growth = 1.0,
    unit: Unit = "record",
) -> Mechanism:
    """Add normal noise that rises after a fork, since each release spends a share of what is left.

    A message names its noise, which reveals how much its holder has spent. Records are not sampled,
    and the clip is fixed.

    Args:
        releases: number of rounds of the run.
        dimension: length of a gradient.
        epsilon: total over all releases of a holder, from which the noise is computed.
        noise_multiplier: standard deviation divided by the sensitivity, for a release that spends 1
            / (rounds + 1) of the total. Give either this or epsilon.
        delta: chance that the bound on epsilon fails; keep it below 1 / records.
        clip: largest 2-norm of one gradient. With automatic, every gradient g becomes g / (norm(g)
            + .01), whose norm is below 1.
        growth: noise of the last round divided by noise of the first. In each round the noise grows
            by the same factor, at most by sqrt(2).
        unit: what is protected: each record of a holder, or the holder as a whole.

    Reference:
        Rogers, Roth, Ullman and Vadhan, "Privacy Odometers and Filters", 2016; Smith and Thakurta,
        "Fully Adaptive Composition for Gaussian Differential Privacy", 2022, whose filter bounds
        the sum of 1 / sigma^2 over all releases.
    """
    terms = terms_of(releases, LAST_EXTRA, clip=clip, unit=unit, delta=delta)

    def solve(epsilon: float) -> float:
        return accounting.gaussian_noise_multiplier(epsilon, delta, releases + 1)

    noise = noise_for(epsilon, noise_multiplier, solve)
    return PrivacyFilter(terms=terms, rounds=releases, noise_multiplier=noise, growth=growth)


@dataclass(frozen=True, kw_only=True)
class PrivacyFilter:
    """Normal noise whose multiplier follows from what a holder has spent.

    A release with noise multiplier sigma costs (noise_multiplier / sigma)^2. A holder may spend
    rounds + 1 in all.
    """

    terms: Terms
    """What the mechanism promises. A holder may make at least ``terms.releases`` releases."""
    rounds: int
    """Number of rounds of the run."""
    noise_multiplier: float
    """Standard deviation of the noise divided by the sensitivity, for a release of cost 1."""
    growth: float
    """Noise of the last round divided by noise of the first."""
    name: str = "privacy_filter"
    sampling: bool = False
    group_noise: None = None
    clip_follower: None = None
    pure_total: None = None
    """Records cannot be sampled, and members of a group cannot share the noise. The clip is fixed,
    and there is no pure epsilon."""

    @property
    def noise_schedule(self) -> PrivacyFilter | None:
        """This mechanism, since it chooses the noise; None if there is no noise."""
        return self if self.noise_multiplier else None

    @cached_property
    def planned(self) -> tuple[float, ...]:
        """Cost of each round without forks. The sum plus the last cost is rounds + 1."""
        factor = max(STEEPEST_FALL, self.growth ** (-2 / max(1, self.rounds - 1)))
        costs = [factor**number for number in range(self.rounds)]
        scale = (self.rounds + 1) / (sum(costs) + costs[-1])
        return tuple(scale * cost for cost in costs)

    @cached_property
    def noises(self) -> tuple[float, ...]:
        """The agreed noise multipliers, ascending; each is 2^(1/16) times the one before."""
        octaves = math.log2(self.planned[0] / self.planned[-1]) / 2 + LAST_EXTRA / 2
        least = self.noise_multiplier / math.sqrt(self.planned[0]) * (1 + LEAST_EXCESS)
        return tuple(
            least * 2 ** (step / PER_OCTAVE) for step in range(math.ceil(octaves * PER_OCTAVE) + 1)
        )

    @cached_property
    def costs(self) -> tuple[float, ...]:
        """The cost of a release with each agreed noise multiplier."""
        return tuple((self.noise_multiplier / noise) ** 2 for noise in self.noises)

    @cached_property
    def _rests(self) -> tuple[float, ...]:
        """Planned cost from each round to the end, with the last round counted twice."""
        whole = list(accumulate(reversed((*self.planned, self.planned[-1]))))
        return tuple(whole[:0:-1])

    def with_noise(self, step: int) -> Gaussian:
        """Return the mechanism with the noise multiplier of index ``step``, for one release."""
        return self._normal(self.noises[step])

    def step_for(self, spent: float, rounds: int) -> int | None:
        """Return the index of the least agreed noise whose cost is within the share of a release.

        The share is what is left, rounds + 1 - spent, times a ratio. The ratio is the planned cost
        of the round divided by the planned cost of this and all later rounds, with the last round
        counted twice.

        Args:
            spent: cost of the holder's releases so far.
            rounds: number of earlier rounds in which the holder made a release.

        Returns:
            The index, or None if the share is too small for all agreed noises; the holder must then
            stay silent.

        >>> made = privacy_filter(10, 5, epsilon=1.0, clip=0.1)
        >>> made.step_for(3.0, 3), made.step_for(4.0, 3), made.step_for(10.0, 9)
        (0, 2, 8)
        """
        at = min(rounds, self.rounds - 1)
        share = (self.rounds + 1 - spent) * self.planned[at] / self._rests[at]
        return next((step for step, cost in enumerate(self.costs) if cost <= share), None)

    @property
    def epsilon_per_release(self) -> float:
        """Epsilon at delta of the release in the first round."""
        return self.epsilon_after(1)

    def release(
        self, gradients: Matrix, keys: Sequence[bytes], sensitivities: Sequence[float]
    ) -> Singles:
        """Return gradients plus noise of standard deviation noise_multiplier * sensitivity."""
        return self._normal(self.noise_multiplier).release(gradients, keys, sensitivities)

    def noise_norm(self, sensitivity: float, dimension: int) -> float:
        """Return noise_multiplier * sensitivity * sqrt(dimension), for a release of cost 1."""
        return self._normal(self.noise_multiplier).noise_norm(sensitivity, dimension)

    def _normal(self, noise_multiplier: float) -> Gaussian:
        return Gaussian(terms=self.terms, noise_multiplier=noise_multiplier, accountant="pld")

    def most_spent(self, releases: int) -> float:
        """Return the largest cost of this number of releases, whenever forks come."""
        # Most is spent with one release in each round, and all further ones in the last, since a
        # later release takes a larger part of what is left.
        if releases >= self.terms.releases:
            return self.rounds + 1.0
        extra = max(0, releases - self.rounds)
        return math.fsum(self.planned[:releases]) + self.planned[-1] * (1 - 0.5**extra)

    def epsilon_after(self, releases: int) -> float:
        """Return the largest total epsilon at delta of this number of releases."""
        if self.noise_multiplier == 0 or releases == 0:
            return math.inf if releases else 0.0
        moved = math.sqrt(self.most_spent(releases)) / self.noise_multiplier
        return _total(self.terms.delta, moved)

    epsilon_bound = epsilon_after

    def cross_check(self) -> None:
        """Check that the totals of all accountants agree: closed form, PLD and RDP."""
        whole = self.noise_multiplier / math.sqrt(self.rounds + 1)
        totals = {
            "the closed form": accounting.gaussian_epsilon(self.terms.delta, 1 / whole),
            "dp-accounting PLD": accounting.pld_epsilon(whole, 1, self.terms.delta),
        }
        upper = accounting.rdp_epsilon(whole, 1, self.terms.delta)
        accounting.cross_check(totals, {"Opacus RDP": upper})


_total = lru_cache(maxsize=4096)(accounting.gaussian_epsilon)
