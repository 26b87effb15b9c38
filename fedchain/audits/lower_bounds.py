"""Lower bounds on epsilon, from guesses about which canaries (test records) took part in training.

A canary is "in" if it takes part in training, else "out". A large share of right guesses proves a
lower bound on epsilon, with some confidence.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from fedchain.arrays import Flags, Vector, Wholes
from fedchain.privacy.accounting import gaussian_epsilon
from fedchain.scenario import Scenario

Tradeoff = Literal["gaussian", "any"]
"""What is known about a mechanism's trade-off function: it is Gaussian, or nothing is known. The
function maps each false positive rate to the least false negative rate of an attack."""
PLACES: Vector = np.linspace(0.0, 1.0, 201)[:-1]
"""Quantiles of the scores that are tried as thresholds if the trade-off function is not known."""
HALF = 0.5
"""Threshold of scores that are near 1 for canaries that are in, and near 0 for the others."""


@dataclass(frozen=True)
class Trials:
    """A score of each canary, and whether the canary took part."""

    scores: Vector
    """One score per canary, shape (n,). The audit guesses "in" for large scores."""
    inside: Flags
    """Whether each canary took part in training, shape (n,)."""


def tradeoff_of(scenario: Scenario) -> Tradeoff:
    """Return ``gaussian`` if the noise has a Gaussian trade-off function, else ``any``.

    Skellam noise counts as Gaussian. Noise for sampled records does not.
    """
    privacy = scenario.privacy
    # Skellam noise differs from rounded normal noise by only a few parts in 10^5.
    normal = privacy.kind in ("gaussian", "privacy_filter", "skellam")
    return "gaussian" if normal and privacy.parameters.get("sampling_rate", 1) == 1 else "any"


def upper_rate(wrong: Wholes | int, count: int, error: float) -> Vector:
    """Return an upper bound on the probability of a wrong guess (Clopper and Pearson).

    Of ``count`` guesses, ``wrong`` were wrong. The bound fails with probability at most ``error``.
    Several values of ``wrong`` give one bound each.

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

    A mu below 0 proves nothing.

    >>> round(float(separation(0.0668, 0.0668)), 2)
    3.0
    """
    # mu is the distance between two unit normal distributions
    from scipy.special import ndtri

    return np.asarray(-ndtri(false_positive) - ndtri(false_negative))


def plain_epsilon(
    false_positive: Vector | float, false_negative: Vector | float, delta: float
) -> Vector:
    """Return the smallest epsilon at which a mechanism with this delta can have these error rates.

    Reference:
        Kairouz, Oh and Viswanath, "The Composition Theorem for Differential Privacy", 2015.

    >>> round(float(plain_epsilon(0.01, 0.5, 0.0)), 4)  # log(0.5 / 0.01)
    3.912
    """
    # a + e^epsilon b >= 1 - delta holds for the two error rates a and b, in either order
    first, second = np.asarray(false_positive), np.asarray(false_negative)
    kept = np.maximum((1 - delta - second) / first, (1 - delta - first) / second)
    return np.asarray(np.log(np.maximum(kept, 1.0)))


def lower_bound(
    candidates: Mapping[str, Trials],
    delta: float,
    tradeoff: Tradeoff,
    confidence: float = 0.95,
    factor: float = 1.0,
) -> dict[str, Any]:
    """Return the largest lower bound on epsilon that one of several scores proves.

    A canary is guessed "in" if its score exceeds 1/2. The bound holds with this confidence,
    although several scores are tried (Bonferroni).

    Args:
        candidates: the scores by name; each is near 1 for "in" and near 0 for "out".
        delta: the delta of the bound, above 0.
        tradeoff: what is known about the trade-off function.
        confidence: the confidence of the bound, in (0, 1).
        factor: mu of a whole run divided by mu of one trial; only with ``gaussian``.

    Returns:
        The bound and its delta, the name of the score (``found_in``), the number of canaries
        (``trials``), and upper bounds on the two error rates.

    Reference:
        Nasr et al., "Tight Auditing of Differentially Private Machine Learning", 2023.

    >>> inside = np.arange(2000) % 4 < 2
    >>> blind, clear = Trials(inside * 0.0, inside), Trials(inside * 1.0, inside)
    >>> found = lower_bound({"round 1": blind, "round 2": clear}, 1e-5, "gaussian")
    >>> found["found_in"], found["lower_bound"] > 30
    ('round 2', True)
    """
    error, place = (1 - confidence) / len(candidates), np.array([HALF])
    found = {
        name: _error_rates(trials, place, error, tradeoff) for name, trials in candidates.items()
    }
    worth = {name: float(_value(*rates, delta, tradeoff)[0]) for name, rates in found.items()}
    best = max(worth, key=worth.__getitem__)
    return _bound(best, candidates[best], found[best], delta, tradeoff, factor)


def tail_bound(
    candidates: Mapping[str, Trials], delta: float, confidence: float = 0.95
) -> dict[str, Any]:
    """Return a lower bound on epsilon from the best threshold, for every trade-off function.

    Half of the canaries serve to choose score and threshold, and the other half to prove the bound.
    Arguments and result are those of ``lower_bound``.

    Reference:
        Jagielski, Ullman and Oprea, "Auditing Differentially Private Machine Learning", 2020.

    >>> inside = np.arange(4000) % 4 < 2
    >>> tail_bound({"run": Trials(inside.astype(float), inside)}, 1e-5)["lower_bound"] > 5
    True
    """
    error = 1 - confidence
    found: list[tuple[float, float, str]] = []
    for name, trials in candidates.items():
        first = Trials(trials.scores[::2], trials.inside[::2])
        places = np.unique(np.quantile(first.scores, PLACES))
        worth = _value(*_error_rates(first, places, error, "any"), delta, "any")
        best = int(np.argmax(worth))
        found.append((float(worth[best]), float(places[best]), name))
    _, place, name = max(found, key=lambda each: each[0])
    judged = Trials(candidates[name].scores[1::2], candidates[name].inside[1::2])
    rates = _error_rates(judged, np.array([place]), error, "any")
    return _bound(name, judged, rates, delta, "any")


def _value(positive: Vector, negative: Vector, delta: float, tradeoff: Tradeoff) -> Vector:
    """Return what error rates prove: mu if the trade-off is Gaussian, else epsilon."""
    if tradeoff == "gaussian":
        return separation(positive, negative)
    return plain_epsilon(positive, negative, delta)


def _bound(
    name: str,
    judged: Trials,
    rates: tuple[Vector, Vector],
    delta: float,
    tradeoff: Tradeoff,
    factor: float = 1.0,
) -> dict[str, Any]:
    proved = float(_value(*rates, delta, tradeoff)[0])
    if tradeoff == "gaussian":
        proved = gaussian_epsilon(delta, factor * proved) if proved > 0 else 0.0
    return {
        "lower_bound": proved,
        "delta": delta,
        "trials": len(judged.scores),
        "found_in": name,
        "false_positive": float(rates[0][0]),
        "false_negative": float(rates[1][0]),
    }


def _error_rates(
    trials: Trials, places: Vector, error: float, tradeoff: Tradeoff
) -> tuple[Vector, Vector]:
    """Return upper bounds on the false positive and the false negative rate at each threshold.

    Scores above the threshold are guessed "in". The bounds fail with probability at most ``error``.
    """
    out, inside = np.sort(trials.scores[~trials.inside]), np.sort(trials.scores[trials.inside])
    positive = len(out) - np.searchsorted(out, places, side="right")
    negative = np.searchsorted(inside, places, side="right")
    if tradeoff == "gaussian":
        # A Gaussian trade-off function is convex and symmetric, so that the mean of the two rates
        # may stand for both. Since a canary is in with probability 1/2, all guesses together bound
        # it.
        mean = upper_rate(positive + negative, len(trials.scores), error)
        return mean, mean
    half = error / 2
    return upper_rate(positive, len(out), half), upper_rate(negative, len(inside), half)


def auc(positive: Vector, negative: Vector) -> float:
    """Return the probability that a score in ``positive`` exceeds one in ``negative``.

    Ties count half.

    >>> auc(np.array([1.0, 2.0]), np.array([0.0, 1.0]))
    0.875
    """
    from scipy.stats import mannwhitneyu

    larger = mannwhitneyu(positive, negative).statistic
    return float(larger / (len(positive) * len(negative)))
