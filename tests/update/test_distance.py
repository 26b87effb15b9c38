from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest

from fedchain.update import distance_over_gradients


def walked(gradients, first=0.05, start=None):
    """Return the steps of a run."""
    weights, memory = np.zeros(len(gradients[0])) if start is None else start, {}
    for number, gradient in enumerate(gradients, 1):
        step = distance_over_gradients(weights, memory, gradient, number, first=first)
        weights, memory = step.weights, step.memory
        yield step


def drawn(rounds: int, dimension: int, scale: float = 1.0):
    generator = np.random.default_rng(0)
    return scale * (0.3 + generator.standard_normal((rounds, dimension)))


def squared(numbers) -> float:
    """The sum of squares: each rounded once, their sum once from what is exact."""
    return float(sum(Fraction(float(number) * float(number)) for number in numbers))


@pytest.mark.parametrize("first", [0.05, 3.0])
def test_every_step_is_the_formula_rounded_in_the_written_order(first):
    gradients, start = drawn(12, 9), np.linspace(-1, 1, 9)
    weights, farthest, squares = start.tolist(), first * math.sqrt(9), 0.0
    for gradient, step in zip(gradients, walked(gradients, first, start), strict=True):
        away = [w - w1 for w, w1 in zip(weights, start.tolist(), strict=True)]
        farthest = max(farthest, math.sqrt(squared(away)))
        squares += squared(gradient)
        rate = farthest / math.sqrt(squares)
        weights = [w - rate * g for w, g in zip(weights, gradient.tolist(), strict=True)]
        assert step.weights.tolist() == weights
        assert step.memory["distance"].tolist() == [farthest]
        assert step.memory["squares"].tolist() == [squares]
        assert step.memory["start"].tolist() == start.tolist()


def test_a_node_that_keeps_its_numbers_in_another_order_finds_the_same_bits():
    gradients, order = drawn(12, 1000), np.random.default_rng(1).permutation(1000)
    turned = walked(gradients[:, order])
    for step, other in zip(walked(gradients), turned, strict=True):
        assert step.weights[order].tobytes() == other.weights.tobytes()


@pytest.mark.parametrize("scale", [2.0**-40, 2.0**30])
def test_the_scale_of_the_gradients_does_not_matter(scale):
    *_, one = walked(drawn(20, 50))
    *_, other = walked(drawn(20, 50, scale))
    assert one.weights.tolist() == other.weights.tolist()


def test_a_first_step_that_is_too_small_by_a_thousand_grows_to_the_right_size():
    centre, weights, memory = np.full(20, 5.0), np.zeros(20), {}
    for number in range(1, 400):
        pull = weights - centre
        step = distance_over_gradients(weights, memory, pull, number, first=0.005)
        weights, memory = step.weights, step.memory
    assert np.abs(weights - centre).max() < 0.5


def test_gradients_that_are_zero_move_nothing_and_count_for_nothing():
    nothing, start = np.zeros((3, 4)), np.ones(4)
    assert [step.weights.tolist() for step in walked(nothing, start=start)] == [[1.0] * 4] * 3
    later = list(walked([*nothing, np.ones(4)], start=start))
    assert later[-1].weights.tolist() == next(walked([np.ones(4)], start=start)).weights.tolist()


def test_lengths_beyond_the_largest_number_are_infinite_and_no_error():
    away = np.full(2, 0.9e154)
    memory = {"start": np.zeros(2), "distance": np.ones(1), "squares": np.ones(1)}
    step = distance_over_gradients(away, memory, np.ones(2), 2)
    assert step.memory["distance"].tolist() == [math.sqrt(squared(away))]
    step = distance_over_gradients(1.4 * away, memory, np.ones(2), 2)
    assert step.memory["distance"].tolist() == [math.inf]
    assert step.weights.tolist() == [-math.inf] * 2
