"""Skellam noise: whole numbers on a grid, in shares that members of a group can add up."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Literal, get_args

import numpy as np

from fedchain.arrays import Matrix, Singles, Wholes
from fedchain.native.loading import library
from fedchain.privacy.accounting import cross_check
from fedchain.privacy.mechanisms.mechanism import (
    Clip,
    Delta,
    Epsilon,
    Mechanism,
    NoiseMultiplier,
    SpareReleases,
    Terms,
    Unit,
    mechanisms,
    near_gaussian,
    terms_of,
)
from fedchain.privacy.skellam_law import DEVIATION, skellam_epsilon, skellam_rdp_epsilon, skellams
from fedchain.registry import cites

Accountant = Literal["pld", "rdp"]
MOST_STEPS = 2.0**45
"""Largest gradient, in steps of the grid, for which rounding errors are as small as ``on_the_grid``
assumes."""


@mechanisms
@cites("agarwal2021", "koskela2020", when={"clip=automatic": ("bu2023",)})
def skellam(
    releases: int,
    dimension: int,
    shares: int = 1,
    *,
    epsilon: Epsilon = None,
    noise_multiplier: NoiseMultiplier = None,
    delta: Delta = 1e-5,
    clip: Clip,
    unit: Unit = "record",
    accountant: Accountant = "pld",
    spare_releases: SpareReleases = None,
) -> Mechanism:
    """Add Skellam noise: differences of two Poisson numbers, on a fine grid.

    Gradients are first rounded to the grid, so that no floating-point error reveals them. Each
    holder's noise has a standard deviation of 2^23 steps. Epsilon is that of Gaussian noise, to
    within 10^-3.

    Args:
        releases: number of rounds of the run.
        dimension: length of a gradient.
        shares: number of holders whose noise adds up to standard deviation sigma; in a group, the
            members on whose noise the guarantee relies.
        epsilon: total over all releases of a holder, from which the noise is computed. With
            inf, gradients are clipped but get no noise.
        noise_multiplier: sigma divided by the sensitivity. Give either this or epsilon.
        delta: chance that the bound on epsilon fails; keep it below 1 / records.
        clip: largest 2-norm of one gradient. With automatic, every gradient g becomes g / (norm(g)
            + .01), whose norm is below 1.
        unit: what is protected: each record of a holder, or the holder as a whole.
        accountant: pld (proven, from the closed form of normal noise) or rdp.
        spare_releases: additional releases for forks; by default a tenth of the rounds, at least 2.

    Reference:
        Agarwal, Kairouz and Liu 2021.
    """
    silent = Skellam(
        terms=terms_of(releases, spare_releases, clip=clip, unit=unit, delta=delta),
        noise_multiplier=0.0,
        accountant=accountant,
        dimension=dimension,
        shares=shares,
    )
    return near_gaussian(
        lambda noise: replace(silent, noise_multiplier=noise),
        epsilon,
        noise_multiplier,
        ratio=1.0,
        tolerance=1e-8,
    )


@dataclass(frozen=True, kw_only=True)
class Skellam:
    """Skellam noise on a grid, with one noise multiplier for the whole run."""

    terms: Terms
    """What the mechanism promises."""
    noise_multiplier: float
    """Standard deviation of the noise divided by the sensitivity."""
    accountant: Accountant
    """The accountant whose total is reported."""
    dimension: int
    """Length of a gradient."""
    shares: int
    """Number of holders whose shares add up to the noise that epsilon assumes."""
    name: str = "skellam"
    # for sampled records no bound on epsilon is proven
    sampling: bool = False
    clip_follower: None = None
    noise_schedule: None = None
    pure_total: None = None
    """Records cannot be sampled. The clip is fixed, and there is no pure epsilon."""

    @property
    def group_noise(self) -> Skellam:
        """This mechanism: members of a group can share Skellam noise."""
        return self

    @property
    def epsilon_per_release(self) -> float:
        """Epsilon of one release at delta."""
        return self.epsilon_after(1)

    @property
    def step(self) -> float:
        """Step of the grid for a sum of gradients. A share has a deviation of 2^23 steps."""
        sigma = self.noise_multiplier or 1.0
        return self.terms.clip * sigma / (DEVIATION * math.sqrt(self.shares))

    def in_steps(self, gradients: Matrix, keys: Sequence[bytes], records: Sequence[int]) -> Wholes:
        """Return gradients plus their shares of noise, in steps of the grid; see ``GroupNoise``."""
        counts = np.array([self.terms.units(count) for count in records], dtype=np.float64)
        if float(counts.max()) * self.terms.clip / self.step > MOST_STEPS:
            raise ValueError(
                f"privacy.noise_multiplier: {self.noise_multiplier:g} is too small for the grid "
                f"with {int(counts.max())} records; take more noise, or fewer records"
            )
        steps = np.rint(gradients * (counts / self.step)[:, None]).astype(np.int64)
        if self.noise_multiplier:
            steps += skellams(keys, gradients.shape[1])
        return steps

    def release(
        self, gradients: Matrix, keys: Sequence[bytes], sensitivities: Sequence[float]
    ) -> Singles:
        """Return gradients, rounded to the grid, plus Skellam noise, shape (releases, dimension).

        Raises:
            ValueError: at this clip, a gradient can have more than ``MOST_STEPS`` steps.
        """
        if self.noise_multiplier == 0:
            return np.asarray(gradients, dtype=np.float32)
        drawn = skellams(keys, gradients.shape[1])
        found = drawn.view(np.float32)  # the result overwrites the noise in place
        steps, kernels = np.empty(gradients.shape[1]), library()
        gradients = np.ascontiguousarray(gradients, dtype=np.float64)
        for row, gradient, noise, moved in zip(found, gradients, drawn, sensitivities, strict=True):
            step = self.noise_multiplier * moved / DEVIATION
            if self.terms.clip / step > MOST_STEPS:  # the rounding error would be too large
                units = round(self.terms.clip / moved)
                raise ValueError(
                    f"privacy.noise_multiplier: {self.noise_multiplier:g} is too small for the "
                    f"grid with {units} records; {units / 2.0**22:g} or more is allowed"
                )
            if kernels is not None:
                kernels.add_steps(noise, gradient, step, len(noise))
                continue
            steps[:] = gradient
            steps /= step
            np.rint(steps, out=steps)
            steps += noise
            steps *= step
            row[:] = steps
        return found

    def noise_norm(self, sensitivity: float, dimension: int) -> float:
        """Return noise_multiplier * sensitivity * sqrt(dimension)."""
        return self.noise_multiplier * sensitivity * math.sqrt(dimension)

    def epsilon_after(self, releases: int) -> float:
        """Return the total epsilon at delta after this number of releases."""
        if self.noise_multiplier == 0 or releases == 0:
            return math.inf if releases else 0.0
        asked = self.accountant, self.dimension, releases, self.terms.delta
        return _skellam_total(*asked, self.shares, self.noise_multiplier)

    epsilon_bound = epsilon_after

    def cross_check(self) -> None:
        """Check that the closed form and the Rényi bound agree on the total epsilon."""
        pld, rdp = (
            replace(self, accountant=kind).epsilon_after(self.terms.releases)
            for kind in get_args(Accountant)
        )
        cross_check({"the closed form": pld}, {"Rényi": rdp})


def on_the_grid(sigma: float, dimension: int, shares: int) -> float:
    """Return the noise multiplier after rounding to the grid, which raises the sensitivity.

    ``sigma`` is the noise multiplier before rounding.

    >>> round(on_the_grid(20.0, 30_000, 1), 4)
    19.9917
    """
    # Rounding moves every coordinate of the difference of two neighbours by less than a step. The
    # error of the division adds at most a hundredth of a step. The sensitivity Delta becomes
    # Delta + 1.01 step sqrt(d), where the step is sigma Delta / (2^23 sqrt(shares)).
    return sigma / (1 + 1.01 * math.sqrt(dimension / shares) * sigma / DEVIATION)


@lru_cache(maxsize=4096)
def _skellam_total(
    accountant: Accountant, dimension: int, releases: int, delta: float, shares: int, sigma: float
) -> float:
    total = skellam_epsilon if accountant == "pld" else skellam_rdp_epsilon
    return total(on_the_grid(sigma, dimension, shares), dimension, releases, delta, shares)
