"""One-run audits: lower bounds on epsilon from guesses about a single run."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from fedchain.audits.lower_bounds import Trials

GUESSED_SHARE = 10
"""The audit of one run guesses for one in ten canaries. The share must not depend on the scores."""


def one_run_chance(
    canaries: int, guesses: int, correct: int, epsilon: float, delta: float
) -> float:
    """Return an upper bound on the probability of at least ``correct`` right guesses in one run.

    The bound holds for every mechanism with this epsilon and delta, and for all ways of guessing.
    At epsilon 0 and delta 0, a guess is right with probability 1/2.

    Args:
        canaries: number of canaries; each takes part with probability 1/2, independently.
        guesses: number of guesses, fixed beforehand; there is none for the other canaries.
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


def guessed(trials: Trials, delta: float, confidence: float) -> dict[str, Any]:
    """Return the lower bound on epsilon from one run, with the counts of guesses and right guesses.

    The largest scores are guessed "in", as many of the smallest "out". Each canary must have taken
    part with probability 1/2, independently of the others.
    """
    half = max(1, len(trials.scores) // GUESSED_SHARE // 2)
    order = np.argsort(trials.scores, kind="stable")
    correct = int(trials.inside[order[-half:]].sum() + (~trials.inside[order[:half]]).sum())
    found = one_run_bound(len(trials.scores), 2 * half, correct, delta, confidence)
    return {"lower_bound": found, "guesses": 2 * half, "correct": correct}
