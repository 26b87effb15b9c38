"""Accounting: computes the total epsilon and delta of several releases, by independent methods.

Two neighbouring data sets differ in one gradient, which is zero in one of them.
"""

from __future__ import annotations

import contextlib
import math
import warnings
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from fedchain.arrays import Vector
from fedchain.cache import AGREED, mark_used, place_of, try_add
from fedchain.errors import FedchainError, Problem, ScenarioError
from fedchain.version import version_of

if TYPE_CHECKING:
    from dp_accounting.pld.privacy_loss_distribution import PrivacyLossDistribution

    from fedchain.privacy.mechanisms import Mechanism

RDP_ORDERS = (
    *(1 + x / 10 for x in range(1, 100)),
    *range(11, 64),
    *(round(64 * 2 ** (x / 4)) for x in range(25)),
)
"""Orders of the Rényi divergences: those of Opacus, and larger ones for small epsilon."""
VACUOUS = 100.0  # a larger one promises nothing, and makes discretised accountants overflow
"""Largest total epsilon that is checked."""
# At a rate of .001, a finer grid takes ten times as long and changes epsilon by less than 10^-4.
LEAST_RATE = 0.01
"""Least sampling rate for which dp-accounting's grid is made finer. Smaller rates use the same
grid."""
MOST_FURTHER = 30.0
"""``least_noise`` gives up if the noise must exceed the guess by more than the factor e^30."""
ACCOUNTANTS = ("fedchain", "opacus", "dp-accounting", "scipy", "numpy")
"""Packages that compute epsilon. After an update of one of them, totals are checked again."""


def gaussian_delta(epsilon: float, mu: float) -> float:
    """Return the smallest delta of mu-Gaussian differential privacy at an epsilon of 0 or more.

    For full-batch Gaussian releases, mu is sqrt(releases) / noise multiplier. Delta is
    Phi(mu/2 - epsilon/mu) - e^epsilon Phi(-mu/2 - epsilon/mu), where Phi is the standard normal
    distribution function.

    Reference:
        Balle and Wang, "Improving the Gaussian Mechanism for Differential Privacy", theorem 5.

    >>> round(gaussian_delta(4.3772, 1.0) * 1e5, 3)
    1.0
    """
    from scipy.special import log_ndtr

    kept = math.exp(log_ndtr(mu / 2 - epsilon / mu))
    taken = math.exp(min(0.0, epsilon + log_ndtr(-mu / 2 - epsilon / mu)))
    return max(0.0, kept - taken)


def gaussian_epsilon(delta: float, mu: float) -> float:
    """Return the smallest epsilon of mu-Gaussian differential privacy at a delta.

    The result is rounded up by at most one part in 10^12.

    >>> round(gaussian_epsilon(1e-5, 1.0), 4)
    4.3772
    """
    if gaussian_delta(0.0, mu) <= delta:
        return 0.0
    high = mu * (mu / 2 + math.sqrt(2 * math.log(1 / delta))) + 1.0
    return _least_epsilon(lambda epsilon: gaussian_delta(epsilon, mu), delta, high)


def _least_epsilon(delta_of: Callable[[float], float], delta: float, high: float) -> float:
    """Return the least epsilon up to ``high`` with ``delta_of(epsilon) <= delta``, rounded up."""
    low = 0.0
    while high - low > 1e-12 * high:
        middle = (low + high) / 2
        low, high = (middle, high) if delta_of(middle) > delta else (low, middle)
    return high


def gaussian_noise_multiplier(epsilon: float, delta: float, releases: int = 1) -> float:
    """Return the least noise multiplier of full-batch Gaussian releases with this total epsilon.

    The noise multiplier is the standard deviation of the noise divided by the sensitivity. The
    result is rounded up. ``epsilon`` must be above 0 and finite.

    >>> round(gaussian_noise_multiplier(1.0, 1e-5), 5)
    3.73063
    """
    # this classical formula holds only for epsilon below 1
    guess = math.sqrt(2 * releases * math.log(1.25 / delta)) / epsilon
    return least_noise(
        lambda noise: gaussian_epsilon(delta, math.sqrt(releases) / noise), epsilon, guess, 1e-10
    )


def pure_epsilon(eps0: float, releases: int, delta: float) -> float:
    """Return the total epsilon at delta of releases that each have the pure epsilon ``eps0``.

    The result is the least total that holds for all such releases, rounded up. A release may depend
    on the earlier ones.

    Reference:
        Kairouz, Oh and Viswanath, "The Composition Theorem for Differential Privacy", theorem 3.3.

    >>> round(pure_epsilon(0.1, 50, 1e-5), 4)
    2.8447
    """
    from scipy.stats import binom

    # The worst release is a randomised response, whose privacy loss is +eps0 or -eps0.
    ups = np.arange(releases + 1)
    losses = (2 * ups - releases) * eps0
    masses = binom.pmf(ups, releases, 1 / (1 + math.exp(-eps0)))

    def excess(epsilon: float) -> float:
        return float(masses @ np.clip(-np.expm1(np.minimum(epsilon - losses, 0)), 0, 1))

    return _least_epsilon(excess, delta, releases * eps0)


def least_noise(
    epsilon_of: Callable[[float], float], epsilon: float, guess: float, tolerance: float
) -> float:
    """Return the least noise with ``epsilon_of(noise) <= epsilon``, rounded up.

    Args:
        epsilon_of: returns the epsilon of a noise; more noise has a smaller epsilon.
        epsilon: the largest allowed epsilon, above 0 and finite.
        guess: a noise of the right order of magnitude.
        tolerance: the largest relative excess of the result over the least noise.

    Raises:
        ValueError: even e^30 times the guess is too little noise.
    """
    from scipy.optimize import brentq

    def excess(log_noise: float) -> float:
        return math.log(min(max(epsilon_of(math.exp(log_noise)), 1e-300), 1e300) / epsilon)

    low = high = math.log(guess)
    while excess(low) <= 0:
        low -= 0.5
    while excess(high) > 0:
        high += 0.5
        if high - low > MOST_FURTHER:
            raise ValueError(
                f"privacy.epsilon: no noise keeps the total at {epsilon:g}; a larger epsilon or "
                "delta, or fewer rounds are allowed"
            )
    noise = math.exp(brentq(excess, low, high, xtol=tolerance / 2, rtol=1e-15))
    while epsilon_of(noise) > epsilon:
        noise *= 1 + tolerance
    return noise


def pld_epsilon(
    noise_multiplier: float, releases: int, delta: float, sampling_rate: float = 1.0
) -> float:
    """Return dp-accounting's upper bound on the total epsilon of Gaussian releases.

    In each release, every record takes part with probability ``sampling_rate``, independently of
    the others (Poisson sampling).
    """
    one = _one_gaussian(noise_multiplier, sampling_rate)
    return float(one.self_compose(releases).get_epsilon_for_delta(delta))


@lru_cache(maxsize=4)
def _one_gaussian(noise_multiplier: float, sampling_rate: float) -> PrivacyLossDistribution:
    from dp_accounting import NeighboringRelation
    from dp_accounting.pld import privacy_loss_distribution

    return privacy_loss_distribution.from_gaussian_mechanism(
        noise_multiplier,
        value_discretization_interval=0.01 * max(sampling_rate, LEAST_RATE) / noise_multiplier,
        sampling_prob=sampling_rate,
        neighboring_relation=NeighboringRelation.ADD_OR_REMOVE_ONE,
    )


def prv_epsilon(
    noise_multiplier: float, releases: int, delta: float, sampling_rate: float = 1.0
) -> float:
    """Return an upper bound on the total epsilon of Gaussian releases, by Opacus' PRV accountant.

    The bound is at most .01 too high.

    Raises:
        ValueError: Opacus cannot represent the total.
    """
    from opacus.accountants import PRVAccountant

    accountant = PRVAccountant()
    accountant.history = [(noise_multiplier, sampling_rate, releases)]
    try:
        # Opacus takes log(0) on purpose when the rate is 1. It also warns when it chooses its
        # domain by the smallest or the largest of its Rényi orders.
        with np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Optimal order is the")
            return float(accountant.get_epsilon(delta))
    except (ArithmeticError, ValueError, RuntimeError, MemoryError) as error:
        raise ValueError(
            f"privacy.accountant: prv has no total for noise multiplier {noise_multiplier:.4g} at "
            f"delta {delta:g} ({error}); pld is allowed, or a larger epsilon"
        ) from error


def rdp_epsilon(
    noise_multiplier: float, releases: int, delta: float, sampling_rate: float = 1.0
) -> float:
    """Return Opacus' Rényi bound on the total epsilon of Gaussian releases, 8 to 17 % too high."""
    values = releases * _one_divergence(noise_multiplier, sampling_rate)
    return epsilon_of_divergences(dict(zip(RDP_ORDERS, values, strict=True)), delta)


@lru_cache(maxsize=4)
def _one_divergence(sigma: float, rate: float) -> Vector:
    from opacus.accountants.analysis.rdp import compute_rdp

    return np.asarray(compute_rdp(q=rate, noise_multiplier=sigma, steps=1, orders=RDP_ORDERS))


def epsilon_of_divergences(divergences: Mapping[float, float], delta: float) -> float:
    """Return the epsilon at delta that follows from Rényi divergences, with Opacus' formula.

    ``divergences`` maps each order to the divergence of that order.
    """
    from opacus.accountants.analysis.rdp import get_privacy_spent

    orders, values = list(divergences), list(divergences.values())
    with warnings.catch_warnings():  # the smallest or largest order gives a looser, valid bound
        warnings.filterwarnings("ignore", message="Optimal order is the")
        epsilon, _ = get_privacy_spent(orders=orders, rdp=values, delta=delta)
    return max(0.0, float(epsilon))


def cross_check(tight: Mapping[str, float], bounds: Mapping[str, float]) -> None:
    """Check that independent accountants agree on a total epsilon.

    Args:
        tight: total epsilon by accountant's name. The first value is the reported total R. The
            others may differ from R by at most .02 + .01 R.
        bounds: upper bounds on the total epsilon, by accountant's name. Each must be at least .9 R
            - .02. If ``tight`` has only one value, each must also be at most 1.35 R + .2, or 2 R +
            .2 for R above 10.

    Raises:
        FedchainError: two accountants disagree; the error quotes both totals.

    >>> cross_check({"closed form": 1.000, "PRV": 1.010}, {"RDP": 1.09})
    """
    (name, reported), *others = tight.items()
    margin = 0.02 + 0.01 * reported  # few sampled records: a Rényi bound is further above
    most = math.inf if others else (1.35 if reported <= 10 else 2.0) * reported + 0.2
    agreements = [(*other, abs(other[1] - reported) <= margin) for other in others]
    agreements += [
        (other, value, 0.9 * reported - 0.02 <= value <= most) for other, value in bounds.items()
    ]
    for other, value, agrees in agreements:
        if not agrees:
            raise FedchainError(
                f"privacy: two accountants disagree on the total epsilon: {name} {reported:.6g}, "
                f"{other} {value:.6g}; they must agree before a run can start"
            )


def cross_checked(mechanism: Mechanism) -> None:
    """Check that all accountants agree on a mechanism's total epsilon.

    An agreement is stored in the user's cache folder, and is checked again only after an update of
    one of the ``ACCOUNTANTS``. A total above ``VACUOUS`` is not checked.

    Raises:
        ScenarioError: an accountant cannot represent the total.
        FedchainError: two accountants disagree; the error quotes both totals.
    """
    if mechanism.epsilon_after(mechanism.terms.releases) > VACUOUS:
        return
    # Loading the accountants takes a second and 130 MB, at every point of a sweep.
    versions = [f"{name} {version_of(name)}" for name in ACCOUNTANTS]
    text = "\n".join((repr(mechanism), *versions))
    path = place_of(AGREED, text, "txt")
    with contextlib.suppress(OSError):
        if path.read_bytes() == text.encode():
            mark_used(path)
            return
    try:
        mechanism.cross_check()
    except (ArithmeticError, ValueError, RuntimeError) as error:
        words = f"no accountant can check the total ({error}); a larger epsilon is allowed"
        raise ScenarioError([Problem(("privacy",), words)]) from error
    try_add(path, lambda file: file.write(text.encode()))
