"""Updates around other ones: averages of the weights, and filters of the gradient."""

from __future__ import annotations

from typing import Annotated

import numpy as np
from pydantic import Field

from fedchain.arrays import Vector
from fedchain.registry import AtMost, Part
from fedchain.update.step import AVERAGE, Memory, NotNegative, Updated, updates


@updates
def averaged(
    weights: Vector,
    memory: Memory,
    gradient: Vector,
    round_: int,
    *,
    of: Annotated[Part, updates],
    decay: Annotated[float, Field(gt=0, le=1)] = 1.0,
    from_round: Annotated[int, Field(ge=1), AtMost("rounds", "the number of rounds")] = 1,
) -> Updated:
    """Step as another update does; the average of its weights is the model that is used.

    The n-th average is a = a + max(1/n, 1 - decay) (w - a): the mean of all n until 1/n is below
    1 - decay, exponential from then on. Gradients are still taken at w.

    Args:
        weights: w_t, shape (d,).
        memory: ``average``, shape (d,), from ``from_round`` on, beside what ``of`` remembers.
        gradient: the global gradient g, shape (d,).
        round_: t, from 1.
        of: the update whose weights are averaged.
        decay: what is left of the average in a round, above 0; 1 weighs all rounds alike.
        from_round: first round whose weights are in the average.

    Returns:
        The next weights of ``of``, and the average beside its memory.

    Reference:
        Polyak and Juditsky, Acceleration of stochastic approximation by averaging, 1992.

    >>> descent = Part("gradient_descent", {"learning_rate": 1.0})
    >>> after = averaged(np.ones(1), {"average": np.ones(1)}, np.ones(1), 2, of=descent)
    >>> after.weights.tolist(), after.memory["average"].tolist()
    ([0.0], [0.5])
    """
    step = updates.build(of, weights, _without(memory, AVERAGE), gradient, round_)
    if round_ < from_round:
        return step
    before = memory.get(AVERAGE, step.weights)
    gain = max(1.0 / (round_ - from_round + 1), 1.0 - decay)
    average = before + gain * (step.weights - before)
    return Updated(step.weights, {**step.memory, AVERAGE: average})


@updates
def filtered(
    weights: Vector,
    memory: Memory,
    gradient: Vector,
    round_: int,
    *,
    of: Annotated[Part, updates],
    drift: NotNegative = 0.1,
) -> Updated:
    """Step as another update does, along the gradient that a Kalman filter makes of the noisy ones.

    If the gradient walks at random with ``drift`` times the variance of its noise a round, the
    best estimate is f_t = f_{t-1} + k_t (g_t - f_{t-1}), k_t = p / (p + 1), p = k_{t-1} + drift;
    f_1 = g_1, k_1 = 1. Of drift 0 it is the mean of all gradients.

    Args:
        weights: w_t, shape (d,).
        memory: ``filtered``, shape (d,), and ``gain``, shape (1,), beside what ``of`` remembers.
        gradient: the global gradient g_t, shape (d,).
        round_: t, from 1.
        of: the update that is given f_t for the gradient.
        drift: variance of a round's change of the gradient over that of its noise.

    Reference:
        Zhang et al., DOPPLER, NeurIPS 2024; DiSK, ICLR 2025, without its second gradient.

    >>> descent, ten = Part("gradient_descent", {"learning_rate": 1.0}), np.full(1, 10.0)
    >>> known = {"filtered": np.zeros(1), "gain": np.ones(1)}
    >>> filtered(np.zeros(1), known, ten, 2, of=descent, drift=0.0).weights.tolist()
    [-5.0]
    """
    before, gain = memory.get("filtered", gradient), np.ones(1)
    if "gain" in memory:
        spread = memory["gain"] + drift
        gain = spread / (spread + 1.0)
    estimate = before + gain * (gradient - before)
    step = updates.build(of, weights, _without(memory, "filtered", "gain"), estimate, round_)
    return Updated(step.weights, {**step.memory, "filtered": estimate, "gain": gain})


def _without(memory: Memory, *names: str) -> Memory:
    return {name: tensor for name, tensor in memory.items() if name not in names}
