import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from fedchain.statistics import interval

numbers = st.floats(-1e3, 1e3, allow_nan=False).map(lambda v: round(v, 4))


@settings(derandomize=True, max_examples=50, deadline=None)
@given(st.lists(numbers, min_size=2, max_size=12), st.sampled_from([0.8, 0.95, 0.99]))
def test_the_interval_is_that_of_scipy(values: list[float], confidence: float) -> None:
    found = interval(values, confidence)
    spread = stats.sem(values)
    low, high = stats.t.interval(
        confidence, len(values) - 1, loc=np.mean(values), scale=spread if spread > 0 else 1e-300
    )
    assert found.low == pytest.approx(low, rel=1e-9, abs=1e-9)
    assert found.high == pytest.approx(high, rel=1e-9, abs=1e-9)
    assert found.count == len(values)


def test_one_value_alone_says_nothing_about_the_spread() -> None:
    found = interval([0.5])
    assert (found.mean, found.half, found.count) == (0.5, math.inf, 1)


def test_no_values_are_refused() -> None:
    with pytest.raises(ValueError, match="at least one number, got none"):
        interval([])


def test_the_interval_holds_the_true_mean_as_often_as_it_says() -> None:
    draws = np.random.default_rng(0).normal(3.0, 1.0, (2000, 5))
    held = [(i := interval(list(row))).low <= 3.0 <= i.high for row in draws]
    assert np.mean(held) == pytest.approx(0.95, abs=0.015)
