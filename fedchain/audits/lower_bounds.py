"""Lower bounds on epsilon, from guesses which canaries (test records) took part in training.

A canary is "in" if it takes part in training, else "out". With a small epsilon, hardly more
than half of the guesses are right. A larger share of right guesses therefore proves a lower bound
on epsilon, with some confidence.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from fedchain.arrays import Flags, Vector, Wholes
from fedchain.privacy.accounting import gaussian_epsilon

Tradeoff = Literal["gaussian", "any"]
"""What is known about a mechanism's trade-off function: it is Gaussian, or nothing is known. This
function gives the least false negative rate of an attack for each false positive rate."""
GUESSED_SHARE = 10
"""The audit of one run guesses for one in ten canaries. The share must not depend on the scores."""
QUANTILES: dict[Tradeoff, Vector] = {
    "gaussian": np.linspace(0.1, 0.9, 17),
    "any": np.linspace(0.0, 1.0, 201)[:-1],
}
"""Quantiles of the scores that are tried as thresholds. With a Gaussian trade-off all
thresholds give the same bound, and the middle ones have the least sampling error. With another
trade-off, thresholds in the tails may give the largest bound."""


@dataclass(frozen=True)
class Trials:
    """A score of each canary, and whether the canary took part."""

    scores: Vector
    """One score per canary, shape (n,). The audit guesses "in" for large scores."""
    inside: Flags
    """Whether each canary took part in training, shape (n,)."""


def upper_rate(wrong: Wholes | int, count: int, error: float) -> Vector:
    """Return an upper bound on the probability of a wrong guess (Clopper and Pearson).

    Of ``count`` guesses, ``wrong`` were wrong. The true probability exceeds the bound with
    probability at most ``error``. Several values of ``wrong`` give one bound each.

    Reference:
        Clopper and Pearson, Biometrika 26 (1934).

    >>> round(float(upper_rate(0, 100, 0.025)), 4)  # 1 - 0.025 ** (1 / 100)
    0.0362
    """
    from scipy.stats import beta

    # The p for which P[Bin(count, p) <= wrong] = error is a quantile of the beta distribution.
    several = np.asarray(wrong)
    found = beta.ppf(1 - error, several + 1, np.maximum(count - several, 1))
    return np.asarray(np.where(several >= count, 1.0, found))


def separation(false_positive: Vector | float, false_negative: Vector | float) -> Vector:
    """Return the parameter mu of the Gaussian trade-off function through these error rates.

    mu is the distance between the means of two unit normal distributions that a test tells apart
    with these error rates. A mu below 0 proves nothing.

    >>> round(float(separation(0.0668, 0.0668)), 2)
    3.0
    """
    from scipy.special import ndtri

    return np.asarray(-ndtri(false_positive) - ndtri(false_negative))


def plain_epsilon(
    false_positive: Vector | float, false_negative: Vector | float, delta: float
) -> Vector:
    """Return the smallest epsilon at which a mechanism with this delta can have these error rates.

    Every mechanism fulfils a + e^epsilon b >= 1 - delta for the two error rates a and b, in
    either order.

    Reference:
        Kairouz, Oh and Viswanath, "The Composition Theorem for Differential Privacy", 2015.

    >>> round(float(plain_epsilon(0.01, 0.5, 0.0)), 4)  # log(0.5 / 0.01)
    3.912
    """
    first, second = np.asarray(false_positive), np.asarray(false_negative)
    kept = np.maximum((1 - delta - second) / first, (1 - delta - first) / second)
    return np.asarray(np.log(np.maximum(kept, 1.0)))


def lower_bound(
    candidates: Sequence[Trials], delta: float, tradeoff: Tradeoff, confidence: float = 0.95
) -> dict[str, float]:
    """Return the lower bound on epsilon that the scores of canaries prove.

    Every second canary serves to choose the score and the threshold; the bound comes from the other
    canaries. Using the same canaries for both would make the bound too large.

    Args:
        candidates: the same canaries, once with each kind of score.
        delta: the delta of the bound, above 0.
        tradeoff: with ``gaussian``, epsilon is computed from delta and the mu of ``separation``.
        confidence: the confidence of the bound, in (0, 1).

    Returns:
        The bound with its delta and confidence; the number of canaries that prove it, without
        those used to choose the threshold; and upper bounds on the two error rates.

    Reference:
        Jagielski, Ullman and Oprea, "Auditing Differentially Private Machine Learning", 2020;
        Nasr et al., "Tight Auditing of Differentially Private Machine Learning", 2023.

    >>> inside = np.arange(4000) % 4 < 2
    >>> perfect = Trials(inside.astype(float), inside)
    >>> lower_bound([perfect], 1e-5, "any")["lower_bound"] > 5
    True
    """
    error = (1 - confidence) / 2  # for each of the two rates
    value = separation if tradeoff == "gaussian" else functools.partial(plain_epsilon, delta=delta)
    found: list[tuple[float, float, Trials]] = []
    for trials in candidates:
        first = Trials(trials.scores[::2], trials.inside[::2])
        places = np.unique(np.quantile(first.scores, QUANTILES[tradeoff]))
        worth = value(*_upper_rates(first, places, error))
        best = int(np.argmax(worth))
        second = Trials(trials.scores[1::2], trials.inside[1::2])
        found.append((float(worth[best]), float(places[best]), second))
    _, place, judged = max(found, key=lambda each: each[0])
    positive, negative = (float(r[0]) for r in _upper_rates(judged, np.array([place]), error))
    if tradeoff == "any":
        epsilon = float(plain_epsilon(positive, negative, delta))
    else:
        mu = float(separation(positive, negative))
        epsilon = gaussian_epsilon(delta, mu) if mu > 0 else 0.0
    return {
        "lower_bound": epsilon,
        "delta": delta,
        "confidence": confidence,
        "trials": len(judged.scores),
        "false_positive": positive,
        "false_negative": negative,
    }


def _upper_rates(trials: Trials, places: Vector, error: float) -> tuple[Vector, Vector]:
    """Return upper bounds on the false positive and the false negative rate at each threshold.

    Scores above the threshold are guessed "in".
    """
    out, inside = np.sort(trials.scores[~trials.inside]), np.sort(trials.scores[trials.inside])
    positive = len(out) - np.searchsorted(out, places, side="right")
    negative = np.searchsorted(inside, places, side="right")
    return upper_rate(positive, len(out), error), upper_rate(negative, len(inside), error)


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


def auc(positive: Vector, negative: Vector) -> float:
    """Return the probability that a positive's score exceeds a negative's; ties count half.

    >>> auc(np.array([1.0, 2.0]), np.array([0.0, 1.0]))
    0.875
    """
    from scipy.stats import mannwhitneyu

    larger = mannwhitneyu(positive, negative).statistic
    return float(larger / (len(positive) * len(negative)))
