import threading

import numpy as np
import pytest

from fedchain.forecasts.fitting import fitted, side_by_side


def test_a_fit_finds_the_rates_behind_what_was_measured():
    amounts = np.random.default_rng(0).uniform(1, 100, (30, 3)) * [1e3, 1.0, 1e6]
    rates = np.array([2e-6, 3e-3, 5e-9])
    found = fitted(amounts, amounts @ rates, [1e-6, 1e-3, 1e-9])
    assert found == pytest.approx(rates, rel=0.05)


def test_what_is_not_measured_keeps_its_proportion_to_the_rest():
    assert fitted([[1, 0], [2, 0]], [3.0, 6.0], [1.0, 7.0]) == pytest.approx([3.0, 21.0])


def test_no_rate_is_negative():
    found = fitted([[1, 1], [1, 2], [1, 3]], [3.0, 2.0, 1.0], [1.0, 1.0])
    assert min(found) >= 0


def test_calls_side_by_side_go_on_at_the_same_time():
    both = threading.Barrier(2, timeout=60)
    assert 0 <= side_by_side([both.wait, both.wait]) < 60  # the barrier breaks after a minute
