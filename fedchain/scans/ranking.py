"""Metrics of scores, which need no threshold: average precision, and area under the ROC curve."""

from __future__ import annotations

import numpy as np

from fedchain.arrays import Array, Flags, Vector


def ranking_metrics(scores: Array, positives: Flags) -> tuple[float, float]:
    """Return the average precision and the area under the ROC curve.

    The average precision is the mean, over the positives, of the precision among all entries whose
    score is at least as high. The area is the probability that a positive has a higher score than a
    negative; equal scores count one half. Both take equal scores together, in any order.

    Args:
        scores: scores, higher for what is more likely positive, shape (entries,). NaN counts as the
            highest.
        positives: whether each entry is positive, shape (entries,).

    Returns:
        The average precision, which is 0 without positives; and the area, which is 1/2 without
        positives or without negatives.

    >>> ranking_metrics(np.array([0.9, 0.8, 0.1]), np.array([True, False, True]))
    (0.8333333333333333, 0.5)
    """
    found, named = _counts(
        np.nan_to_num(scores, nan=np.inf, posinf=np.inf, neginf=-np.inf), positives
    )
    wanted, rest = found[-1], named[-1] - found[-1]
    if wanted == 0:
        return 0.0, 0.5
    precision = found[1:] / named[1:]
    average = float((np.diff(found) * precision).sum() / wanted)
    if rest == 0:
        return average, 0.5
    false = named - found
    below = np.diff(false) * (found[1:] + found[:-1]) / 2
    return average, float(below.sum() / (wanted * rest))


def _counts(scores: Array, positives: Flags) -> tuple[Vector, Vector]:
    """Return the positives, and all entries, among those with the highest scores; first (0, 0).

    There is one count for each different score.
    """
    order = np.argsort(scores)[::-1]
    ordered = scores[order]
    last = np.flatnonzero(np.append(ordered[1:] != ordered[:-1], len(ordered) > 0))
    found = np.cumsum(positives[order])[last]
    return np.concatenate([[0.0], found]), np.concatenate([[0.0], last + 1.0])
