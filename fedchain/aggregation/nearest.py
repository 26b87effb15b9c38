"""L-nearest and mean: the rule of the LearningChain paper, and a rule without a defence."""

from __future__ import annotations

from typing import Annotated

import numpy as np
from pydantic import Field

from fedchain.aggregation.inner_products import agreement_of
from fedchain.aggregation.rule import Aggregate, Received, Scale, aggregations
from fedchain.aggregation.vectors import (
    First,
    combined,
    cosines_with_sum,
    counts_of,
    mixed_vectors,
)
from fedchain.aggregation.weights import NO_RECORDS, Weights, mean_of_used
from fedchain.registry import AtMost, cites


@aggregations
@cites("chen2018")
def l_nearest(
    received: Received,
    *,
    keep: Annotated[
        int, Field(ge=1), AtMost("nodes.asked", "the number of holders or groups asked in a round")
    ],
    scale: Scale = "restore",
    weights: Weights = None,
    first: First = (),
) -> Aggregate:
    """Average the gradients whose directions lie nearest to the sum of all directions.

    Near means a large cosine with the sum. Of equal cosines, the smaller message id goes first. The
    cosine of a zero gradient counts as 0.

    Args:
        received: the messages of the block.
        keep: number l of gradients to use; all if fewer arrived.
        scale: number that multiplies each chosen direction. ``restore``: the norm of the gradient;
            ``unit``: 1; ``median_clip``: the norm, but at most the median of all norms, which
            bounds the influence of one sender.
        weights: how much each chosen message counts in the mean. ``equal``: all count the same.
            ``records``: in proportion to the registered number of records behind the message.
            ``{kind: records, cap: median}``: the same, with numbers above the median lowered to the
            median. null: ``records`` if privacy protects single records and participants have
            different numbers of records, else ``equal``.
        first: pre-aggregations, in their order.

    Reference:
        Chen et al., LearningChain, IEEE Big Data 2018, (14) to (16), reconstructed.

    >>> from fedchain.aggregation.directions import Directions
    >>> rows = Directions.of(2**20 * np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 0.0]]))
    >>> l_nearest(Received(rows, np.ones(3), np.ones(3)), keep=2).used.tolist()
    [True, False, True]
    """
    reason, score = "far from the sum", "cosine with the sum"
    if first:
        vectors = mixed_vectors(received, scale, first)
        near = cosines_with_sum(vectors)
        counts = np.zeros(len(vectors))
        chosen = np.argsort(-near, kind="stable")[:keep]
        counts[chosen] = counts_of(vectors, weights)[chosen]
        return combined(vectors, counts, reason=reason, scores=near, score=score)
    agreement = agreement_of(received.directions)
    used = np.zeros(len(received.norms), dtype=np.bool_)
    used[np.argsort(-agreement.projections, kind="stable")[:keep]] = True
    cosines = agreement.cosines
    return mean_of_used(
        received,
        used,
        cosines,
        scale=scale,
        weights=weights,
        reason=reason,
        scores=cosines,
        score=score,
    )


@aggregations
@cites()
def mean(
    received: Received,
    *,
    scale: Scale = "restore",
    weights: Weights = None,
    first: First = (),
) -> Aggregate:
    """Average all gradients, with no defence: the baseline for rules that defend.

    Args:
        received: the messages of the block.
        scale: number that multiplies each direction. ``restore``: the norm of the gradient;
            ``unit``: 1; ``median_clip``: the norm, but at most the median of all norms.
        weights: how much each message counts in the mean. ``equal``: all count the same.
            ``records``: in proportion to the registered number of records behind the message.
            ``{kind: records, cap: median}``: the same, with numbers above the median lowered to the
            median. null: ``records`` if privacy protects single records and participants have
            different numbers of records, else ``equal``.
        first: pre-aggregations, in their order.

    >>> from fedchain.aggregation.directions import Directions
    >>> rows = Directions.of(2**20 * np.eye(2))
    >>> mean(Received(rows, np.array([2.0, 4.0]), np.ones(2))).gradient.tolist()
    [1.0, 2.0]
    """
    if first:
        vectors = mixed_vectors(received, scale, first)
        return combined(vectors, counts_of(vectors, weights), reason=NO_RECORDS)
    used = np.ones(len(received.norms), dtype=np.bool_)
    cosines = agreement_of(received.directions).cosines
    return mean_of_used(received, used, cosines, scale=scale, weights=weights)
