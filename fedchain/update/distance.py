"""A step that follows from the way so far: no learning rate to choose."""

from __future__ import annotations

import math
from typing import Annotated

import numpy as np
from pydantic import Field

from fedchain.arrays import Vector
from fedchain.update.step import Memory, Updated, updates


@updates
def distance_over_gradients(
    weights: Vector,
    memory: Memory,
    gradient: Vector,
    round_: int,  # noqa: ARG001 - what was remembered says how far the run is
    *,
    first: Annotated[float, Field(gt=0)] = 0.05,
) -> Updated:
    """Step by the farthest way from the start over the root of all squared gradients: DoG.

    r_t = max(r_{t-1}, |w_t - w_1|), r_1 = first sqrt(d);  s_t = s_{t-1} + |g_t|^2;
    w_{t+1} = w_t - (r_t / sqrt(s_t)) g_t. The scale of g does not matter, nor does the clip's.

    Args:
        weights: w_t, shape (d,).
        memory: ``start`` is w_1, shape (d,); ``distance`` r and ``squares`` s, shape (1,).
        gradient: the global gradient g, shape (d,).
        round_: t, from 1.
        first: length of the first step, as a root mean square over the weights. One that is too
            small costs rounds, one that is far too large is never made up for.

    Returns:
        The next weights, the start, the distance and the sum of squares.

    Reference:
        Ivgi, Hinder and Carmon, DoG is SGD's Best Friend, ICML 2023, (DoG).

    >>> after = distance_over_gradients(np.zeros(4), {}, np.full(4, 3.0), 1, first=0.5)
    >>> after.weights.tolist(), after.memory["squares"].tolist()
    ([-0.5, -0.5, -0.5, -0.5], [36.0])
    """
    start = memory.get("start", weights)
    farthest = memory.get("distance", first * np.sqrt([float(len(weights))]))
    distance = np.maximum(farthest, np.sqrt(_squared(weights - start)))
    squares = memory.get("squares", np.zeros(1)) + _squared(gradient)
    carried = {"start": start, "distance": distance, "squares": squares}
    if squares[0] == 0.0:  # gradients that cancel out say nothing of a step
        return Updated(weights, carried)
    return Updated(weights - (distance / np.sqrt(squares)) * gradient, carried)


def _squared(vector: Vector) -> Vector:
    """Return the squared length, shape (1,): the squares are added exactly, and rounded once."""
    try:
        return np.array([math.fsum(vector * vector)])
    except OverflowError:
        return np.array([math.inf])
