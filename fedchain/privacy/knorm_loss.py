"""Privacy-loss distribution of the K-norm mechanism: noise of density e^(-eps0 |z| / Delta).

With sensitivity 1 and u a unit vector, the loss of one release is L = eps0 (|z - u| - |z|). Here
|z| ~ Gamma(d, 1/eps0), and the cosine c between z and u has (1 + c) / 2 ~
Beta((d-1)/2, (d-1)/2). L <= l is the event c >= (1 - a^2) / (2 |z|) - a with a = l / eps0, so its
probability is one integral over the radius. A shift shorter than u costs no more, because the
density is log-concave along every line in the direction u.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from fedchain.arrays import Matrix, Vector
from fedchain.privacy.accounting import epsilon_of_divergences, pure_epsilon

if TYPE_CHECKING:
    from dp_accounting.pld.pld_pmf import PLDPmf

POINTS = 1200
"""Grid points for the loss of one release; its standard deviation spans about 60 of them."""
LEAST_DIMENSION, LARGEST_SPREAD = 8, 1.5
"""Least dimension, and largest eps0 / sqrt(d + 1), for which the integral is accurate. Beyond them
one release alone costs more than anyone would accept."""
DEVIATIONS = 10.0
"""Standard deviations of the loss on either side of 0 that the grid covers."""


def knorm_epsilon(eps0: float, dimension: int, releases: int, delta: float) -> float:
    """Return a certified epsilon of several K-norm releases at delta.

    Every step errs upwards. The hockey-stick curve of one release is computed at grid points, with
    the error of the integral added. The points are joined by chords (connect the dots), the tail
    counts as a sure loss, and dp-accounting composes the releases. The result is never above the
    bound for any pure releases. That bound is returned where d < 8 or eps0 > 1.5 sqrt(d + 1); it
    is valid there, but not tight.

    Args:
        eps0: pure cost of one release, above 0.
        dimension: d, 2 or more.
        releases: 1 or more.
        delta: above 0, below 1.

    Returns:
        epsilon, near Gaussian differential privacy with mu = sqrt(releases) eps0 / sqrt(d + 1)
        in high dimension.

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
    """Return P(L <= l) at l / eps0 = ratios (n,), by one integral over the radius for each."""
    from scipy.special import betainc

    radii, weights = _radii(eps0, dimension, nodes)
    bound = (1 - ratios[:, None] ** 2) / (2 * radii) - ratios[:, None]  # (n, radii)
    half = (dimension - 1) / 2
    found: Matrix = betainc(half, half, np.clip((1 - bound) / 2, 0.0, 1.0))
    probability = found @ weights
    return np.where(ratios >= 1, 1.0, np.where(ratios < -1, 0.0, probability))


def _radii(eps0: float, dimension: int, nodes: int) -> tuple[Vector, Vector]:
    """Return radii and their weights under Gamma(d, 1/eps0): Gauss-Legendre on 12 panels."""
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

    The divergence of order alpha is log E e^((alpha - 1) L) / (alpha - 1), integrated directly over
    radius and angle. Opacus converts the divergences to epsilon.

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
