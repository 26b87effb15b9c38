"""Normal noise under a privacy filter: each release takes its share of what is left to spend."""

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

Growth = Annotated[float, Field(ge=1, le=16)]
PER_OCTAVE = 16
"""Number of agreed values of noise in an octave, the range over which noise doubles."""
LAST_EXTRA = 4
"""Releases that a holder may make in the last round besides the first: each takes half of what is
left, so that noise grows by half an octave each time. After them the holder is silent."""
STEEPEST_FALL = 0.5
"""The least cost of a round divided by that of the round before it. So a share is at most half of
what is left, and some forks leave something for the rounds after them, whenever they come."""
LEAST_EXCESS = 1e-12
"""By how much the least agreed noise is above that of the first round, relatively: the rounding of
a share must not lead to the noise after it."""


@mechanisms
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
    """Add normal noise that rises only after a fork: each release takes a share of what is left.

    gaussian keeps spare releases for forks, and mostly few forks come. Here each release spends its
    share of what its holder has left, and one share is kept for a fork in the last round. A holder
    that a fork makes release again has more noise from then on. The noise is one of a list of
    agreed values, 16 in each octave. A message names its value, which tells how much its holder
    has spent. Records are not sampled, and the clip is fixed.

    Args:
        releases: number of rounds of the run.
        dimension: length of a gradient.
        epsilon: total over all releases of a holder, from which the noise is solved.
        noise_multiplier: sigma divided by the sensitivity, of a release that takes an even share;
            epsilon follows from it. Give either this or epsilon.
        delta: chance that the bound on epsilon fails; keep it below 1 / records.
        clip: bound on the 2-norm of the gradient of one unit. With automatic, every gradient g
            becomes g / (norm(g) + .01), whose norm is below 1: there is no threshold to choose.
        growth: noise of the last round divided by noise of the first; between them noise grows by
            the same factor each round, at most by the root of 2. Above 1, the first rounds, which
            move the weights far, have less noise than the last ones.
        unit: what is protected: each record of a holder, or the holder as a whole.

    Reference:
        Rogers, Roth, Ullman and Vadhan, "Privacy Odometers and Filters", 2016; Smith and Thakurta,
        "Fully Adaptive Composition for Gaussian Differential Privacy", 2022, whose filter this is:
        sum 1 / sigma_t^2 is bounded.
    """
    terms = terms_of(releases, LAST_EXTRA, clip=clip, unit=unit, delta=delta)

    def solve(epsilon: float) -> float:
        return accounting.gaussian_noise_multiplier(epsilon, delta, releases + 1)

    noise = noise_for(epsilon, noise_multiplier, solve)
    return PrivacyFilter(terms=terms, rounds=releases, noise_multiplier=noise, growth=growth)


@dataclass(frozen=True, kw_only=True)
class PrivacyFilter:
    """Normal noise whose multiplier follows from what a holder has spent.

    Costs are in even shares: a release with noise multiplier sigma costs
    (noise_multiplier / sigma)^2. A holder may spend rounds + 1 of them.
    """

    terms: Terms
    """What the mechanism promises. A holder may surely make ``terms.releases`` releases, whenever
    forks come, and more if they come before the last round."""
    rounds: int
    """Number of rounds in which a holder is asked, T."""
    noise_multiplier: float
    """sigma divided by the sensitivity, of a release that costs one even share."""
    growth: float
    """Noise of the last round divided by noise of the first."""
    name: str = "privacy_filter"
    sampling: bool = False
    group_noise: None = None
    clip_follower: None = None
    pure_total: None = None
    """Records that are sampled have another filter; a sum of rounded normal numbers is not
    understood; the clip is fixed; normal noise has no pure epsilon."""

    @property
    def noise_schedule(self) -> PrivacyFilter | None:
        """This mechanism, which chooses the noise of each release; None: there is no noise."""
        return self if self.noise_multiplier else None

    @cached_property
    def planned(self) -> tuple[float, ...]:
        """Cost of each round in a run without forks; with the last once more they sum to T + 1."""
        factor = max(STEEPEST_FALL, self.growth ** (-2 / max(1, self.rounds - 1)))
        costs = [factor**number for number in range(self.rounds)]
        scale = (self.rounds + 1) / (sum(costs) + costs[-1])
        return tuple(scale * cost for cost in costs)

    @cached_property
    def noises(self) -> tuple[float, ...]:
        """The agreed noise multipliers, from the first round's: each is 2^(1/16) times the last."""
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
        """What the plan spends from each round on, the last round counted twice."""
        whole = list(accumulate(reversed((*self.planned, self.planned[-1]))))
        return tuple(whole[:0:-1])

    def with_noise(self, step: int) -> Gaussian:
        """Return the mechanism with the noise of an index, for one release."""
        return self._normal(self.noises[step])

    def step_for(self, spent: float, rounds: int) -> int | None:
        """Return the index of the least agreed noise whose cost is within the share of a release.

        The share of a release in round t is its planned part of what is left: of
        T + 1 - spent it takes planned_t / (planned_t + .. + planned_T + planned_T). What rounding
        to an agreed value leaves is not lost, since later shares grow by it.

        Args:
            spent: cost of the releases that the holder has made.
            rounds: number of earlier rounds in which it has made any.

        Returns:
            The index; None: the share is too small for all agreed values, and the holder is silent.

        >>> made = privacy_filter(10, 5, epsilon=1.0, clip=0.1)
        >>> made.step_for(3.0, 3), made.step_for(4.0, 3), made.step_for(10.0, 9)
        (0, 2, 8)
        """
        at = min(rounds, self.rounds - 1)
        share = (self.rounds + 1 - spent) * self.planned[at] / self._rests[at]
        return next((step for step, cost in enumerate(self.costs) if cost <= share), None)

    @property
    def epsilon_per_release(self) -> float:
        """Epsilon at delta of the release of the first round."""
        return self.epsilon_after(1)

    def release(
        self, gradients: Matrix, keys: Sequence[bytes], sensitivities: Sequence[float]
    ) -> Singles:
        """Add noise of standard deviation noise_multiplier * sensitivity to gradients (n, d)."""
        return self._normal(self.noise_multiplier).release(gradients, keys, sensitivities)

    def _normal(self, noise_multiplier: float) -> Gaussian:
        return Gaussian(terms=self.terms, noise_multiplier=noise_multiplier, accountant="pld")

    def most_spent(self, releases: int) -> float:
        """Return the largest cost of this number of releases, whenever forks come.

        The later the round, the larger is the part that a release takes of what is left. So most is
        spent with one release in each round, and all further ones in the last.
        """
        if releases >= self.terms.releases:
            return self.rounds + 1.0
        extra = max(0, releases - self.rounds)
        return math.fsum(self.planned[:releases]) + self.planned[-1] * (1 - 0.5**extra)

    def epsilon_after(self, releases: int) -> float:
        """Return the total epsilon at delta that this number of releases may spend at most."""
        if self.noise_multiplier == 0 or releases == 0:
            return math.inf if releases else 0.0
        moved = math.sqrt(self.most_spent(releases)) / self.noise_multiplier
        return _total(self.terms.delta, moved)

    def cross_check(self) -> None:
        """Check that closed form and dp-accounting's PLD agree on the total."""
        whole = self.noise_multiplier / math.sqrt(self.rounds + 1)
        totals = {
            "the closed form": accounting.gaussian_epsilon(self.terms.delta, 1 / whole),
            "dp-accounting PLD": accounting.pld_epsilon(whole, 1, self.terms.delta),
        }
        upper = accounting.rdp_epsilon(whole, 1, self.terms.delta)
        accounting.cross_check(totals, {"Opacus RDP": upper})


_total = lru_cache(maxsize=4096)(accounting.gaussian_epsilon)
