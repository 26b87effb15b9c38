"""Updates with a learning rate, and the family, memory and result of all updates.

Every node must recompute the same bits. Updates therefore use only float64 operations that round
once (multiply, add, divide, square root), in a fixed order.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated

import numpy as np
from pydantic import Field

from fedchain.arrays import Vector, misshapen
from fedchain.registry import Family, cites

Memory = Mapping[str, Vector]
"""The arrays that an update keeps for the next round, by name; empty before the first round. Each
block contains a hash of them."""
AVERAGE = "average"
"""Name of the averaged weights in the memory. If an update keeps them, they are the model."""
RULE = "rule/"
"""Prefix of the names of arrays that belong to the aggregation rule. Updates do not see these
arrays, and must not use this prefix."""
Rate = Annotated[float, Field(gt=0)]
Fraction = Annotated[float, Field(ge=0, lt=1)]
NotNegative = Annotated[float, Field(ge=0)]


@dataclass(frozen=True)
class Updated:
    """The next weights and the memory of the update."""

    weights: Vector
    """The next weights, one value for each weight of the model."""
    memory: Memory
    """The memory after this round."""


def _flaw(made: Updated, weights: Vector, *_: object) -> str | None:
    if not isinstance(made.memory, Mapping):
        return f"memory must be a mapping of names to arrays, got {type(made.memory).__name__}"
    for name, array in made.memory.items():
        if not isinstance(array, np.ndarray) or array.ndim != 1 or array.dtype != np.float64:
            return f"memory {name!r} must be a flat array of float64"
        if name.startswith(RULE):
            return f"memory {name!r}: names with {RULE!r} belong to the aggregation rule"
    return misshapen("weights", made.weights, weights.shape, "float64")


updates: Family[Updated] = Family("update", ("fedchain.update",), Updated, _flaw)
"""The family of updates. Each update is a function
``(weights, memory, gradient, round, *, ...) -> Updated``; rounds are counted from 1."""


def used(weights: Vector, memory: Memory) -> Vector:
    """Return the weights to use as the model: the average if there is one.

    >>> import numpy as np
    >>> used(np.zeros(1), {"average": np.ones(1)}).tolist()
    [1.0]
    """
    return memory.get(AVERAGE, weights)


@updates
@cites("chen2018")
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
        weights: the weights w_t of this round.
        memory: not used.
        gradient: the global gradient g.
        round_: number t of the round, from 1.
        learning_rate: the rate eta_1 of the first round, above 0.
        decay: lowers the rate to eta_t = eta_1 / (1 + decay (t - 1)).
        weight_decay: lambda; the term lambda w_t costs no privacy.

    Reference:
        Chen et al., LearningChain, IEEE Big Data 2018, (8), reconstructed.

    >>> gradient_descent(np.ones(1), {}, np.ones(1), 1, learning_rate=0.25).weights.tolist()
    [0.75]
    """
    step = _rate(learning_rate, decay, round_) * _add_weight_decay(gradient, weights, weight_decay)
    return Updated(weights - step, dict(memory))


@updates
@cites("polyak1964")
def momentum(
    weights: Vector,
    memory: Memory,
    gradient: Vector,
    round_: int,
    *,
    learning_rate: Rate,
    momentum: Fraction = 0.9,
    decay: NotNegative = 0.0,
    weight_decay: NotNegative = 0.0,
) -> Updated:
    """Step against a running sum of gradients: m_t = beta m_{t-1} + g; w_{t+1} = w_t - eta_t m_t.

    Args:
        weights: the weights w_t of this round.
        memory: ``momentum`` is m_{t-1}; it is zero in the first round.
        gradient: the global gradient g.
        round_: number t of the round, from 1.
        learning_rate: the rate eta_1 of the first round, above 0.
        momentum: the factor beta of the old sum, from 0 to below 1.
        decay: lowers the rate to eta_t = eta_1 / (1 + decay (t - 1)).
        weight_decay: lambda, added to the gradient as lambda w_t.

    Reference:
        Polyak, Some methods of speeding up the convergence of iteration methods, 1964.

    >>> global_ = momentum(np.zeros(1), {"momentum": np.ones(1)}, np.ones(1), 2, learning_rate=1.0)
    >>> global_.weights.tolist()
    [-1.9]
    """
    carried = momentum * memory.get("momentum", np.zeros_like(weights))
    carried = carried + _add_weight_decay(gradient, weights, weight_decay)
    step = _rate(learning_rate, decay, round_) * carried
    return Updated(weights - step, {"momentum": carried})


@updates
@cites("kingma2015")
def adam(
    weights: Vector,
    memory: Memory,
    gradient: Vector,
    round_: int,
    *,
    learning_rate: Rate,
    beta1: Fraction = 0.9,
    beta2: Fraction = 0.999,
    stabiliser: Rate = 1e-8,
    decay: NotNegative = 0.0,
    weight_decay: NotNegative = 0.0,
) -> Updated:
    """Step by the running mean of the gradients, divided by the root of their running mean square.

    The running means are m = b1 m + (1 - b1) g and v = b2 v + (1 - b2) g^2. The next weights are
    w_{t+1} = w_t - eta_t (m / (1 - b1^t)) / (sqrt(v / (1 - b2^t)) + stabiliser).

    Args:
        weights: the weights w_t of this round.
        memory: ``first`` is m and ``second`` is v, in the shape of the weights; ``beta1_power`` and
            ``beta2_power`` are powers of b1 and b2, shape (1,).
        gradient: the global gradient g.
        round_: number t of the round, from 1.
        learning_rate: the rate eta_1 of the first round, above 0.
        beta1: the factor b1 in m, from 0 to below 1.
        beta2: the factor b2 in v, from 0 to below 1.
        stabiliser: the number that is added to the root, above 0.
        decay: lowers the rate to eta_t = eta_1 / (1 + decay (t - 1)).
        weight_decay: lambda, added to the gradient as lambda w_t.

    Reference:
        Kingma and Ba, Adam, ICLR 2015, algorithm 1.

    >>> adam(np.zeros(1), {}, np.ones(1), 1, learning_rate=0.5).weights.round(6).tolist()
    [-0.5]
    """
    # The powers are kept in the memory, because the power functions of two libraries may round
    # differently.
    pull = _add_weight_decay(gradient, weights, weight_decay)
    zero, one = np.zeros_like(weights), np.ones(1)
    first = beta1 * memory.get("first", zero) + (1.0 - beta1) * pull
    second = beta2 * memory.get("second", zero) + (1.0 - beta2) * (pull * pull)
    power1 = beta1 * memory.get("beta1_power", one)
    power2 = beta2 * memory.get("beta2_power", one)
    root = np.sqrt(second / (1.0 - power2)) + stabiliser
    step = _rate(learning_rate, decay, round_) * ((first / (1.0 - power1)) / root)
    carried = {"first": first, "second": second, "beta1_power": power1, "beta2_power": power2}
    return Updated(weights - step, carried)


def _rate(learning_rate: float, decay: float, round_: int) -> float:
    return learning_rate / (1.0 + decay * (round_ - 1))


def _add_weight_decay(gradient: Vector, weights: Vector, weight_decay: float) -> Vector:
    return gradient + weight_decay * weights if weight_decay else gradient
