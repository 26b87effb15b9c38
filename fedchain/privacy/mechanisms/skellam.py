"""Skellam noise: whole numbers on a grid, closed under addition."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import numpy as np

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
        clip: bound on the 2-norm of the gradient of one unit.
        unit: what is protected: each record of a holder, or the holder as a whole.
        accountant: pld (certified, from the closed form of normal noise) or rdp.
        spare_releases: releases beyond the rounds, for forks; default a tenth, at least 2.

    Reference:
        Agarwal, Kairouz and Liu 2021.
    """
    total = with_spare(releases, spare_releases)
    sigma = one_of(epsilon, noise_multiplier)
    if sigma is None:
        sigma = _solved_sigma(accountant, total, dimension, delta, epsilon or math.inf)
    return Skellam(sigma, clip, unit, delta, total, accountant, dimension)


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
    name: str = "skellam"
    """The registered name."""
    sampling_rate: float = 1.0
    """All records take part in every release."""
    clip_quantile: None = None
    """The clip is fixed."""
    pure_total: None = None
    """Skellam noise has no pure cost."""

    @property
    def epsilon_per_release(self) -> float:
        """Cost of one release at delta."""
        return self.epsilon_after(1)

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
            if self.clip / step > 2.0**45:  # a division would err by more than is counted
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
        return _skellam_total(self.accountant, sigma, self.dimension, releases, self.delta)

    def cross_check(self) -> None:
        """Compare the certified bound with the Rényi bound of Agarwal, Kairouz and Liu."""
        if self.epsilon_after(self.releases) > VACUOUS:
            return
        pld, rdp = (
            _skellam_total(kind, self.noise_multiplier, self.dimension, self.releases, self.delta)
            for kind in ("pld", "rdp")
        )
        accounting.cross_check({"the closed form": pld}, {"Rényi": rdp})


def on_the_grid(sigma: float, dimension: int) -> float:
    """Return sigma over what one neighbour moves once both are rounded to the grid.

    Rounding moves every coordinate of the difference by less than a step, and a hundredth
    more for the division: Delta becomes Delta + 1.01 step sqrt(d), step = sigma Delta / 2^23.

    >>> round(on_the_grid(20.0, 30_000), 4)
    19.9917
    """
    return sigma / (1 + 1.01 * math.sqrt(dimension) * sigma / DEVIATION)


@lru_cache(maxsize=4096)
def _skellam_total(
    accountant: Accountant, sigma: float, dimension: int, releases: int, delta: float
) -> float:
    total = skellam_epsilon if accountant == "pld" else skellam_rdp_epsilon
    return total(on_the_grid(sigma, dimension), dimension, releases, delta)


@lru_cache(maxsize=64)
def _solved_sigma(
    accountant: Accountant, releases: int, dimension: int, delta: float, epsilon: float
) -> float:
    if math.isinf(epsilon):
        return 0.0
    sigma = accounting.gaussian_noise_multiplier(epsilon, delta, releases)
    return accounting.least_noise(
        lambda noise: _skellam_total(accountant, noise, dimension, releases, delta),
        epsilon,
        sigma,
        1e-8,
    )
