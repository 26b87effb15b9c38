"""Distance over gradients (DoG): an update that needs no learning rate."""

from __future__ import annotations

import math
from typing import Annotated

import numpy as np
from pydantic import Field

from fedchain.arrays import Vector
from fedchain.registry import cites
from fedchain.update.step import Memory, Updated, updates


@updates
@cites("ivgi2023")
def distance_over_gradients(
    weights: Vector,
    memory: Memory,
    gradient: Vector,
    round_: int,  # noqa: ARG001 - the memory holds all that depends on the round
    *,
    first: Annotated[float, Field(gt=0)] = 0.05,
) -> Updated:
    """Step by DoG: rate = largest distance from the start / root of the summed squared gradients.

    The largest distance so far is r_t = max(r_{t-1}, |w_t - w_1|), with r_1 = first sqrt(d) for d
    weights. The sum of squares is s_t = s_{t-1} + |g_t|^2. The next weights are w_{t+1} = w_t -
    (r_t / sqrt(s_t)) g_t.

    Args:
        weights: the weights w_t of this round.
        memory: ``start`` is w_1; ``distance`` is r_{t-1} and ``squares`` is s_{t-1}, shape (1,).
        gradient: the global gradient g_t.
        round_: number t of the round, from 1.
        first: length of the first step, as a root mean square over the weights. With too small a
            value, a run needs more rounds. With a far too large value, it does not recover.

    Reference:
        Ivgi, Hinder and Carmon, DoG is SGD's Best Friend, ICML 2023, (DoG).

    >>> after = distance_over_gradients(np.zeros(4), {}, np.full(4, 3.0), 1, first=0.5)
    >>> after.weights.tolist(), after.memory["squares"].tolist()
    ([-0.5, -0.5, -0.5, -0.5], [36.0])
    """
    start = memory.get("start", weights)
    farthest = memory.get("distance", first * np.sqrt([float(len(weights))]))
    distance = np.maximum(farthest, np.sqrt(_squared_norm(weights - start)))
    squares = memory.get("squares", np.zeros(1)) + _squared_norm(gradient)
    carried = {"start": start, "distance": distance, "squares": squares}
    if squares[0] == 0.0:  # all gradients so far were zero: the step is not defined
        return Updated(weights, carried)
    return Updated(weights - (distance / np.sqrt(squares)) * gradient, carried)


def _squared_norm(vector: Vector) -> Vector:
    """Return the squared 2-norm, shape (1,); the squares are summed with a single rounding."""
    try:
        return np.array([math.fsum(vector * vector)])
    except OverflowError:
        return np.array([math.inf])
