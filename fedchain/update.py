"""Updates: from the global gradient to the next weights, exactly.

Every operation is element-wise IEEE float64 (multiply, add, divide, square root), each rounded
once and in a written order, so that any node recomputes the same bits. What an update remembers
(momentum, Adam's moments, averages) is part of what a block commits to. An update may stand around
another one (``of``): it sees to the gradient before the step, or to the weights after it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated

import numpy as np
from pydantic import Field

from fedchain.arrays import Vector
from fedchain.registry import AtMost, Family, Part

Memory = Mapping[str, Vector]
"""What an update carries to the next round, by name; empty at genesis."""
AVERAGE = "average"
"""Name of the memory that is the model for whoever uses it, where an update keeps one."""
Rate = Annotated[float, Field(gt=0)]
Share = Annotated[float, Field(ge=0, lt=1)]
NotNegative = Annotated[float, Field(ge=0)]


@dataclass(frozen=True)
class Updated:
    """The next weights, and what the update remembers."""

    weights: Vector
    """w_{t+1}, shape (d,)."""
    memory: Memory
    """State of the update after this round."""


updates: Family[Updated] = Family("update", ("fedchain.update",))
"""Part: ``(weights (d,), memory, gradient (d,), round (from 1), *, ...) -> Updated``."""


def used(weights: Vector, memory: Memory) -> Vector:
    """Return the weights (d,) that the model is used with: the average where there is one.

    >>> used(np.zeros(1), {"average": np.ones(1)}).tolist()
    [1.0]
    """
    return memory.get(AVERAGE, weights)


@updates
def gradient_descent(
    weights: Vector,
    memory: Memory,
    gradient: Vector,
    round_: int,
    *,
    learning_rate: Rate,
    decay: NotNegative = 0.0,
    weight_decay: NotNegative = 0.0,
) -> Updated:
    """Step against the gradient: w_{t+1} = w_t - eta_t (g + lambda w_t).

    Args:
        weights: w_t, shape (d,).
        memory: unused; gradient descent remembers nothing.
        gradient: the global gradient g, shape (d,).
        round_: t, from 1.
        learning_rate: eta_1, above 0.
        decay: eta_t = eta_1 / (1 + decay (t - 1)).
        weight_decay: lambda; it does not depend on data, so it costs no privacy.

    Returns:
        The next weights.

    Reference:
        Chen et al., LearningChain, IEEE Big Data 2018, (8), reconstructed.

    >>> gradient_descent(np.ones(1), {}, np.ones(1), 1, learning_rate=0.25).weights.tolist()
    [0.75]
    """
    step = _rate(learning_rate, decay, round_) * _regularised(gradient, weights, weight_decay)
    return Updated(weights - step, dict(memory))


@updates
def momentum(
    weights: Vector,
    memory: Memory,
    gradient: Vector,
    round_: int,
    *,
    learning_rate: Rate,
    momentum: Share = 0.9,
    decay: NotNegative = 0.0,
    weight_decay: NotNegative = 0.0,
) -> Updated:
    """Step against a running sum of gradients: m_t = beta m_{t-1} + g; w_{t+1} = w_t - eta_t m_t.

    Args:
        weights: w_t, shape (d,).
        memory: ``momentum``, shape (d,), zero at genesis.
        gradient: the global gradient g, shape (d,).
        round_: t, from 1.
        learning_rate: eta_1, above 0.
        momentum: beta, from 0 to below 1.
        decay: eta_t = eta_1 / (1 + decay (t - 1)).
        weight_decay: lambda, added to the gradient as lambda w_t.

    Returns:
        The next weights and the momentum.

    Reference:
        Polyak, Some methods of speeding up the convergence of iteration methods, 1964.

    >>> global_ = momentum(np.zeros(1), {"momentum": np.ones(1)}, np.ones(1), 2, learning_rate=1.0)
    >>> global_.weights.tolist()
    [-1.9]
    """
    carried = momentum * memory.get("momentum", np.zeros_like(weights))
    carried = carried + _regularised(gradient, weights, weight_decay)
    step = _rate(learning_rate, decay, round_) * carried
    return Updated(weights - step, {"momentum": carried})


@updates
def adam(
    weights: Vector,
    memory: Memory,
    gradient: Vector,
    round_: int,
    *,
    learning_rate: Rate,
    beta1: Share = 0.9,
    beta2: Share = 0.999,
    stabiliser: Rate = 1e-8,
    decay: NotNegative = 0.0,
    weight_decay: NotNegative = 0.0,
) -> Updated:
    """Step by the running mean of gradients over the root of their running mean square.

    m = b1 m + (1 - b1) g;  v = b2 v + (1 - b2) g^2;
    w_{t+1} = w_t - eta_t (m / (1 - b1^t)) / (sqrt(v / (1 - b2^t)) + stabiliser).
    The powers of b1 and b2 are carried along: a library's power function need not round alike.

    Args:
        weights: w_t, shape (d,).
        memory: ``first``, ``second``, shape (d,), and the powers of beta1 and beta2, shape (1,).
        gradient: the global gradient g, shape (d,).
        round_: t, from 1.
        learning_rate: eta_1, above 0.
        beta1: b1, from 0 to below 1.
        beta2: b2, from 0 to below 1.
        stabiliser: added to the root, above 0.
        decay: eta_t = eta_1 / (1 + decay (t - 1)).
        weight_decay: lambda, added to the gradient as lambda w_t.

    Returns:
        The next weights, both moments and both powers.

    Reference:
        Kingma and Ba, Adam, ICLR 2015, algorithm 1.

    >>> adam(np.zeros(1), {}, np.ones(1), 1, learning_rate=0.5).weights.round(6).tolist()
    [-0.5]
    """
    pull = _regularised(gradient, weights, weight_decay)
    zero, one = np.zeros_like(weights), np.ones(1)
    first = beta1 * memory.get("first", zero) + (1.0 - beta1) * pull
    second = beta2 * memory.get("second", zero) + (1.0 - beta2) * (pull * pull)
    power1 = beta1 * memory.get("beta1_power", one)
    power2 = beta2 * memory.get("beta2_power", one)
    root = np.sqrt(second / (1.0 - power2)) + stabiliser
    step = _rate(learning_rate, decay, round_) * ((first / (1.0 - power1)) / root)
    carried = {"first": first, "second": second, "beta1_power": power1, "beta2_power": power2}
    return Updated(weights - step, carried)


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


def _rate(learning_rate: float, decay: float, round_: int) -> float:
    return learning_rate / (1.0 + decay * (round_ - 1))


def _regularised(gradient: Vector, weights: Vector, weight_decay: float) -> Vector:
    return gradient + weight_decay * weights if weight_decay else gradient
