"""Two aggregation rules: L-nearest, the rule of the LearningChain paper, and the plain mean."""

from __future__ import annotations

from typing import Annotated

import numpy as np
from pydantic import Field

from fedchain.aggregation.directions import Directions, agreement_of
from fedchain.aggregation.rule import Aggregate, Scale, aggregations, mean_of_used
from fedchain.arrays import Vector
from fedchain.registry import AtMost


@aggregations
def l_nearest(
    directions: Directions,
    norms: Vector,
    *,
    keep: Annotated[
        int, Field(ge=1), AtMost("nodes.asked", "the number of holders or groups asked in a round")
    ],
    scale: Scale = "restore",
) -> Aggregate:
    """Average the gradients whose directions lie nearest to the sum of all directions.

    Each message k has a direction g_k* and a norm s_k. The sum of all directions is v. The cosine
    distance of message k is theta_k = 1 - <g_k*, v> / (norm(g_k*) norm(v)). The rule chooses the l
    messages with the smallest theta_k; of equal ones, the smaller message id goes first. The result
    is the mean of the chosen gradients s_k g_k*.

    Args:
        directions: the n directions g_k*, as they were sent.
        norms: the norm s_k of each message, positive, shape (n,).
        keep: number l of gradients to use; all if fewer arrived.
        scale: the factor of each direction. ``restore`` takes its norm s_k, ``unit`` takes 1,
            ``median_clip`` takes the smaller of s_k and the median norm. The last one bounds the
            influence of one sender.

    Returns:
        The aggregate; a message's share is 1/l if it is used, and 0 otherwise.

    Reference:
        Chen et al., LearningChain, IEEE Big Data 2018, (14) to (16), reconstructed.

    >>> rows = Directions.of(2**20 * np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 0.0]]))
    >>> l_nearest(rows, np.ones(3), keep=2).used.tolist()
    [True, False, True]
    """
    agreement = agreement_of(directions)
    used = np.zeros(len(norms), dtype=np.bool_)
    used[np.argsort(-agreement.projections, kind="stable")[:keep]] = True
    return mean_of_used(directions, norms, scale, used, agreement.cosines, "far from the sum")


@aggregations
def mean(directions: Directions, norms: Vector, *, scale: Scale = "restore") -> Aggregate:
    """Average all gradients, with no defence: the baseline for rules that defend.

    Args:
        directions: the n directions g_k*, as they were sent.
        norms: the norm s_k of each message, positive, shape (n,).
        scale: as in ``l_nearest``.

    Returns:
        The aggregate, with the same share for every message.

    >>> mean(Directions.of(2**20 * np.eye(2)), np.array([2.0, 4.0])).gradient.tolist()
    [1.0, 2.0]
    """
    used = np.ones(len(norms), dtype=np.bool_)
    return mean_of_used(directions, norms, scale, used, agreement_of(directions).cosines, "")
