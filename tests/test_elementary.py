import math

import mpmath
import numpy as np
import pytest

from fedchain.elementary import cosine_and_sine, dot, draw_between, draw_each_between, exp

ANGLES = [*np.linspace(-10, 10, 997), *(k * math.pi / 4 for k in range(-12, 13))]


@pytest.mark.parametrize("place", [0, 1], ids=["cosine", "sine"])
def test_cosine_and_sine_are_off_by_at_most_4e16(place):
    exact = (mpmath.cos, mpmath.sin)[place]
    with mpmath.workprec(120):
        errors = [abs(exact(float(a)) - cosine_and_sine(float(a))[place]) for a in ANGLES]
    assert max(errors) < 4e-16


def test_the_exponential_has_a_relative_error_of_at_most_2e15():
    with mpmath.workprec(120):
        errors = [abs(exp(float(x)) / mpmath.exp(float(x)) - 1) for x in np.linspace(0, 2, 501)]
    assert max(errors) < 2e-15


def test_dot_products_are_those_of_matrices():
    a, b = np.arange(9.0).reshape(3, 3), np.arange(9.0, 0, -1).reshape(3, 3)
    assert (dot(a.T[:, :, None], b[:, None]) == a @ b).all()


def test_a_draw_takes_one_number_and_spreads_it_over_the_range():
    one, same = np.random.default_rng(0), np.random.default_rng(0)
    assert draw_between(one, -2, 6) == -2 + 8 * same.random()
    assert draw_each_between(one, [0, 5], [1, 7]) == [same.random(), 5 + 2 * same.random()]
