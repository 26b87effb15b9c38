from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
import torch

from fedchain.update import adam, gradient_descent, momentum, updates

DESCENT = {"kind": "gradient_descent", "learning_rate": 0.1}
REQUIRED = {"averaged": {"of": DESCENT}, "filtered": {"of": DESCENT}}
REQUIRED |= {"distance_over_gradients": {}}


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
    part = updates.check({"kind": kind, **REQUIRED.get(kind, {"learning_rate": 0.1})})
    weights, gradient = np.ones(3), np.ones(3)
    first = updates.build(part, weights, {}, gradient, 1)
    kept = {name: value.copy() for name, value in first.memory.items()}
    updates.build(part, first.weights, first.memory, gradient, 2)
    assert weights.tolist() == gradient.tolist() == [1.0, 1.0, 1.0]
    for name, value in first.memory.items():
        assert np.array_equal(value, kept[name])


BASES = [
    {**DESCENT, "weight_decay": 0.1},
    {"kind": "momentum", "learning_rate": 0.1},
    {"kind": "adam", "learning_rate": 0.1},
    {"kind": "distance_over_gradients"},
]


def steps(block, rounds=9, dimension=7):
    """Return the states of a few rounds."""
    part, weights, memory = updates.check(block), np.linspace(-1, 1, dimension), {}
    for number, gradient in enumerate(gradients(rounds, dimension), 1):
        step = updates.build(part, weights, memory, gradient, number)
        weights, memory = step.weights, step.memory
        yield step


def toward(start: float, end: float, gain: float) -> float:
    """start + gain (end - start), each operation rounded once from what is exact."""
    away = Fraction(float(Fraction(end) - Fraction(start)))
    part = Fraction(float(Fraction(gain) * away))
    return float(Fraction(start) + part)


@pytest.mark.parametrize("base", BASES)
@pytest.mark.parametrize(("decay", "from_round"), [(1.0, 1), (0.7, 1), (0.75, 3)])
def test_averages_are_exact_and_leave_the_weights_alone(base, decay, from_round):
    block = {"kind": "averaged", "of": base, "decay": decay, "from_round": from_round}
    average = None
    for number, (step, alone) in enumerate(zip(steps(block), steps(base), strict=True), 1):
        assert step.weights.tolist() == alone.weights.tolist()
        assert ("average" in step.memory) == (number >= from_round)
        if number < from_round:
            continue
        gain = max(float(Fraction(1, number - from_round + 1)), float(1 - Fraction(decay)))
        before = average or step.weights.tolist()
        average = [toward(a, w, gain) for a, w in zip(before, step.weights.tolist(), strict=True)]
        assert step.memory["average"].tolist() == average
        assert {n: v.tolist() for n, v in step.memory.items() if n != "average"} == {
            n: v.tolist() for n, v in alone.memory.items()
        }


def test_an_average_without_decay_is_the_mean_of_all_from_its_first_round_on():
    block = {"kind": "averaged", "of": BASES[1], "from_round": 4}
    made = list(steps(block))
    mean = np.mean([step.weights for step in made[3:]], axis=0)
    np.testing.assert_allclose(made[-1].memory["average"], mean, rtol=1e-12)


@pytest.mark.parametrize("base", BASES)
@pytest.mark.parametrize("drift", [0.0, 0.1, 3.0])
def test_filtered_gradients_are_exact_and_are_what_the_inner_update_gets(base, drift):
    inner, weights, memory = updates.check(base), np.linspace(-1, 1, 7), {}
    estimate, gain = None, 1.0
    block = {"kind": "filtered", "of": base, "drift": drift}
    given = enumerate(zip(steps(block), gradients(9, 7), strict=True), 1)
    for number, (step, gradient) in given:
        if estimate is None:
            estimate = gradient.tolist()
        else:
            spread = Fraction(float(Fraction(gain) + Fraction(drift)))
            gain = float(spread / Fraction(float(spread + 1)))
            pairs = zip(estimate, gradient.tolist(), strict=True)
            estimate = [toward(old, new, gain) for old, new in pairs]
        alone = updates.build(inner, weights, memory, np.array(estimate), number)
        weights, memory = alone.weights, alone.memory
        assert step.weights.tolist() == weights.tolist()
        assert step.memory["filtered"].tolist() == estimate
        assert step.memory["gain"].tolist() == [gain]


def test_the_gain_is_that_of_a_kalman_filter_of_a_random_walk():
    process, noise, variance = 0.3, 2.0, float("inf")
    for step in steps({"kind": "filtered", "of": DESCENT, "drift": process / noise}):
        gain = 1.0 if variance == float("inf") else variance / (variance + noise)
        variance = (noise if gain == 1.0 else (1 - gain) * variance) + process
        assert step.memory["gain"][0] == pytest.approx(gain, rel=1e-12)


def test_without_drift_the_filter_is_the_mean_of_all_gradients():
    made = list(steps({"kind": "filtered", "of": DESCENT, "drift": 0.0}))
    mean = np.mean(gradients(9, 7), axis=0)
    np.testing.assert_allclose(made[-1].memory["filtered"], mean, rtol=1e-12)


@pytest.mark.parametrize("base", BASES)
def test_averages_and_filters_may_stand_in_either_order(base):
    one = {"kind": "averaged", "of": {"kind": "filtered", "of": base, "drift": 0.1}}
    other = {"kind": "filtered", "of": {"kind": "averaged", "of": base}, "drift": 0.1}
    for left, right in zip(steps(one), steps(other), strict=True):
        assert left.weights.tolist() == right.weights.tolist()
        assert sorted(left.memory) == sorted(right.memory)
        for name, value in left.memory.items():
            assert value.tolist() == right.memory[name].tolist()
