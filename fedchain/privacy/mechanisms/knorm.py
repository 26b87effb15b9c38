"""K-norm noise: the mechanism of the LearningChain paper, reconstructed, and its total epsilon.

The privacy loss of a release is the logarithm of the ratio of its densities under two neighbouring
data sets.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Literal

import numpy as np

from fedchain.arrays import Matrix, Singles, Vector
from fedchain.privacy.accounting import cross_check, epsilon_of_divergences, pure_epsilon
from fedchain.privacy.mechanisms.mechanism import (
    Clip,
    Delta,
    Epsilon,
    Mechanism,
    NoiseMultiplier,
    PureNoise,
    SpareReleases,
    Unit,
    mechanisms,
    near_gaussian,
    terms_of,
)
from fedchain.randomness import normals, stream
from fedchain.registry import cites
from fedchain.transforms import add_gradients, lengths

if TYPE_CHECKING:
    from dp_accounting.pld.pld_pmf import PLDPmf

    from fedchain.privacy.curve import PrivacyCurve

POINTS = 1200
"""Number of grid points for the privacy loss of one release: about 60 per standard deviation."""
GRID = np.arange(-POINTS // 2, POINTS // 2 + 1)
"""The privacy losses on the grid, in steps."""
LEAST_DIMENSION, LARGEST_SPREAD = 8, 1.5
"""Least dimension, and largest eps0 / sqrt(dimension + 1), for which the integral of
``knorm_epsilon`` is accurate."""
DEVIATIONS = 10.0
"""Half width of the grid, in standard deviations of the privacy loss."""


@mechanisms
@cites("hardt2010", "koskela2020", when={"clip=automatic": ("bu2023",)})
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
    """Add the paper's noise: a random direction with a Gamma-distributed length.

    The density of noise z is proportional to e^(-eps0 |z| / sensitivity), where eps0 is the pure
    epsilon of one release. The sensitivity is clip / records, or clip for unit holder.

    Args:
        releases: number of rounds of the run.
        dimension: length of a gradient, 2 or more.
        epsilon: tight total over all releases of a holder, from which eps0 is computed. With inf,
            gradients are clipped but get no noise.
        noise_multiplier: 1 / eps0. Give either this or epsilon.
        delta: chance that the tight bound on epsilon fails; keep it below 1 / records.
        clip: largest 2-norm of one gradient. With automatic, every gradient g becomes g / (norm(g)
            + .01), whose norm is below 1.
        unit: what is protected: each record of a holder, or the holder as a whole.
        accountant: pld (proven, tight) or rdp.
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
class KNorm(PureNoise):
    """K-norm noise, with one scale for the whole run."""

    accountant: Literal["pld", "rdp"]
    """The accountant whose tight total is reported."""
    name: str = "knorm"

    def release(
        self, gradients: Matrix, keys: Sequence[bytes], sensitivities: Sequence[float]
    ) -> Singles:
        """Return gradients plus noise, shape (releases, dimension)."""
        dimension = gradients.shape[1]
        drawn = normals(keys, dimension)
        scales = [
            self.noise_multiplier
            * moved
            * stream(0, "radius", key).standard_gamma(dimension)
            / norm
            for norm, key, moved in zip(lengths(drawn), keys, sensitivities, strict=True)
        ]
        add_gradients(drawn, scales, gradients)
        return drawn

    def noise_norm(self, sensitivity: float, dimension: int) -> float:
        """Return noise_multiplier * sensitivity * sqrt(d (d + 1)), from a Gamma law of shape d."""
        return self.noise_multiplier * sensitivity * math.sqrt(dimension * (dimension + 1.0))

    def epsilon_after(self, releases: int) -> float:
        """Return the tight total epsilon at delta after this number of releases."""
        if self.noise_multiplier == 0 or releases == 0:
            return math.inf if releases else 0.0
        total = KNORM_TOTALS[self.accountant]
        return total(1 / self.noise_multiplier, self.dimension, releases, self.terms.delta)

    def epsilon_bound(self, releases: int) -> float:
        """Return an upper bound on the total epsilon, from one curve."""
        if self.noise_multiplier == 0 or releases == 0 or self.accountant == "rdp":
            return self.epsilon_after(releases)
        eps0 = self.epsilon_per_release
        if _is_only_pure(eps0, self.dimension):
            return self.epsilon_after(releases)
        tight = _curve(eps0, self.dimension, self.terms.releases)
        return min(tight.epsilon(releases, self.terms.delta), releases * eps0)

    def cross_check(self) -> None:
        """Check that the totals of the accountants agree: privacy-loss distribution and RDP."""
        asked = self.epsilon_per_release, self.dimension, self.terms.releases, self.terms.delta
        pld, rdp = (KNORM_TOTALS[kind](*asked) for kind in ("pld", "rdp"))
        if pld == pure_epsilon(self.epsilon_per_release, self.terms.releases, self.terms.delta):
            return  # the bound for any pure releases, which no second method checks
        cross_check({"dp-accounting PLD": pld}, {"Opacus RDP": rdp})


def knorm_epsilon(eps0: float, dimension: int, releases: int, delta: float) -> float:
    """Return an upper bound on the total epsilon of K-norm releases at delta.

    ``eps0`` is the pure epsilon of one release. The bound is tight in high dimension. In a
    dimension below 8, or if eps0 exceeds 1.5 sqrt(dimension + 1), the bound is ``pure_epsilon``.

    Reference:
        Hardt and Talwar, "On the Geometry of Differential Privacy"; Doroshenko et al.,
        "Connect the Dots", algorithm 1.

    For eps0 = 1, 650 weights and 100 releases:

    >>> round(knorm_epsilon(1.0, 650, 100, 1e-5), 2)
    1.52
    """
    if _is_only_pure(eps0, dimension):
        return pure_epsilon(eps0, releases, delta)
    composed = _one_release(eps0, dimension).self_compose(releases, 1e-15)
    tight = float(composed.get_epsilon_for_delta(delta))
    return min(tight, pure_epsilon(eps0, releases, delta))


def _is_only_pure(eps0: float, dimension: int) -> bool:
    """Return whether the integral over the noise is not accurate enough for a tight total."""
    return dimension < LEAST_DIMENSION or eps0 / math.sqrt(dimension + 1) > LARGEST_SPREAD


@lru_cache(maxsize=32)
def _one_release(eps0: float, dimension: int) -> PLDPmf:
    from dp_accounting.pld.pld_pmf import create_pmf_pessimistic_connect_dots

    step, deltas = _points(eps0, dimension)
    return create_pmf_pessimistic_connect_dots(step, GRID, deltas)


@lru_cache(maxsize=8)
def _curve(eps0: float, dimension: int, most: int) -> PrivacyCurve:
    from fedchain.privacy.curve import PrivacyCurve  # loads scipy

    step, deltas = _points(eps0, dimension)
    return PrivacyCurve(step, [(int(GRID[0]), deltas)], most)


def _points(eps0: float, dimension: int) -> tuple[float, Vector]:
    """Return the step of the grid, and an upper bound on delta at each loss of the grid."""
    # Every step overestimates: the hockey-stick curve at the grid points includes the error of the
    # integral, chords join the points (connect the dots), and the tail counts as infinite loss.
    reach = min(eps0, DEVIATIONS * eps0 / math.sqrt(dimension + 1) + eps0**2 / dimension)
    step = reach / (POINTS // 2)
    ratios: Vector = (GRID * (step / eps0)).astype(np.float64)
    below = _probability_at_most(ratios, eps0, dimension, nodes=16)
    coarse = _probability_at_most(ratios, eps0, dimension, nodes=12)
    error = float(np.abs(below - coarse).max()) + 1e-15
    # Q(L > l) = P(L < -l), since a reflection swaps the two data sets.
    deltas = (1 - below) - np.exp(GRID * step) * below[::-1] + (1 + math.exp(reach)) * error
    return step, np.clip(np.minimum.accumulate(deltas), 0.0, 1.0)


def _probability_at_most(ratios: Vector, eps0: float, dimension: int, nodes: int) -> Vector:
    """Return the probability that the privacy loss is at most ratio * eps0, for each ratio."""
    from scipy.special import betainc

    # Let neighbours differ by a unit vector u: the sensitivity is 1. The loss of noise z is then
    # L = eps0 (|z - u| - |z|). In d dimensions, |z| has the distribution Gamma(d, 1/eps0), and
    # (1 + c) / 2 has Beta((d-1)/2, (d-1)/2) for the cosine c between z and u. With a = l / eps0,
    # L <= l holds if c >= (1 - a^2) / (2 |z|) - a. The probability is an integral over |z|. A
    # vector shorter than u is no worse, because the density is log-concave along every line in the
    # direction u.
    radii, weights = _radii(eps0, dimension, nodes)
    bound = (1 - ratios[:, None] ** 2) / (2 * radii) - ratios[:, None]  # (n, radii)
    half = (dimension - 1) / 2
    found: Matrix = betainc(half, half, np.clip((1 - bound) / 2, 0.0, 1.0))
    probability = found @ weights
    return np.where(ratios >= 1, 1.0, np.where(ratios < -1, 0.0, probability))


def _radii(eps0: float, dimension: int, nodes: int) -> tuple[Vector, Vector]:
    """Return points and weights for integrals over the length of the noise at a sensitivity of 1.

    The points are those of Gauss and Legendre on 12 panels, with ``nodes`` points on each.
    """
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
    """Return the Rényi bound on the total epsilon of K-norm releases at delta.

    The bound is computed independently of ``knorm_epsilon``; the arguments are the same.

    >>> 1.52 < knorm_rdp_epsilon(1.0, 650, 100, 1e-5) < 1.52 * 1.2
    True
    """
    # Order a diverges by log E e^((a - 1) L) / (a - 1), for the privacy loss L; E integrates it.
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
"""Functions of the total epsilon, by accountant, with the arguments of ``knorm_epsilon``."""
