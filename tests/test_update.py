from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
import torch

from fedchain.update import adam, gradient_descent, momentum, updates


def gradients(rounds: int, dimension: int = 50):
    generator = np.random.default_rng(0)
    return [generator.normal(size=dimension) for _ in range(rounds)]


def trajectory(update, rounds=20, **parameters):
    weights, memory = np.linspace(-1, 1, 50), {}
    for number, gradient in enumerate(gradients(rounds), 1):
        step = update(weights, memory, gradient, number, **parameters)
        weights, memory = step.weights, step.memory
    return weights


def torch_trajectory(optimiser, rounds=20, **parameters):
    weights = torch.linspace(-1, 1, 50, dtype=torch.float64).requires_grad_()
    stepper = optimiser([weights], **parameters)
    for gradient in gradients(rounds):
        weights.grad = torch.from_numpy(gradient)
        stepper.step()
    return weights.detach().numpy()


def test_adam_agrees_with_torch():
    ours = trajectory(adam, learning_rate=0.02, weight_decay=0.1)
    theirs = torch_trajectory(torch.optim.Adam, lr=0.02, weight_decay=0.1)
    np.testing.assert_allclose(ours, theirs, rtol=1e-12)


def test_momentum_agrees_with_torch():
    ours = trajectory(momentum, learning_rate=0.02, momentum=0.8)
    theirs = torch_trajectory(torch.optim.SGD, lr=0.02, momentum=0.8)
    np.testing.assert_allclose(ours, theirs, rtol=1e-12)


def test_gradient_descent_agrees_with_torch():
    ours = trajectory(gradient_descent, learning_rate=0.02, weight_decay=0.5)
    theirs = torch_trajectory(torch.optim.SGD, lr=0.02, weight_decay=0.5)
    np.testing.assert_allclose(ours, theirs, rtol=1e-12)


def test_decay_divides_the_rate_by_one_plus_decay_times_rounds_before():
    step = gradient_descent(np.zeros(1), {}, np.ones(1), 5, learning_rate=1.0, decay=0.25)
    assert step.weights.tolist() == [-0.5]


def test_each_operation_of_adam_is_rounded_once_and_in_the_written_order():
    def rounded(value: Fraction) -> Fraction:
        return Fraction(float(value))

    beta, gradient = Fraction(0.9), Fraction(0.3)
    kept = rounded(1 - beta)
    first = rounded(rounded(beta * Fraction(0.1)) + rounded(kept * gradient))
    memory = {"first": np.array([0.1]), "second": np.array([0.2])}
    step = adam(np.zeros(1), memory, np.array([0.3]), 2, learning_rate=0.1)
    assert float(first) == step.memory["first"][0]


@pytest.mark.parametrize("kind", updates.names())
def test_every_update_leaves_what_it_was_given_alone(kind):
    part = updates.check({"kind": kind, "learning_rate": 0.1})
    weights, gradient = np.ones(3), np.ones(3)
    first = updates.build(part, weights, {}, gradient, 1)
    kept = {name: value.copy() for name, value in first.memory.items()}
    updates.build(part, first.weights, first.memory, gradient, 2)
    assert weights.tolist() == gradient.tolist() == [1.0, 1.0, 1.0]
    for name, value in first.memory.items():
        assert np.array_equal(value, kept[name])
