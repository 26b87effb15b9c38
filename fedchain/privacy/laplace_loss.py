"""Cost of Laplace noise where the gradient of a record is bounded in the 2-norm.

Of all shifts v of 2-norm 1, the one that is spread evenly over all coordinates costs most, in Rényi
divergence of any order. The divergence of one coordinate shifted by x is f(x) = (log(cosh bx +
sinh(bx) / 2b) - x/2) / (order - 1), with b = order - 1/2. Since f'(x) / x decreases, f is concave
in x^2, so the sum of f(v_i) with sum v_i^2 = 1 is largest where all v_i are equal.
"""

from __future__ import annotations

import math

import numpy as np

from fedchain.privacy.accounting import RDP_ORDERS, epsilon_of_divergences, pure_epsilon


def laplace_epsilon(eps0: float, dimension: int, releases: int, delta: float) -> float:
    """Return a certified epsilon of Laplace releases at delta: the smaller of two bounds.

    They are the Rényi bound of the evenly spread shift, and the bound for any pure releases. Where
    the first is the smaller one, it lies some 10 % above the cost of that shift.

    Args:
        eps0: pure cost of one release, sqrt(d) / scale for shifts of 2-norm 1.
        dimension: d, 1 or more.
        releases: 1 or more.
        delta: above 0, below 1.

    Returns:
        epsilon, at most releases * eps0.

    Reference:
        Mironov, "Rényi Differential Privacy", table II; Kairouz, Oh and Viswanath, theorem 3.3.

    >>> round(laplace_epsilon(1.0, 650, 100, 1e-5), 2)
    1.66
    """
    count = dimension * releases
    divergences = {a: count * laplace_divergence(a, eps0 / dimension) for a in RDP_ORDERS}
    return min(epsilon_of_divergences(divergences, delta), pure_epsilon(eps0, releases, delta))


def laplace_divergence(order: float, shift: float) -> float:
    """Return the Rényi divergence between Laplace noise of scale 1 and the same noise shifted.

    Args:
        order: above 1.
        shift: above 0.

    >>> round(laplace_divergence(2.0, 1.0), 4)
    0.6191
    """
    kept = order / (2 * order - 1)
    up, down = (order - 1) * shift, -order * shift
    if up > 1:  # avoids overflow
        return (up + math.log(kept + (1 - kept) * math.exp(down - up))) / (order - 1)
    return math.log1p(kept * math.expm1(up) + (1 - kept) * math.expm1(down)) / (order - 1)


def laplace_spread_epsilon(eps0: float, dimension: int, releases: int, delta: float) -> float:
    """Return an upper bound on the cost of the evenly spread shift, by dp-accounting.

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
