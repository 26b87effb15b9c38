"""Two aggregation rules: L-nearest, the rule of the LearningChain paper, and the plain mean."""

from __future__ import annotations

from typing import Annotated

import numpy as np
from pydantic import Field

from fedchain.aggregation.directions import agreement_of
from fedchain.aggregation.rule import Aggregate, Received, Scale, aggregations
from fedchain.aggregation.weights import Weights, mean_of_used
from fedchain.registry import AtMost


@aggregations
def l_nearest(
    received: Received,
    *,
    keep: Annotated[
        int, Field(ge=1), AtMost("nodes.asked", "the number of holders or groups asked in a round")
    ],
    scale: Scale = "restore",
    weights: Weights = None,
) -> Aggregate:
    """Average the gradients whose directions lie nearest to the sum of all directions.

    Each message k has a direction g_k* and a norm s_k. The sum of all directions is v. The cosine
    distance of message k is theta_k = 1 - <g_k*, v> / (norm(g_k*) norm(v)). The rule chooses the l
    messages with the smallest theta_k; of equal ones, the smaller message id goes first. The result
    is the mean of the chosen gradients s_k g_k*. A gradient that is zero has no direction; its
    cosine counts as 0.

    Args:
        received: the n messages.
        keep: number l of gradients to use; all if fewer arrived.
        scale: the factor of each direction. ``restore`` takes its norm s_k, ``unit`` takes 1,
            ``median_clip`` takes the smaller of s_k and the median norm. The last one bounds the
            influence of one sender.
        weights: how much each chosen message counts. ``equal``: all alike; ``records``: by the
            registered number of records behind it; ``{kind: records, cap: median}``: the same, but
            no more than the median of all received numbers; null: ``records`` if the registered
            numbers differ, else ``equal``. All messages count alike in the choice.

    Returns:
        The aggregate; with equal weights a message's share is 1/l if it is used, and 0 otherwise.

    Reference:
        Chen et al., LearningChain, IEEE Big Data 2018, (14) to (16), reconstructed.

    >>> from fedchain.aggregation.directions import Directions
    >>> rows = Directions.of(2**20 * np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 0.0]]))
    >>> l_nearest(Received(rows, np.ones(3), np.ones(3)), keep=2).used.tolist()
    [True, False, True]
    """
    agreement, reason = agreement_of(received.directions), "far from the sum"
    used = np.zeros(len(received.norms), dtype=np.bool_)
    used[np.argsort(-agreement.projections, kind="stable")[:keep]] = True
    cosines = agreement.cosines
    return mean_of_used(received, used, cosines, scale=scale, weights=weights, reason=reason)


@aggregations
def mean(received: Received, *, scale: Scale = "restore", weights: Weights = None) -> Aggregate:
    """Average all gradients, with no defence: the baseline for rules that defend.

    Args:
        received: the n messages.
        scale: the factor of each direction: ``restore`` takes its norm s_k, ``unit`` takes 1,
            ``median_clip`` takes the smaller of s_k and the median norm.
        weights: how much each message counts. ``equal``: all alike; ``records``: by the registered
            number of records behind it; ``{kind: records, cap: median}``: the same, but no more
            than the median of all received numbers; null: ``records`` if the registered numbers
            differ, else ``equal``.

    Returns:
        The aggregate; with equal weights every message has the same share.

    >>> from fedchain.aggregation.directions import Directions
    >>> rows = Directions.of(2**20 * np.eye(2))
    >>> mean(Received(rows, np.array([2.0, 4.0]), np.ones(2))).gradient.tolist()
    [1.0, 2.0]
    """
    used = np.ones(len(received.norms), dtype=np.bool_)
    cosines = agreement_of(received.directions).cosines
    return mean_of_used(received, used, cosines, scale=scale, weights=weights)
