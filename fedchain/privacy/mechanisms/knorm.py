"""K-norm noise: the mechanism of the paper, as reconstructed."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import numpy as np

from fedchain.arrays import Singles, lengths
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
from fedchain.randomness import normals, stream


@mechanisms
def knorm(
    releases: int,
    dimension: int,
    *,
    epsilon: Epsilon = None,
    noise_multiplier: NoiseMultiplier = None,
    delta: Delta = 1e-5,
    clip: Clip,
    unit: Unit = "record",
    accountant: Literal["pld", "rdp"] = "pld",
    spare_releases: SpareReleases = None,
) -> Mechanism:
    """Add noise z of density e^(-(eps0 / Delta) |z|): the paper's, with a pure cost eps0 a release.

    Sampled exactly: a radius from Gamma(d, Delta / eps0) times a uniform direction, with
    Delta = clip / records. The pure total, releases * eps0, is far above the tight one: in high
    dimension T releases cost about what a Gaussian of mu = sqrt(T) eps0 / sqrt(d + 1) costs.

    Args:
        releases: rounds of the run.
        dimension: length of a gradient, 2 or more.
        epsilon: tight total over all releases of a holder; eps0 is solved from it; inf: no
            noise, gradients still clipped.
        noise_multiplier: 1 / eps0; epsilon follows. Give one of the two.
        delta: chance that the tight bound on epsilon fails; keep it below 1 / records.
        clip: bound on the 2-norm of the gradient of one unit; automatic: every gradient g becomes
            g / (norm(g) + .01), whose norm is below 1, and there is no threshold to choose.
        unit: what is protected: each record of a holder, or the holder as a whole.
        accountant: pld (certified, tight) or rdp.
        spare_releases: releases beyond the rounds, for forks; default a tenth, at least 2.

    Reference:
        LearningChain equation (10), reconstructed; Hardt and Talwar 2010.
    """
    total = with_spare(releases, spare_releases)
    scale = one_of(epsilon, noise_multiplier)
    if scale is None:
        scale = _solved_scale(accountant, total, dimension, delta, epsilon or math.inf)
    return KNorm(
        scale,
        bound_of(clip),
        unit,
        delta,
        total,
        accountant,
        dimension,
        automatic=clip == "automatic",
    )


@dataclass(frozen=True)
class KNorm:
    """Noise with a Gamma radius and a uniform direction, its scale solved for the whole run."""

    noise_multiplier: float
    """1 / eps0."""
    clip: float
    """Bound on the gradient of one unit."""
    unit: Unit
    """What is protected."""
    delta: float
    """delta of the tight totals."""
    releases: int
    """Releases that one holder may make."""
    accountant: Literal["pld", "rdp"]
    """Whose tight total is reported."""
    dimension: int
    """Length of a gradient: the cost depends on it."""
    automatic: bool = False
    """Whether every gradient is brought near the clip, instead of the longer ones cut at it."""
    name: str = "knorm"
    """The registered name."""
    sampling_rate: float = 1.0
    """All records take part in every release."""
    clip_quantile: None = None
    """The clip is fixed."""

    @property
    def epsilon_per_release(self) -> float:
        """eps0: the pure cost of one release."""
        return 1 / self.noise_multiplier if self.noise_multiplier else math.inf

    @property
    def pure_total(self) -> float:
        """Sum of the pure costs of all releases."""
        return self.releases * self.epsilon_per_release

    def release(self, gradients: Singles, keys: Sequence[bytes], records: Sequence[int]) -> Singles:
        """Add radii from Gamma(d) times directions, scaled to the sensitivity, (n, d)."""
        dimension = gradients.shape[1]
        drawn = normals(keys, dimension)
        for row, norm, key, count in zip(drawn, lengths(drawn), keys, records, strict=True):
            radius = stream(0, "radius", key).standard_gamma(dimension)
            scale = self.noise_multiplier * sensitivity(self.clip, self.unit, count)
            row *= np.float32(scale * radius / norm)
        drawn += gradients
        return drawn

    def epsilon_after(self, releases: int) -> float:
        """Return the tight total epsilon of that many releases at delta."""
        if self.noise_multiplier == 0 or releases == 0:
            return math.inf if releases else 0.0
        scale = self.noise_multiplier
        return _knorm_total(self.accountant, scale, self.dimension, releases, self.delta)

    def cross_check(self) -> None:
        """Compare the certified privacy-loss distribution with the Rényi bound."""
        if self.epsilon_after(self.releases) > VACUOUS:
            return
        pld, rdp = (
            _knorm_total(kind, self.noise_multiplier, self.dimension, self.releases, self.delta)
            for kind in ("pld", "rdp")
        )
        pure = accounting.pure_epsilon(self.epsilon_per_release, self.releases, self.delta)
        if pld == pure:  # a bound for all pure releases: there is no second road to it
            return
        accounting.cross_check({"dp-accounting PLD": pld}, {"Opacus RDP": rdp})


@lru_cache(maxsize=4096)
def _knorm_total(
    accountant: str, scale: float, dimension: int, releases: int, delta: float
) -> float:
    from fedchain.privacy.knorm_loss import knorm_epsilon, knorm_rdp_epsilon

    total = knorm_epsilon if accountant == "pld" else knorm_rdp_epsilon
    return total(1 / scale, dimension, releases, delta)


@lru_cache(maxsize=64)
def _solved_scale(
    accountant: str, releases: int, dimension: int, delta: float, epsilon: float
) -> float:
    if math.isinf(epsilon):
        return 0.0
    sigma = accounting.gaussian_noise_multiplier(epsilon, delta, releases)
    return accounting.least_noise(
        lambda scale: _knorm_total(accountant, scale, dimension, releases, delta),
        epsilon,
        sigma / math.sqrt(dimension + 1),
        1e-4,
    )
