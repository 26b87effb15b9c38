"""Laplace noise: independent noise in every coordinate, with a pure cost."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache, partial

import numpy as np

from fedchain.arrays import Singles
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
from fedchain.randomness import laplaces


@mechanisms
def laplace(
    releases: int,
    dimension: int,
    *,
    epsilon: Epsilon = None,
    noise_multiplier: NoiseMultiplier = None,
    delta: Delta = 1e-5,
    clip: Clip,
    unit: Unit = "record",
    spare_releases: SpareReleases = None,
) -> Mechanism:
    """Add independent Laplace noise to every coordinate, at a pure cost eps0 a release.

    A gradient that is clipped to C in the 2-norm has a 1-norm of at most sqrt(d) C, so the scale is
    sqrt(d) clip / (records eps0). The pure total is releases * eps0. The tight total is a certified
    Rényi bound, about 10 % above the true cost: in high dimension T releases cost about as much as
    a Gaussian of mu = sqrt(T / d) eps0, with sqrt(2) times the noise of that Gaussian.

    Args:
        releases: number of rounds of the run.
        dimension: length of a gradient.
        epsilon: tight total over all releases of a holder, from which eps0 is solved; inf: no
            noise, but gradients are still clipped.
        noise_multiplier: 1 / eps0; epsilon follows from it. Give either this or epsilon.
        delta: chance that the tight bound on epsilon fails; keep it below 1 / records.
        clip: bound on the 2-norm of the gradient of one unit. With automatic, every gradient g
            becomes g / (norm(g) + .01), whose norm is below 1: there is no threshold to choose.
        unit: what is protected: each record of a holder, or the holder as a whole.
        spare_releases: additional releases for forks; by default a tenth of the rounds, at least 2.

    Reference:
        Dwork, McSherry, Nissim and Smith 2006, proposition 1.
    """
    total = with_spare(releases, spare_releases)
    terms = Terms(bound_of(clip), unit, delta, total, automatic=clip == "automatic")
    cost = partial(_laplace_total, dimension, total, delta)
    solve = partial(accounting.near_gaussian, cost, total, delta, math.sqrt(dimension), 1e-6)
    return Laplace(
        terms=terms,
        noise_multiplier=noise_for(epsilon, noise_multiplier, solve),
        dimension=dimension,
    )


@dataclass(frozen=True, kw_only=True)
class Laplace:
    """Laplace noise in every coordinate, with its scale solved for the whole run."""

    terms: Terms
    """What the mechanism promises."""
    noise_multiplier: float
    """1 / eps0: the scale divided by the sensitivity in the 1-norm."""
    dimension: int
    """Length of a gradient, on which noise and cost depend."""
    name: str = "laplace"
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
        """Add Laplace noise of scale noise_multiplier * sqrt(d) * sensitivity, (n, d)."""
        drawn = laplaces(keys, gradients.shape[1])
        whole = self.noise_multiplier * math.sqrt(self.dimension)
        scales = [whole * moved for moved in sensitivities]
        drawn *= np.array(scales, dtype=np.float32)[:, None]
        drawn += gradients
        return drawn

    def epsilon_after(self, releases: int) -> float:
        """Return the tight total epsilon of that many releases at delta."""
        if self.noise_multiplier == 0 or releases == 0:
            return math.inf if releases else 0.0
        return _laplace_total(self.dimension, releases, self.terms.delta, self.noise_multiplier)

    def cross_check(self) -> None:
        """Compare the Rényi bound with dp-accounting's cost of the shift that costs most."""
        from fedchain.privacy.laplace_loss import laplace_spread_epsilon

        releases, delta = self.terms.releases, self.terms.delta
        total, single = self.epsilon_after(releases), self.epsilon_per_release
        if total > 0.9 * accounting.pure_epsilon(single, releases, delta):
            return  # the bound for any pure releases, which no second method checks
        spread = laplace_spread_epsilon(single, self.dimension, releases, delta)
        accounting.cross_check({"dp-accounting PLD": spread}, {"Rényi": total})


@lru_cache(maxsize=4096)
def _laplace_total(dimension: int, releases: int, delta: float, scale: float) -> float:
    from fedchain.privacy.laplace_loss import laplace_epsilon

    return laplace_epsilon(1 / scale, dimension, releases, delta)
