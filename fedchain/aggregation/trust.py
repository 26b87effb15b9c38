"""FLTrust: a rule that trusts messages as far as they agree with a public root."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from fedchain.aggregation.directions import Directions, gram
from fedchain.aggregation.inner_products import agreement_of
from fedchain.aggregation.rule import Aggregate, Received, Scale, aggregations, scaled
from fedchain.aggregation.vectors import First, Vectors, combined, mixed_vectors
from fedchain.arrays import ONE, Vector, Wholes
from fedchain.ordered import applied
from fedchain.registry import cites

COSINE = "cosine with the root"
"""Name of the scores."""
NO_ROOT = "no message of a public root is in the block"
IS_ROOT = "is the public root, which only judges"
AGAINST = "does not point the way of the public root"
"""Reasons why a message has no share."""


@aggregations
@cites("cao2021")
def fltrust(received: Received, *, scale: Scale = "restore", first: First = ()) -> Aggregate:
    """Weight messages by their cosine with the gradient of a public root.

    The public root is the participant that learns from declared public records: its message has 0
    registered records. A message counts by its cosine with the root's direction, or not at all if
    the cosine is below 0. Each direction is multiplied by the root's norm. The root's own message
    has no share.

    A block without the root's message gives the gradient zero: nobody in it can be judged. So a
    compute node that leaves the root out gains nothing, and the chain goes on.

    Args:
        received: the messages of the block.
        scale: number that multiplies each direction. ``restore``: the norm of the root's gradient;
            ``unit``: 1; ``median_clip``: the root's norm, but at most the median of all norms.
        first: pre-aggregations of the messages besides the root's, in their order.

    Returns:
        The aggregate; the gradient is zero if no cosine is above 0. Scores are the cosines.

    Raises:
        ValueError: a pre-aggregation has too few messages.

    Reference:
        Cao et al., FLTrust, NDSS 2021, algorithm 2.

    >>> from fedchain.aggregation.directions import Directions
    >>> rows = Directions.of(2**20 * np.array([[1, 0], [-1, 0], [1, 0]]))
    >>> three = Received(rows, np.array([1.0, 1.0, 9.0]), np.array([0.0, 5.0, 5.0]))
    >>> fltrust(three).gradient.tolist(), fltrust(three).shares.tolist()
    ([1.0, 0.0], [0.0, 0.0, 1.0])
    """
    roots = np.flatnonzero(received.records == 0.0)
    cosines = agreement_of(received.directions).cosines
    if not len(roots):
        nothing, reasons = np.zeros(len(cosines)), (NO_ROOT,) * len(cosines)
        return Aggregate(np.zeros(received.directions.dimension), cosines, nothing, reasons)
    root = int(roots[0])
    others = np.delete(np.arange(len(cosines)), root)
    if not len(others):
        alone = np.zeros(received.directions.dimension)
        return Aggregate(alone, cosines, np.zeros(1), (IS_ROOT,))
    norm = float(scaled(received.norms, scale)[root])
    vectors, along = _beside(received, root, others, first)
    trust = np.maximum(along, 0.0)
    made = combined(_with_norm(vectors, norm), trust, reason=AGAINST, scores=along, score=COSINE)
    shares, scores = np.zeros(len(cosines)), np.ones(len(cosines))
    shares[others], scores[others] = made.shares, made.scores
    reasons = (*made.reasons[:root], IS_ROOT, *made.reasons[root:])
    return Aggregate(made.gradient, cosines, shares, reasons, scores=scores, score=COSINE)


def _beside(received: Received, root: int, others: Wholes, first: First) -> tuple[Vectors, Vector]:
    """Return the directions besides the root's, mixed, and their cosines with the root's."""
    directions = received.directions
    rest = Directions(
        tuple(directions.integers[k] for k in others),
        tuple(directions.exponents[k] for k in others),
    )
    inside = Received(rest, received.norms[others], received.records[others])
    vectors = mixed_vectors(inside, "unit", first)
    exact = gram(directions, slice(root, root + 1))[0] / ONE**2
    inner = exact[others] * vectors.factors
    inner = inner if vectors.mix is None else applied(vectors.mix, inner)
    lengths = vectors.lengths * vectors.unit * math.sqrt(exact[root])
    return vectors, np.divide(inner, lengths, out=np.zeros_like(inner), where=lengths > 0)


def _with_norm(vectors: Vectors, norm: float) -> Vectors:
    """Return the vectors with all norms changed to this one; vectors of zero stay."""
    lengths = vectors.lengths * vectors.unit
    ratios = np.divide(norm, lengths, out=np.zeros_like(lengths), where=lengths > 0)
    if vectors.mix is None:
        return replace(vectors, factors=vectors.factors * ratios)
    return replace(vectors, mix=vectors.mix * ratios[:, None])
