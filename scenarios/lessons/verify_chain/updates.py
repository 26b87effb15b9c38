"""Updates: a gradient to the next weights, (8) of LearningChain; each operation is rounded alone.

What an update remembers is part of the state after a block. Weights are a row of float64 here.
"""

import math

import numpy as np

from .encoding import need
from .parts import REQUIRED, above, at_least, fraction, read_part

RATE = {"learning_rate": (REQUIRED, above(0)), "decay": (0.0, at_least(0))}
RATE |= {"weight_decay": (0.0, at_least(0))}
UPDATES = {
    "gradient_descent": RATE,
    "momentum": {**RATE, "momentum": (0.9, fraction())},
    "adam": {
        **RATE,
        "beta1": (0.9, fraction()),
        "beta2": (0.999, fraction()),
        "stabiliser": (1e-8, above(0)),
    },
    "distance_over_gradients": {"first": (0.05, above(0))},
}
INNER = "an update", lambda value: isinstance(value, dict)
AROUND = {
    "averaged": {
        "of": (REQUIRED, INNER),
        "decay": (1.0, above(0, 1)),
        "from_round": (1, at_least(1, whole=True)),
    },
    "filtered": {"of": (REQUIRED, INNER), "drift": (0.1, at_least(0))},
}
ONE = np.ones(1)


def read_update(part):
    """Return an update and those around it: the innermost first, each with all its parameters."""
    found = []
    while True:
        update = read_part(part, {**AROUND, **UPDATES}, "update")
        kind = update["kind"]
        need(all(kind != inner["kind"] for inner in found), f"update: {kind} stands around itself")
        found.insert(0, update)
        if kind in UPDATES:
            return found
        part = update["of"]


def next_state(updates, weights, memory, gradient, round_):
    """Return the next weights and the memory after this round.

    Args:
        updates: as `read_update` returns them.
        weights: the weights of this round, float64, shape (d,).
        memory: arrays by name.
        gradient: the global gradient, shape (d,).
        round_: the height of the block.
    """
    (inner, *_), around = updates, {update["kind"]: update for update in updates[1:]}
    own = {"filtered": ("filtered", "gain"), "averaged": ("average",)}
    hidden, kept = {name for kind in around for name in own[kind]}, {}
    if "filtered" in around:
        gradient, kept = filtered(memory, gradient, **around["filtered"])
    inside = {name: array for name, array in memory.items() if name not in hidden}
    weights, made = STEPS[inner["kind"]](inner, weights, inside, gradient, round_)
    if "averaged" in around:
        kept |= averaged(memory, weights, round_, **around["averaged"])
    return weights, {**made, **kept}


def filtered(memory, gradient, *, drift, **_):
    """Return the gradient as a Kalman filter has smoothed it, and what the filter remembers."""
    before, gain = memory.get("filtered", gradient), ONE
    if "gain" in memory:
        spread = memory["gain"] + drift
        gain = spread / (spread + 1.0)
    smoothed = before + gain * (gradient - before)
    return smoothed, {"filtered": smoothed, "gain": gain}


def averaged(memory, weights, round_, *, decay, from_round, **_):
    """Return the average of the weights so far."""
    n = round_ - from_round + 1
    if n < 1:
        return {}
    before = memory.get("average", weights)
    return {"average": before + max(1.0 / n, 1.0 - decay) * (weights - before)}


def rate_of(update, round_):
    """Return the rate of a round."""
    return update["learning_rate"] / (1.0 + update["decay"] * (round_ - 1))


def pulled(update, weights, gradient):
    """Return the gradient with the decay of the weights."""
    decay = update["weight_decay"]
    return gradient + decay * weights if decay else gradient


def gradient_descent(update, weights, memory, gradient, round_):
    """Step against the gradient; the memory stays as it is."""
    return weights - rate_of(update, round_) * pulled(update, weights, gradient), memory


def momentum(update, weights, memory, gradient, round_):
    """Step against a running sum of gradients."""
    carried = update["momentum"] * memory.get("momentum", np.zeros_like(weights))
    carried = carried + pulled(update, weights, gradient)
    return weights - rate_of(update, round_) * carried, {"momentum": carried}


def adam(update, weights, memory, gradient, round_):
    """Step by a running mean of gradients over the root of that of their squares."""
    pull, zero = pulled(update, weights, gradient), np.zeros_like(weights)
    b1, b2 = update["beta1"], update["beta2"]
    first = b1 * memory.get("first", zero) + (1.0 - b1) * pull
    second = b2 * memory.get("second", zero) + (1.0 - b2) * (pull * pull)
    power1, power2 = b1 * memory.get("beta1_power", ONE), b2 * memory.get("beta2_power", ONE)
    root = np.sqrt(second / (1.0 - power2)) + update["stabiliser"]
    step = rate_of(update, round_) * ((first / (1.0 - power1)) / root)
    made = {"first": first, "second": second, "beta1_power": power1, "beta2_power": power2}
    return weights - step, made


def distance_over_gradients(update, weights, memory, gradient, _round):
    """Step by DoG, whose rate is the way from the start over the root of the squared gradients."""
    start = memory.get("start", weights)
    far = memory.get("distance", update["first"] * np.sqrt([float(len(weights))]))
    distance = np.maximum(far, np.sqrt(square(weights - start)))
    squares = memory.get("squares", np.zeros(1)) + square(gradient)
    made = {"start": start, "distance": distance, "squares": squares}
    if squares[0] == 0.0:
        return weights, made
    return weights - (distance / np.sqrt(squares)) * gradient, made


def square(vector):
    """Return the sum of the squares of all entries, added exactly and rounded once."""
    try:
        return np.array([math.fsum(vector * vector)])
    except OverflowError:
        return np.array([math.inf])


STEPS = {
    each.__name__: each for each in (gradient_descent, momentum, adam, distance_over_gradients)
}
