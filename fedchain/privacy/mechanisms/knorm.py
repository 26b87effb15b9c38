"""K-norm noise z, of density e^(-eps0 |z| / Delta): the paper's mechanism, reconstructed.

Delta is the sensitivity, and d the dimension. With Delta = 1 and a unit vector u, the loss of one
release is L = eps0 (|z - u| - |z|). Here |z| ~ Gamma(d, 1/eps0), and the cosine c between z and u
has (1 + c) / 2 ~ Beta((d-1)/2, (d-1)/2). The loss is at most l if c >= (1 - a^2) / (2 |z|) - a with
a = l / eps0. The probability of this is one integral over the radius |z|. A shift shorter than u
costs no more, because the density is log-concave along every line in the direction u.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Literal

import numpy as np

from fedchain.arrays import Matrix, Singles, Vector, lengths
from fedchain.privacy.accounting import cross_check, epsilon_of_divergences, pure_epsilon
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
from fedchain.randomness import normals, stream

if TYPE_CHECKING:
    from dp_accounting.pld.pld_pmf import PLDPmf

POINTS = 1200
"""Grid points for the loss of one release; its standard deviation spans about 60 of them."""
LEAST_DIMENSION, LARGEST_SPREAD = 8, 1.5
"""Least dimension, and largest eps0 / sqrt(d + 1), for which the integral is accurate. Beyond them
one release alone costs more than anyone would accept."""
DEVIATIONS = 10.0
"""Standard deviations of the loss on either side of 0 that the grid covers."""


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
    """Add the paper's noise z, of density e^(-(eps0 / Delta) |z|); a release has pure cost eps0.

    The noise is sampled exactly: a radius from Gamma(d, Delta / eps0) times a uniform direction,
    with Delta = clip / records. The pure total, releases * eps0, is far above the tight one. In
    a high dimension d, T releases cost about as much as Gaussian noise with
    mu = sqrt(T) eps0 / sqrt(d + 1).

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
    terms = terms_of(releases, spare_releases, clip=clip, unit=unit, delta=delta)
    return near_gaussian(
        lambda noise: KNorm(
            terms=terms, noise_multiplier=noise, accountant=accountant, dimension=dimension
        ),
        epsilon,
        noise_multiplier,
        ratio=math.sqrt(dimension + 1),
        tolerance=1e-4,
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
    sampling: bool = False
    group_noise: None = None
    clip_follower: None = None
    """No bound is certified for sampled records, and a sum of K-norm noise is not K-norm noise."""

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
        """Add noise to gradients (n, d): random directions times scaled radii from Gamma(d)."""
        dimension = gradients.shape[1]
        drawn = normals(keys, dimension)
        for row, norm, key, moved in zip(drawn, lengths(drawn), keys, sensitivities, strict=True):
            radius = stream(0, "radius", key).standard_gamma(dimension)
            row *= np.float32(self.noise_multiplier * moved * radius / norm)
        drawn += gradients
        return drawn

    def epsilon_after(self, releases: int) -> float:
        """Return the tight total epsilon at delta after this number of releases."""
        if self.noise_multiplier == 0 or releases == 0:
            return math.inf if releases else 0.0
        total = KNORM_TOTALS[self.accountant]
        return total(1 / self.noise_multiplier, self.dimension, releases, self.terms.delta)

    def cross_check(self) -> None:
        """Compare the certified privacy-loss distribution with the Rényi bound."""
        asked = self.epsilon_per_release, self.dimension, self.terms.releases, self.terms.delta
        pld, rdp = (KNORM_TOTALS[kind](*asked) for kind in ("pld", "rdp"))
        if pld == pure_epsilon(self.epsilon_per_release, self.terms.releases, self.terms.delta):
            return  # the bound for any pure releases, which no second method checks
        cross_check({"dp-accounting PLD": pld}, {"Opacus RDP": rdp})


def knorm_epsilon(eps0: float, dimension: int, releases: int, delta: float) -> float:
    """Return a certified epsilon of several K-norm releases at delta.

    Every step overestimates. The hockey-stick curve of one release is computed at grid points, with
    the error of the integral added. The points are joined by chords (connect the dots), the tail
    counts as an infinite loss, and dp-accounting composes the releases. The result is never above
    ``pure_epsilon``. Where d < 8 or eps0 > 1.5 sqrt(d + 1), the result is ``pure_epsilon``, which
    is valid there, but not tight. In high dimension epsilon is near that of Gaussian differential
    privacy with mu = sqrt(releases) eps0 / sqrt(d + 1).

    Reference:
        Hardt and Talwar, "On the Geometry of Differential Privacy"; Doroshenko et al.,
        "Connect the Dots", algorithm 1.

    >>> round(knorm_epsilon(1.0, 650, 100, 1e-5), 2)
    1.52
    """
    if dimension < LEAST_DIMENSION or eps0 / math.sqrt(dimension + 1) > LARGEST_SPREAD:
        return pure_epsilon(eps0, releases, delta)
    composed = _one_release(eps0, dimension).self_compose(releases, 1e-15)
    tight = float(composed.get_epsilon_for_delta(delta))
    return min(tight, pure_epsilon(eps0, releases, delta))


@lru_cache(maxsize=32)
def _one_release(eps0: float, dimension: int) -> PLDPmf:
    from dp_accounting.pld.pld_pmf import create_pmf_pessimistic_connect_dots

    reach = min(eps0, DEVIATIONS * eps0 / math.sqrt(dimension + 1) + eps0**2 / dimension)
    step = reach / (POINTS // 2)
    grid = np.arange(-POINTS // 2, POINTS // 2 + 1)
    ratios: Vector = (grid * (step / eps0)).astype(np.float64)
    below = _probability_at_most(ratios, eps0, dimension, nodes=16)
    coarse = _probability_at_most(ratios, eps0, dimension, nodes=12)
    error = float(np.abs(below - coarse).max()) + 1e-15
    # Q(L > l) = P(L < -l), since a reflection swaps the two data sets.
    deltas = (1 - below) - np.exp(grid * step) * below[::-1] + (1 + math.exp(reach)) * error
    deltas = np.clip(np.minimum.accumulate(deltas), 0.0, 1.0)
    return create_pmf_pessimistic_connect_dots(step, grid, deltas)


def _probability_at_most(ratios: Vector, eps0: float, dimension: int, nodes: int) -> Vector:
    """Return P(L <= l) for each ratio l / eps0 (n,), by one integral over the radius."""
    from scipy.special import betainc

    radii, weights = _radii(eps0, dimension, nodes)
    bound = (1 - ratios[:, None] ** 2) / (2 * radii) - ratios[:, None]  # (n, radii)
    half = (dimension - 1) / 2
    found: Matrix = betainc(half, half, np.clip((1 - bound) / 2, 0.0, 1.0))
    probability = found @ weights
    return np.where(ratios >= 1, 1.0, np.where(ratios < -1, 0.0, probability))


def _radii(eps0: float, dimension: int, nodes: int) -> tuple[Vector, Vector]:
    """Return radii, and weights for integrals over Gamma(d, 1/eps0): Gauss-Legendre, 12 panels."""
    from scipy.special import gammainccinv, gammaincinv, gammaln

    ends = gammaincinv(dimension, 1e-16), gammainccinv(dimension, 1e-16)
    edges = np.linspace(*ends, 13)  # radii times eps0
    points, weights = np.polynomial.legendre.leggauss(nodes)
    half = (edges[1:] - edges[:-1])[:, None] / 2
    radii = (edges[:-1, None] + half * (points + 1)).ravel()
    density = np.exp((dimension - 1) * np.log(radii) - radii - gammaln(dimension))
    mass = (half * weights).ravel() * density
    return radii / eps0, mass / mass.sum()


def knorm_rdp_epsilon(eps0: float, dimension: int, releases: int, delta: float) -> float:
    """Return the Rényi bound on epsilon of several K-norm releases, by an independent method.

    With the loss L, the divergence of order alpha is log E e^((alpha - 1) L) / (alpha - 1). The
    mean is integrated directly over radius and angle. Opacus converts the divergences to epsilon.

    >>> 1.52 < knorm_rdp_epsilon(1.0, 650, 100, 1e-5) < 1.52 * 1.2
    True
    """
    radii, masses = _radii(eps0, dimension, 12)
    spread = min(math.pi / 2, 14 / math.sqrt(dimension))
    points, weights = np.polynomial.legendre.leggauss(400)
    angle = math.pi / 2 + spread * points
    log_angle = (dimension - 2) * np.log(np.sin(angle)) + np.log(weights)
    angle_mass = np.exp(log_angle - log_angle.max())
    law = masses[:, None] * (angle_mass / angle_mass.sum())  # (radii, angles)
    # |z - u| - |z|, without loss of digits by cancellation
    shifted = np.sqrt(radii[:, None] ** 2 - 2 * radii[:, None] * np.cos(angle) + 1)
    loss = eps0 * (1 - 2 * radii[:, None] * np.cos(angle)) / (shifted + radii[:, None])
    unit = eps0 / math.sqrt(dimension + 1)
    orders = [1 + tilt / unit for tilt in np.geomspace(0.02, 5.0, 60)]
    divergences = {
        order: releases * math.log(float((law * np.exp((order - 1) * loss)).sum())) / (order - 1)
        for order in orders
    }
    return epsilon_of_divergences(divergences, delta)


KNORM_TOTALS: dict[str, Callable[[float, int, int, float], float]] = {
    "pld": lru_cache(maxsize=4096)(knorm_epsilon),
    "rdp": lru_cache(maxsize=4096)(knorm_rdp_epsilon),
}
"""Functions of (eps0, dimension, releases, delta) that return the total epsilon."""
