"""Updates around another update: one averages its weights, one filters its gradients."""

from __future__ import annotations

from typing import Annotated

import numpy as np
from pydantic import Field

from fedchain.arrays import Vector
from fedchain.registry import Part, cites
from fedchain.update.step import AVERAGE, Memory, NotNegative, Updated, updates


@updates
@cites("polyak1992")
def averaged(
    weights: Vector,
    memory: Memory,
    gradient: Vector,
    round_: int,
    *,
    of: Annotated[Part, updates],
    decay: Annotated[float, Field(gt=0, le=1)] = 1.0,
    from_round: Annotated[int, Field(ge=1)] = 1,
) -> Updated:
    """Step by another update, and use the average of its weights as the model.

    The n-th round of averaging changes the average a to a + max(1/n, 1 - decay) (w - a), where w
    are the weights after the step. Gradients are still computed at w, not at a.

    Args:
        weights: the weights before the step.
        memory: the memory of ``of``, and ``average`` once averaging has begun.
        gradient: the global gradient.
        round_: number of the round, from 1.
        of: the update whose weights are averaged.
        decay: largest share of the old average in the new one, above 0. With 1, the average is the
            mean of w over all rounds of averaging.
        from_round: first round of averaging.

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
@cites("zhang2024", "zhang2025")
def filtered(
    weights: Vector,
    memory: Memory,
    gradient: Vector,
    round_: int,
    *,
    of: Annotated[Part, updates],
    drift: NotNegative = 0.1,
) -> Updated:
    """Step by another update, with noisy gradients that a Kalman filter has smoothed.

    The filter computes an estimate f_t from the noisy gradients g_1 to g_t, with a gain k_t. It
    begins with f_1 = g_1 and k_1 = 1. In each later round, p = k_{t-1} + drift, k_t = p / (p + 1)
    and f_t = f_{t-1} + k_t (g_t - f_{t-1}).

    Args:
        weights: the weights of this round.
        memory: ``filtered`` is f_{t-1}, in the shape of the weights; ``gain`` is k_{t-1}, shape
            (1,); the rest is the memory of ``of``.
        gradient: the global gradient g_t.
        round_: number t of the round, from 1.
        of: the update that gets f_t as its gradient.
        drift: variance of the change of the true gradient in a round, divided by the variance of
            the noise. With 0, f_t is the mean of all gradients so far.

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
