"""Laplace noise: independent noise in every coordinate, and its total epsilon.

In the worst case for privacy, the gradients of two neighbours differ by the same amount in every
coordinate.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from fedchain.arrays import Matrix, Singles
from fedchain.privacy.accounting import (
    RDP_ORDERS,
    cross_check,
    epsilon_of_divergences,
    pure_epsilon,
)
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
from fedchain.randomness import laplaces
from fedchain.registry import cites
from fedchain.transforms import add_gradients


@mechanisms
@cites("dwork2006", "koskela2020", when={"clip=automatic": ("bu2023",)})
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
    """Add independent Laplace noise to every coordinate, with a pure epsilon of eps0 per release.

    The scale is sqrt(dimension) * clip / (n * eps0), where n is the number of records, or 1 for
    unit holder. The total epsilon at delta is a Rényi bound, about 10 % too high. For the same
    total in high dimension, Laplace noise is sqrt(2) times as large as Gaussian noise.

    Args:
        releases: number of rounds of the run.
        dimension: length of a gradient.
        epsilon: tight total over all releases of a holder, from which eps0 is computed. With inf,
            gradients are clipped but get no noise.
        noise_multiplier: 1 / eps0. Give either this or epsilon.
        delta: chance that the tight bound on epsilon fails; keep it below 1 / records.
        clip: largest 2-norm of one gradient. With automatic, every gradient g becomes g / (norm(g)
            + .01), whose norm is below 1.
        unit: what is protected: each record of a holder, or the holder as a whole.
        spare_releases: additional releases for forks; by default a tenth of the rounds, at least 2.

    Reference:
        Dwork, McSherry, Nissim and Smith 2006, proposition 1.
    """
    terms = terms_of(releases, spare_releases, clip=clip, unit=unit, delta=delta)
    return near_gaussian(
        lambda noise: Laplace(terms=terms, noise_multiplier=noise, dimension=dimension),
        epsilon,
        noise_multiplier,
        ratio=math.sqrt(dimension),
        tolerance=1e-6,
    )


@dataclass(frozen=True, kw_only=True)
class Laplace(PureNoise):
    """Laplace noise in every coordinate, with one scale for the whole run.

    The noise multiplier is the scale of the noise divided by the sensitivity in the 1-norm.
    """

    name: str = "laplace"

    def release(
        self, gradients: Matrix, keys: Sequence[bytes], sensitivities: Sequence[float]
    ) -> Singles:
        """Return gradients plus noise of scale noise_multiplier * sqrt(dimension) * sensitivity."""
        drawn = laplaces(keys, gradients.shape[1])
        whole = self.noise_multiplier * math.sqrt(self.dimension)
        scales = [whole * moved for moved in sensitivities]
        add_gradients(drawn, scales, gradients)
        return drawn

    def noise_norm(self, sensitivity: float, dimension: int) -> float:
        """Return noise_multiplier * sensitivity * sqrt(2) * dimension.

        A coordinate has the scale noise_multiplier * sensitivity * sqrt(dimension), and a standard
        deviation of sqrt(2) times the scale.
        """
        return self.noise_multiplier * sensitivity * math.sqrt(2.0) * dimension

    def epsilon_after(self, releases: int) -> float:
        """Return the tight total epsilon at delta after this number of releases."""
        if self.noise_multiplier == 0 or releases == 0:
            return math.inf if releases else 0.0
        delta = self.terms.delta
        return laplace_epsilon(1 / self.noise_multiplier, self.dimension, releases, delta)

    epsilon_bound = epsilon_after

    def cross_check(self) -> None:
        """Check that the Rényi bound agrees with dp-accounting's total epsilon."""
        releases, delta = self.terms.releases, self.terms.delta
        total, single = self.epsilon_after(releases), self.epsilon_per_release
        if total > 0.9 * pure_epsilon(single, releases, delta):
            return  # the bound for any pure releases, which no second method checks
        spread = laplace_spread_epsilon(single, self.dimension, releases, delta)
        cross_check({"dp-accounting PLD": spread}, {"Rényi": total})


@lru_cache(maxsize=4096)
def laplace_epsilon(eps0: float, dimension: int, releases: int, delta: float) -> float:
    """Return an upper bound on the total epsilon of Laplace releases at delta.

    ``eps0`` is the pure epsilon of one release. The result is the smaller of ``pure_epsilon`` and a
    Rényi bound, which is some 10 % too high.

    Reference:
        Mironov, "Rényi Differential Privacy", table II; Kairouz, Oh and Viswanath, theorem 3.3.

    For eps0 = 1, 650 weights and 100 releases:

    >>> round(laplace_epsilon(1.0, 650, 100, 1e-5), 2)
    1.66
    """
    # Of all differences v of 2-norm 1, the even one has the largest Rényi divergence of any order.
    # The divergence of one coordinate with difference x is f(x) = (log(cosh bx + sinh(bx) / 2b)
    # - x/2) / (order - 1), with b = order - 1/2. Since f'(x) / x decreases, f is concave in x^2, so
    # the sum of f(v_i) with sum v_i^2 = 1 is largest where all v_i are equal.
    #
    # With gradients that differ by at most 1 in the 2-norm, eps0 is sqrt(d) / scale.
    count = dimension * releases
    divergences = {a: count * laplace_divergence(a, eps0 / dimension) for a in RDP_ORDERS}
    return min(epsilon_of_divergences(divergences, delta), pure_epsilon(eps0, releases, delta))


def laplace_divergence(order: float, shift: float) -> float:
    """Return the Rényi divergence between Laplace noise of scale 1 and the same noise plus a shift.

    The order is above 1, the shift above 0.

    >>> round(laplace_divergence(2.0, 1.0), 4)
    0.6191
    """
    kept = order / (2 * order - 1)
    up, down = (order - 1) * shift, -order * shift
    if up > 1:  # avoids overflow
        return (up + math.log(kept + (1 - kept) * math.exp(down - up))) / (order - 1)
    return math.log1p(kept * math.expm1(up) + (1 - kept) * math.expm1(down)) / (order - 1)


def laplace_spread_epsilon(eps0: float, dimension: int, releases: int, delta: float) -> float:
    """Return dp-accounting's bound on the total epsilon of Laplace releases in the worst case.

    The arguments are those of ``laplace_epsilon``. For eps0 = 1, 650 weights and 100 releases:

    >>> 1.5 < laplace_spread_epsilon(1.0, 650, 100, 1e-5) < 1.55
    True
    """
    from dp_accounting.pld import privacy_loss_distribution

    shift = eps0 / dimension
    one = privacy_loss_distribution.from_laplace_mechanism(
        1.0, sensitivity=shift, value_discretization_interval=shift
    )
    composed = one.self_compose(dimension * releases)
    with np.errstate(all="ignore"):  # dp-accounting takes logarithms of empty tails
        return float(composed.get_epsilon_for_delta(delta))
