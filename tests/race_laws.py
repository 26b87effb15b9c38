"""The published laws of selfish mining and double spending."""

from __future__ import annotations

from math import comb


def revenue(a: float, g: float) -> float:
    """Eyal and Sirer, equation (8): the attacker's share of the main chain."""
    return (a * (1 - a) ** 2 * (4 * a + g * (1 - 2 * a)) - a**3) / (1 - a * (1 + (2 - a) * a))


def success(q: float, z: int) -> float:
    """Rosenfeld's exact law, with one block mined before."""
    p = 1 - q
    return 1 - sum(comb(k + z - 1, k) * (p**z * q**k - q**z * p**k) for k in range(z))
