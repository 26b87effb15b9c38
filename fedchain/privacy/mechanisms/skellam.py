"""Skellam noise: whole numbers on a grid, closed under addition."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt

from fedchain.arrays import Singles
from fedchain.privacy import accounting
from fedchain.privacy.mechanisms.mechanism import (
    VACUOUS,
    Clip,
    Delta,
    Epsilon,
    Mechanism,
    NoiseMultiplier,
    SpareReleases,
    Unit,
    bound_of,
    mechanisms,
    one_of,
    sensitivity,
    with_spare,
)
from fedchain.privacy.skellam_law import (
    DEVIATION,
    skellam_epsilon,
    skellam_rdp_epsilon,
    skellams,
)

Accountant = Literal["pld", "rdp"]
MOST_STEPS = 2.0**45
"""Steps of a gradient above which its division by the step would err by more than is counted."""


@mechanisms
def skellam(
    releases: int,
    dimension: int,
    *,
    epsilon: Epsilon = None,
    noise_multiplier: NoiseMultiplier = None,
    delta: Delta = 1e-5,
    clip: Clip,
    unit: Unit = "record",
    accountant: Accountant = "pld",
    spare_releases: SpareReleases = None,
) -> Mechanism:
    """Add whole numbers: the difference of two Poisson numbers, on a grid of sigma / 2^23.

    The gradient is rounded to the grid first, so that what is released is a function of whole
    numbers of a known law: nothing shows through the last bits of the noise. Sums of such noise
    on one grid are such noise again. It costs what Gaussian noise costs, to 10^-3.

    Args:
        releases: rounds of the run.
        dimension: length of a gradient.
        epsilon: total over all releases of a holder; the noise is solved from it; inf: no
            noise, gradients still clipped.
        noise_multiplier: sigma over sensitivity; epsilon follows. Give one of the two.
        delta: chance that the bound on epsilon fails; keep it below 1 / records.
        clip: bound on the 2-norm of the gradient of one unit; automatic: every gradient g becomes
            g / (norm(g) + .01), whose norm is below 1, and there is no threshold to choose.
        unit: what is protected: each record of a holder, or the holder as a whole.
        accountant: pld (certified, from the closed form of normal noise) or rdp.
        spare_releases: releases beyond the rounds, for forks; default a tenth, at least 2.

    Reference:
        Agarwal, Kairouz and Liu 2021.
    """
    total = with_spare(releases, spare_releases)
    sigma = one_of(epsilon, noise_multiplier)
    if sigma is None:
        sigma = _solved_sigma(accountant, total, dimension, delta, epsilon or math.inf, 1)
    return Skellam(
        sigma,
        bound_of(clip),
        unit,
        delta,
        total,
        accountant,
        dimension,
        automatic=clip == "automatic",
    )


@dataclass(frozen=True)
class Skellam:
    """Skellam noise on a grid, its scale solved for the whole run."""

    noise_multiplier: float
    """sigma over sensitivity."""
    clip: float
    """Bound on the gradient of one unit."""
    unit: Unit
    """What is protected."""
    delta: float
    """delta of the totals."""
    releases: int
    """Releases that one holder may make."""
    accountant: Accountant
    """Whose total is reported."""
    dimension: int
    """Length of a gradient: each coordinate is rounded."""
    automatic: bool = False
    """Whether every gradient is brought near the clip, instead of the longer ones cut at it."""
    name: str = "skellam"
    """The registered name."""
    sampling_rate: float = 1.0
    """All records take part in every release."""
    clip_quantile: None = None
    """The clip is fixed."""
    shares: int = 1
    """Holders whose noise adds up to sigma: in a group, those that are counted on."""
    pure_total: None = None
    """Skellam noise has no pure cost."""

    @property
    def epsilon_per_release(self) -> float:
        """Cost of one release at delta."""
        return self.epsilon_after(1)

    @property
    def step(self) -> float:
        """Grid of a sum of gradients, on which every share has the deviation 2^23."""
        return self.clip * (self.noise_multiplier or 1.0) / (DEVIATION * math.sqrt(self.shares))

    def shared(self, shares: int, epsilon: float | None) -> Skellam:
        """Return the mechanism of a group, in which so many shares of noise make the whole.

        The sum of m Skellam numbers is one of m times the variance: the grid is finer by sqrt(m).

        Args:
            shares: holders whose noise is counted on, 1 or more.
            epsilon: total that was asked for; None: the noise multiplier was, and stays.
        """
        sigma = self.noise_multiplier
        if epsilon is not None:
            asked = self.accountant, self.releases, self.dimension, self.delta, epsilon
            sigma = _solved_sigma(*asked, shares)
        return replace(self, shares=shares, noise_multiplier=sigma)

    def in_steps(
        self, gradients: Singles, keys: Sequence[bytes], records: Sequence[int]
    ) -> npt.NDArray[np.int64]:
        """Return what members of a group add up: gradients and their shares of noise, in steps.

        Args:
            gradients: clipped mean gradients (n, d); they are left alone.
            keys: 32 bytes of each share of noise, known to its holder alone.
            records: the public n_k of each holder; each gradient is taken that many times, where
                the unit is a record.

        Returns:
            Whole numbers (n, d), of which each record of a holder moves one row by at most
            clip / step.

        Raises:
            ValueError: a gradient may take more steps than float64 can count.
        """
        counts = np.array([self.weight(count) for count in records], dtype=np.float64)
        if float(counts.max()) * self.clip / self.step > MOST_STEPS:
            raise ValueError(
                f"privacy.noise_multiplier: {self.noise_multiplier:g} is too small for the grid "
                f"with {int(counts.max())} records; take more noise, or fewer records"
            )
        steps = np.rint(gradients * (counts / self.step)[:, None]).astype(np.int64)
        if self.noise_multiplier:
            steps += skellams(keys, gradients.shape[1])
        return steps

    def weight(self, records: int) -> int:
        """Return how often a holder's mean gradient is in a sum: each of its units once."""
        return records if self.unit == "record" else 1

    def release(self, gradients: Singles, keys: Sequence[bytes], records: Sequence[int]) -> Singles:
        """Round to the grid of step sigma / 2^23, and add Skellam numbers, (n, d).

        Raises:
            ValueError: a gradient may take more steps than float64 can count.
        """
        if self.noise_multiplier == 0:
            return gradients
        drawn = skellams(keys, gradients.shape[1])
        found = drawn.view(np.float32)  # in the place of the numbers that it is made of
        steps = np.empty(gradients.shape[1])
        for row, gradient, noise, count in zip(found, gradients, drawn, records, strict=True):
            moved = sensitivity(self.clip, self.unit, count)
            step = self.noise_multiplier * moved / DEVIATION
            if self.clip / step > MOST_STEPS:  # a division would err by more than is counted
                raise ValueError(
                    f"privacy.noise_multiplier: {self.noise_multiplier:g} is too small for the "
                    f"grid with {count} records; {count / 2.0**22:g} or more is allowed"
                )
            steps[:] = gradient
            steps /= step
            np.rint(steps, out=steps)
            steps += noise
            steps *= step
            row[:] = steps
        return found

    def epsilon_after(self, releases: int) -> float:
        """Return the total epsilon of that many releases at delta."""
        if self.noise_multiplier == 0 or releases == 0:
            return math.inf if releases else 0.0
        sigma = self.noise_multiplier
        asked = self.accountant, sigma, self.dimension, releases, self.delta
        return _skellam_total(*asked, self.shares)

    def cross_check(self) -> None:
        """Compare the certified bound with the Rényi bound of Agarwal, Kairouz and Liu."""
        if self.epsilon_after(self.releases) > VACUOUS:
            return
        pld, rdp = (
            replace(self, accountant=kind).epsilon_after(self.releases)
            for kind in get_args(Accountant)
        )
        accounting.cross_check({"the closed form": pld}, {"Rényi": rdp})


def on_the_grid(sigma: float, dimension: int, shares: int) -> float:
    """Return sigma over what one neighbour moves once both are rounded to the grid.

    Rounding moves every coordinate of the difference by less than a step, and a hundredth
    more for the division: Delta becomes Delta + 1.01 step sqrt(d), where the step is
    sigma Delta / (2^23 sqrt(shares)).

    >>> round(on_the_grid(20.0, 30_000, 1), 4)
    19.9917
    """
    return sigma / (1 + 1.01 * math.sqrt(dimension / shares) * sigma / DEVIATION)


@lru_cache(maxsize=4096)
def _skellam_total(
    accountant: Accountant,
    sigma: float,
    dimension: int,
    releases: int,
    delta: float,
    shares: int,
) -> float:
    total = skellam_epsilon if accountant == "pld" else skellam_rdp_epsilon
    return total(on_the_grid(sigma, dimension, shares), dimension, releases, delta, shares)


@lru_cache(maxsize=64)
def _solved_sigma(
    accountant: Accountant, releases: int, dimension: int, delta: float, epsilon: float, shares: int
) -> float:
    if math.isinf(epsilon):
        return 0.0
    sigma = accounting.gaussian_noise_multiplier(epsilon, delta, releases)
    return accounting.least_noise(
        lambda noise: _skellam_total(accountant, noise, dimension, releases, delta, shares),
        epsilon,
        sigma,
        1e-8,
    )
