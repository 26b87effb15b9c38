"""MDA and SMEA: rules that try every subset of the messages and take the one that agrees most."""

from __future__ import annotations

import functools
import itertools
import math

import numpy as np

from fedchain.aggregation.rule import Aggregate, Received, Scale, aggregations
from fedchain.aggregation.spectral import SHARE, spectral_shares
from fedchain.aggregation.vectors import (
    Byzantine,
    First,
    Vectors,
    check_number,
    combined,
    mixed_vectors,
)
from fedchain.arrays import Flags, Matrix, Vector
from fedchain.ordered import applied, leading_eigenvector
from fedchain.registry import cites

MOST_SUBSETS, MOST_SPECTRA = 60_000, 6000
"""Largest number of subsets of which ``mda`` compares diameters, and ``smea`` eigenvalues."""
ENTRIES_TOGETHER = 2**21
"""Number of entries of matrices whose eigenvalues are found at a time."""


@aggregations
@cites("elmhamdi2020")
def mda(
    received: Received,
    *,
    byzantine: Byzantine = None,
    scale: Scale = "restore",
    first: First = (),
) -> Aggregate:
    """Average the subset of vectors with the smallest diameter (minimum-diameter averaging).

    Of n vectors, f may be Byzantine. The rule compares all subsets of n - f vectors. The diameter
    is the largest distance of two vectors in the subset. Of equal diameters, the subset goes first
    whose message ids come first.

    Args:
        received: the messages of the block.
        byzantine: the number f of vectors that may be Byzantine. The quorum must be above 2f. null:
            the number of attackers in the scenario's attacks.
        scale: number that multiplies each direction before vectors are compared. ``restore``: the
            norm of the gradient; ``unit``: 1; ``median_clip``: the norm, but at most the median of
            all norms.
        first: pre-aggregations, in their order.

    Returns:
        The aggregate. Scores are the largest distances to vectors of the subset.

    Raises:
        ValueError: there are too few vectors for f, or more than 60,000 subsets.

    Reference:
        El Mhamdi et al., Genuinely Distributed Byzantine Machine Learning, PODC 2020.

    >>> from fedchain.aggregation.directions import Directions
    >>> rows = Directions.of(2**20 * np.array([[1, 0], [1, 0], [-1, 0]]))
    >>> mda(Received(rows, np.ones(3), np.ones(3)), byzantine=1).used.tolist()
    [True, True, False]
    """
    vectors, few = mixed_vectors(received, scale, first), byzantine or 0
    subsets = _subsets("mda", vectors, few, MOST_SUBSETS)
    diameters = np.zeros(len(subsets))
    for i, j in itertools.combinations(range(len(vectors)), 2):
        both = subsets[:, i] & subsets[:, j]
        np.maximum(diameters, np.where(both, vectors.distances[i, j], 0.0), out=diameters)
    chosen = subsets[diameters.argmin()]
    scores = np.sqrt(vectors.distances[:, chosen].max(axis=1)) * vectors.unit
    reason, score = "not in the subset of the smallest diameter", "distance to the farthest kept"
    return combined(vectors, chosen * 1.0, reason=reason, scores=scores, score=score)


@aggregations
@cites("allouah2023trilemma")
def smea(
    received: Received,
    *,
    byzantine: Byzantine = None,
    scale: Scale = "restore",
    first: First = (),
) -> Aggregate:
    """Average the subset of vectors with the smallest leading variance (SMEA).

    Of n vectors, f may be Byzantine. The rule compares all subsets of n - f vectors by the largest
    eigenvalue of their covariance. Of equal eigenvalues, the subset goes first whose message ids
    come first.

    Args:
        received: the messages of the block.
        byzantine: the number f of vectors that may be Byzantine. The quorum must be above 2f. null:
            the number of attackers in the scenario's attacks.
        scale: number that multiplies each direction before vectors are compared. ``restore``: the
            norm of the gradient; ``unit``: 1; ``median_clip``: the norm, but at most the median of
            all norms.
        first: pre-aggregations, in their order.

    Returns:
        The aggregate. Scores are shares of the variance along the leading direction of the subset;
        those of the subset add up to 1.

    Raises:
        ValueError: there are too few vectors for f, or more than 6,000 subsets.

    Reference:
        Allouah et al., On the Privacy-Robustness-Utility Trilemma in Distributed Learning, ICML
        2023 (smallest maximum eigenvalue averaging).

    >>> from fedchain.aggregation.directions import Directions
    >>> rows = Directions.of(2**20 * np.array([[1, 0], [1, 0], [-1, 0]]))
    >>> smea(Received(rows, np.ones(3), np.ones(3)), byzantine=1).used.tolist()
    [True, True, False]
    """
    vectors, few = mixed_vectors(received, scale, first), byzantine or 0
    subsets = _subsets("smea", vectors, few, MOST_SPECTRA)
    height = max(1, ENTRIES_TOGETHER // len(vectors) ** 2)
    parts = (subsets[k : k + height] for k in range(0, len(subsets), height))
    values = np.concatenate([_spectra(vectors.gram, part) for part in parts])
    counts = subsets[values.argmin()] * 1.0
    scores, reason = spectral_shares(vectors.gram, counts), "not in the subset of least variance"
    return combined(vectors, counts, reason=reason, scores=scores, score=SHARE)


def _subsets(rule: str, vectors: Vectors, few: int, most: int) -> Flags:
    check_number(rule, vectors, "byzantine", few, 2 * few + 1)
    number = math.comb(len(vectors), few)
    if number > most:
        words = f"{number} subsets of {len(vectors) - few} of {len(vectors)} vectors"
        raise ValueError(f"{rule}: byzantine: {few} makes {words}; at most {most} are compared")
    return all_subsets(len(vectors), len(vectors) - few)


@functools.lru_cache(maxsize=4)
def all_subsets(count: int, size: int) -> Flags:
    """Return all subsets of ``count`` rows that have ``size`` rows, in lexicographic order.

    >>> all_subsets(3, 2).astype(int).tolist()
    [[1, 1, 0], [1, 0, 1], [0, 1, 1]]
    """
    chosen = np.array(list(itertools.combinations(range(count), size)))
    found = np.zeros((len(chosen), count), dtype=np.bool_)
    np.put_along_axis(found, chosen, True, axis=1)
    return found


def _spectra(gram: Matrix, subsets: Flags) -> Vector:
    """Return the leading eigenvalue of the covariance of each subset, times the subset's size."""
    size = int(subsets[0].sum())
    places = np.nonzero(subsets)[1].reshape(-1, size)
    inner = gram[places[:, :, None], places[:, None, :]]
    means = applied(inner, np.full((len(subsets), size), 1.0 / size))
    square = applied(means[:, None, :], np.full((len(subsets), size), 1.0 / size))
    centred = (inner - (means[:, :, None] + means[:, None, :])) + square[:, :, None]
    return leading_eigenvector(centred)[1]
