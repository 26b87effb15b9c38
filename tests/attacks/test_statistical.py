"""Attacks by statistics, against slow loops, published factors and values of byzfl 0.0.11."""

from __future__ import annotations

import math

import numpy as np
import pytest
from attack_views import noisy, sent, view

from fedchain.attacks.statistical import alie_factor

ROWS = np.array(
    [
        [3.0, -1.0, 4.0, 1.0],
        [-5.0, 9.0, 2.0, 6.0],
        [5.0, 3.0, -5.0, 8.0],
        [9.0, 7.0, 9.0, -3.0],
        [2.0, 3.0, 8.0, 4.0],
    ]
)
HARD = {
    "random": np.random.default_rng(3).standard_normal((9, 17)),
    "equal": np.tile([1.0, -2.0, 0.5], (4, 1)),
    "zeros": np.zeros((3, 5)),
    "alone": np.array([[3.0, -4.0, 0.0]]),
    "opposite": np.array([[1.0, 2.0], [-1.0, -2.0]]),
    "huge": 1e100 * ROWS,
    "tiny": 1e-100 * ROWS,
    "one far": np.vstack([ROWS, 1e6 * ROWS[0]]),
    "nearly equal": 1.0 + 1e-9 * ROWS,
}
hard = pytest.mark.parametrize("rows", HARD.values(), ids=HARD)


def same(found: np.ndarray, expected: object) -> None:
    """Check that all attackers send the expected row, to 1e-6 of its size."""
    wanted = np.asarray(expected)
    size = np.abs(wanted).max() if wanted.size else 0.0
    for row in found:
        np.testing.assert_allclose(row, wanted, rtol=1e-6, atol=1e-6 * size)


def test_the_factors_of_a_little_is_enough_are_those_of_the_paper():
    assert alie_factor(50, 24) == pytest.approx(1.426, abs=5e-4)
    assert alie_factor(20, 8) == pytest.approx(0.674, abs=5e-4)
    assert alie_factor(20, 4) == pytest.approx(0.157, abs=5e-4)
    assert alie_factor(10, 1) == 0.0  # the quantile is negative
    assert 0.0 <= alie_factor(3, 2) < 10.0
    assert 0.0 <= alie_factor(5, 5) < 10.0
    assert math.isfinite(alie_factor(1000, 900))


def test_attacks_agree_with_stored_values_of_byzfl_after_its_variants():
    seen = view([0.0] * 4, [0.0] * 4, honest=ROWS)
    same(sent("sign_flip", seen, of="pooled"), [-2.8, -4.2, -3.6, -3.2])
    same(sent("inner_product", seen, tau=2.0), [-5.6, -8.4, -7.2, -6.4])
    same(sent("mimic", seen, victim=3), [9.0, 7.0, 9.0, -3.0])
    # byzfl adds 1.5 deviations that divide by one less
    added = np.array([10.47789034, 10.04807661, 11.99196044, 9.68652449])
    same(sent("alie", seen, factor=1.5 * math.sqrt(5 / 4)), 2 * ROWS.mean(axis=0) - added)


@hard
def test_a_little_is_enough_is_that_of_a_slow_loop(rows):
    row = []
    for column in rows.T.tolist():
        mean = math.fsum(column) / len(column)
        square = math.fsum((value - mean) ** 2 for value in column) / len(column)
        row.append(mean - 0.7 * math.sqrt(square))
    same(sent("alie", view(rows[0], rows[0], honest=rows), factor=0.7), row)


def bisected(allowed, most: float) -> float:
    """Return the largest factor that is allowed, up to ``most``, by bisection."""
    low, high = 0.0, most
    for _ in range(300):
        middle = (low + high) / 2
        low, high = (middle, high) if allowed(middle) else (low, middle)
    return low


def slow(rows: np.ndarray, kind: str, perturbation: str) -> np.ndarray:
    """Return the row of min-max or min-sum by bisection, with distances in a loop."""
    mean, length = rows.mean(axis=0), math.hypot(*rows.mean(axis=0))
    along = {
        "unit": -mean / length if length else 0 * mean,
        "std": -rows.std(axis=0),
        "sign": -np.sign(mean),
    }[perturbation]
    if not along.any():
        return mean
    pick = max if kind == "min_max" else math.fsum

    def reach(point: np.ndarray) -> float:
        return pick([math.hypot(*(point - row)) ** (1 if kind == "min_max" else 2) for row in rows])

    bound = max(reach(row) for row in rows)
    most = 10 * np.abs(rows).max() * len(rows) / np.linalg.norm(along)
    factor = bisected(lambda g: reach(mean + g * along) <= bound * (1 + 1e-15), most)
    return np.asarray(mean + factor * along)


@hard
@pytest.mark.parametrize("perturbation", ["unit", "std", "sign"])
@pytest.mark.parametrize("kind", ["min_max", "min_sum"])
def test_min_max_and_min_sum_are_those_of_a_bisection(kind, perturbation, rows):
    found = sent(kind, view(rows[0], rows[0], honest=rows), perturbation=perturbation)
    wanted = slow(rows, kind, perturbation)
    room = 1e-6 * max(np.abs(wanted).max(), np.abs(rows).max())
    np.testing.assert_allclose(found, np.tile(wanted, (2, 1)), rtol=1e-6, atol=room)


@pytest.mark.parametrize("kind", ["min_max", "min_sum"])
def test_min_max_and_min_sum_stay_within_the_honest_spread_and_use_all_of_it(kind):
    seen = noisy(12, 3)
    (row, *_) = sent(kind, seen)
    rows = seen.honest
    between = ((rows[:, None] - rows) ** 2).sum(axis=2)
    apart = ((rows - row) ** 2).sum(axis=1)
    used = apart.max() / between.max() if kind == "min_max" else apart.sum() / between.sum(1).max()
    assert used == pytest.approx(1.0, rel=1e-9)
    assert row @ rows.mean(axis=0) < 0.5 * (rows.mean(axis=0) @ rows.mean(axis=0))


@pytest.mark.parametrize("kind", ["alie", "inner_product", "min_max", "min_sum"])
def test_an_adversary_that_hears_nothing_takes_the_statistics_of_its_own_releases(kind):
    alone = view(*ROWS.tolist())
    told = view([9.0] * 4, *ROWS[1:].tolist(), honest=ROWS)
    given = {"factor": 0.5} if kind == "alie" else {}
    np.testing.assert_array_equal(sent(kind, alone, **given), sent(kind, told, **given))
