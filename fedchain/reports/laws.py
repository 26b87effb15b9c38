"""Published laws of proof-of-work chains, drawn beside measurements."""

from __future__ import annotations

import math


def stale_share(delay: float, miners: int | None = None) -> float:
    """Return the stale share of all blocks, for equal miners.

    For a delay x it is x / (1 + x) if there are many miners: a height lasts one interval after its
    first block has arrived. Few miners lose less: a miner that found a block of that height already
    works on the next one during the delay. With N_x the blocks found in a delay, one height lasts
    ``T = sum_j P(N_x >= j) prod_{i<=j} (1 - i/n)`` intervals, and 1 - 1/T of the blocks are stale
    (two heights in one delay are neglected, 1/n^2). It is not 1 - e^-x, the probability that a
    given block has a rival.

    Args:
        delay: time from any miner to any other, in mean intervals, 0 or more.
        miners: number of equal miners, at least 1; None: many.

    Returns:
        From 0 to below 1.

    >>> round(stale_share(0.3), 4), round(stale_share(0.3, 20), 4), stale_share(0.3, 1)
    (0.2308, 0.2191, 0.0)
    """
    if miners is None:
        return delay / (1.0 + delay)
    lasts, alone, exactly, at_least = 0.0, 1.0, math.exp(-delay), 1.0
    for found in range(miners):
        lasts += alone * at_least
        at_least, exactly = at_least - exactly, exactly * delay / (found + 1)
        alone *= 1.0 - (found + 1) / miners
    return 1.0 - 1.0 / lasts


def selfish_revenue(share: float, gamma: float) -> float:
    """Return the selfish miner's share of the main chain.

    Args:
        share: of all work, 0 to below 1/2.
        gamma: share of the honest work that builds on the attacker's block in a tie, 0 to 1.

    Returns:
        From 0 to below 1; the attack pays if it is above ``share``.

    Reference:
        Eyal and Sirer, Majority is not Enough: Bitcoin Mining is Vulnerable, 2014, equation (8).

    >>> round(selfish_revenue(0.3, 0.0), 4), round(selfish_revenue(0.25, 0.5), 4)
    (0.2731, 0.25)
    """
    a = share
    gained = a * (1 - a) ** 2 * (4 * a + gamma * (1 - 2 * a)) - a**3
    return gained / (1 - a * (1 + (2 - a) * a))


def double_spend_success(share: float, confirmations: int) -> float:
    """Return the probability of a double spend whose attacker has mined one block in advance.

    Args:
        share: of all work, 0 to below 1/2.
        confirmations: blocks z that confirm the payment before the merchant delivers, at least 1.

    Returns:
        The exact probability, not Nakamoto's Poisson approximation.

    Reference:
        Rosenfeld, Analysis of Hashrate-Based Double Spending, 2014, equation (1).

    >>> round(double_spend_success(0.1, 2), 4), round(double_spend_success(0.3, 6), 7)
    (0.056, 0.1564496)
    """
    q, p, z = share, 1.0 - share, confirmations
    return 1.0 - math.fsum(math.comb(k + z - 1, k) * (p**z * q**k - q**z * p**k) for k in range(z))
