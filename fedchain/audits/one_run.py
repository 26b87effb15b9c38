"""One-run audits: lower bounds on epsilon from guesses about a single run."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from fedchain.audits.lower_bounds import Tradeoff, Trials
from fedchain.privacy.accounting import gaussian_epsilon

# must not depend on the scores
GUESSED_SHARE = 10
"""In the audit of one run, one in this number of canaries gets a guess."""


def one_run_chance(
    canaries: int, guesses: int, correct: int, epsilon: float, delta: float
) -> float:
    """Return an upper bound on the probability of at least ``correct`` right guesses in one run.

    The bound holds for every mechanism with this epsilon and delta, and for every way of guessing.

    Args:
        canaries: number of canaries; each takes part with probability 1/2, independently.
        guesses: number of canaries with a guess, fixed beforehand.
        correct: number of right guesses.
        epsilon: 0 or more.
        delta: 0 or more.

    Reference:
        Steinke, Nasr and Jagielski, "Privacy Auditing with One (1) Training Run", 2023,
        theorem 5.2.

    >>> one_run_chance(100, 10, 10, 0.0, 0.0) == 2.0**-10
    True
    """
    from scipy.stats import binom

    # With m canaries, r guesses, v right guesses, and B ~ Bin(r, 1 / (1 + e^-epsilon)), it is
    # P[B >= v] + 2 m delta max_i P[v > B >= v - i] / i.
    right = binom(guesses, 1 / (1 + math.exp(-epsilon)))
    reached = float(right.sf(correct - 1))
    steps = np.arange(1, correct + 1)
    below = right.cdf(correct - 1) - right.cdf(correct - 1 - steps)
    return min(1.0, reached + 2 * canaries * delta * float((below / steps).max(initial=0.0)))


def one_run_bound(
    canaries: int, guesses: int, correct: int, delta: float, confidence: float = 0.95
) -> float:
    """Return the largest epsilon that the guesses of one run rule out, rounded down.

    The arguments are those of ``one_run_chance``.

    >>> round(one_run_bound(1000, 100, 95, 0.0), 4)
    2.1724
    """
    low, high = 0.0, 64.0
    while high - low > 1e-9:
        middle = (low + high) / 2
        if one_run_chance(canaries, guesses, correct, middle, delta) > 1 - confidence:
            high = middle
        else:
            low = middle
    return low


def gaussian_chance_is_below(
    error: float, mu: float, canaries: int, guesses: int, correct: int
) -> bool:
    """Return whether at least ``correct`` right guesses have a probability below ``error``.

    True holds for every mechanism with mu-Gaussian differential privacy, and for every way of
    guessing. The counts are those of ``one_run_chance``; ``mu`` is 0 or more.

    Reference:
        Mahloujifar, Melis and Chaudhuri, "Auditing f-Differential Privacy in One Run", ICML 2025:
        the recursion of its numerical bound on the tail of right guesses, for two guesses.

    >>> gaussian_chance_is_below(0.05, 0.3, 1000, 1000, 700)
    True
    >>> gaussian_chance_is_below(0.05, 0.5, 1000, 1000, 700)
    False
    """
    from scipy.special import ndtr, ndtri

    # Let P[k] be the probability of k right guesses. Over k >= i, ``right`` sums k P[k] / m, and
    # ``wrong`` sums (r - k) P[k] / m. For each i, wrong from i is at least f(right from i + 1). So
    # the least P[i], and with it the least sums, follow from those above. If P[k >= v] were the
    # error and the sums from 0 exceeded their true total r / m, there would be a contradiction.
    right, wrong = error * correct / canaries, error * (guesses - correct) / canaries
    for i in range(correct - 1, -1, -1):
        least = max(wrong, float(ndtr(ndtri(right) - mu)))
        right += i / (guesses - i) * (least - wrong)
        wrong = least
        if right + wrong > guesses / canaries:
            return True
    return False


def one_run_mu(canaries: int, guesses: int, correct: int, confidence: float = 0.95) -> float:
    """Return the largest mu that the guesses of one run rule out, rounded down; 0 if none.

    The arguments are those of ``gaussian_chance_is_below``.
    """
    low, high = 0.0, 16.0
    while high - low > 1e-6:
        middle = (low + high) / 2
        if gaussian_chance_is_below(1 - confidence, middle, canaries, guesses, correct):
            low = middle
        else:
            high = middle
    return low


def guessed(trials: Trials, delta: float, tradeoff: Tradeoff, confidence: float) -> dict[str, Any]:
    """Return the lower bound on epsilon from one run, with the counts of guesses and right guesses.

    The largest scores are guessed "in", and as many of the smallest "out". Each canary must take
    part with probability 1/2, independently of the others.
    """
    half = max(1, len(trials.scores) // GUESSED_SHARE // 2)
    order = np.argsort(trials.scores, kind="stable")
    correct = int(trials.inside[order[-half:]].sum() + (~trials.inside[order[:half]]).sum())
    counts = len(trials.scores), 2 * half, correct
    if tradeoff == "gaussian":
        mu = one_run_mu(*counts, confidence)
        found = gaussian_epsilon(delta, mu) if mu > 0 else 0.0
    else:
        found = one_run_bound(*counts, delta, confidence)
    return {"lower_bound": found, "guesses": 2 * half, "correct": correct}
