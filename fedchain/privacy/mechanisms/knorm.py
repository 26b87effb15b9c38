"""K-norm noise: the reconstructed mechanism of the paper."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Literal

import numpy as np

from fedchain.arrays import Singles, lengths
from fedchain.privacy import accounting
from fedchain.privacy.mechanisms.mechanism import (
    Clip,
    Delta,
    Epsilon,
    Mechanism,
    NoiseMultiplier,
    SpareReleases,
    Terms,
    Unit,
    bound_of,
    mechanisms,
    noise_for,
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
    """Add the paper's noise, z of density e^(-(eps0 / Delta) |z|), at a pure cost eps0 a release.

    The noise is sampled exactly: a radius from Gamma(d, Delta / eps0) times a uniform direction,
    with Delta = clip / records. The pure total, releases * eps0, is far above the tight one: in
    high dimension T releases cost about as much as a Gaussian of mu = sqrt(T) eps0 / sqrt(d + 1).

    Args:
        releases: number of rounds of the run.
        dimension: length of a gradient, 2 or more.
        epsilon: tight total over all releases of a holder, from which eps0 is solved; inf: no
            noise, but gradients are still clipped.
        noise_multiplier: 1 / eps0; epsilon follows from it. Give either this or epsilon.
        delta: chance that the tight bound on epsilon fails; keep it below 1 / records.
        clip: bound on the 2-norm of the gradient of one unit. With automatic, every gradient g
            becomes g / (norm(g) + .01), whose norm is below 1: there is no threshold to choose.
        unit: what is protected: each record of a holder, or the holder as a whole.
        accountant: pld (certified, tight) or rdp.
        spare_releases: additional releases for forks; by default a tenth of the rounds, at least 2.

    Reference:
        LearningChain equation (10), reconstructed; Hardt and Talwar 2010.
    """
    total = with_spare(releases, spare_releases)
    terms = Terms(bound_of(clip), unit, delta, total, automatic=clip == "automatic")
    cost = partial(_knorm_total, accountant, dimension, total, delta)
    solve = partial(accounting.near_gaussian, cost, total, delta, math.sqrt(dimension + 1), 1e-4)
    return KNorm(
        terms=terms,
        noise_multiplier=noise_for(epsilon, noise_multiplier, solve),
        accountant=accountant,
        dimension=dimension,
    )


@dataclass(frozen=True, kw_only=True)
class KNorm:
    """Noise with a Gamma radius and a uniform direction; its scale is solved for the whole run."""

    terms: Terms
    """What the mechanism promises."""
    noise_multiplier: float
    """1 / eps0."""
    accountant: Literal["pld", "rdp"]
    """The accountant whose tight total is reported."""
    dimension: int
    """Length of a gradient, on which the cost depends."""
    name: str = "knorm"
    """The registered name."""
    sampling: bool = False
    """No bound is certified for sampled records."""
    group_noise: None = None
    """The sum of such noise has another law."""
    clip_follower: None = None
    """The clip is fixed."""

    @property
    def epsilon_per_release(self) -> float:
        """eps0: the pure cost of one release."""
        return 1 / self.noise_multiplier if self.noise_multiplier else math.inf

    @property
    def pure_total(self) -> float:
        """Sum of the pure costs of all releases."""
        return self.terms.releases * self.epsilon_per_release

    def release(
        self, gradients: Singles, keys: Sequence[bytes], sensitivities: Sequence[float]
    ) -> Singles:
        """Add random directions times radii from Gamma(d), scaled to the sensitivity, (n, d)."""
        dimension = gradients.shape[1]
        drawn = normals(keys, dimension)
        for row, norm, key, moved in zip(drawn, lengths(drawn), keys, sensitivities, strict=True):
            radius = stream(0, "radius", key).standard_gamma(dimension)
            row *= np.float32(self.noise_multiplier * moved * radius / norm)
        drawn += gradients
        return drawn

    def epsilon_after(self, releases: int) -> float:
        """Return the tight total epsilon of that many releases at delta."""
        if self.noise_multiplier == 0 or releases == 0:
            return math.inf if releases else 0.0
        asked = self.accountant, self.dimension, releases, self.terms.delta
        return _knorm_total(*asked, self.noise_multiplier)

    def cross_check(self) -> None:
        """Compare the certified privacy-loss distribution with the Rényi bound."""
        releases, delta = self.terms.releases, self.terms.delta
        pld, rdp = (
            _knorm_total(kind, self.dimension, releases, delta, self.noise_multiplier)
            for kind in ("pld", "rdp")
        )
        if pld == accounting.pure_epsilon(self.epsilon_per_release, releases, delta):
            return  # the bound for any pure releases, which no second method checks
        accounting.cross_check({"dp-accounting PLD": pld}, {"Opacus RDP": rdp})


@lru_cache(maxsize=4096)
def _knorm_total(
    accountant: str, dimension: int, releases: int, delta: float, scale: float
) -> float:
    from fedchain.privacy.knorm_loss import knorm_epsilon, knorm_rdp_epsilon

    total = knorm_epsilon if accountant == "pld" else knorm_rdp_epsilon
    return total(1 / scale, dimension, releases, delta)
