from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from scipy import stats

from fedchain.audits.lower_bounds import Trials
from fedchain.audits.one_run import (
    gaussian_chance_is_below,
    guessed,
    one_run_bound,
    one_run_chance,
    one_run_mu,
)
from fedchain.privacy.accounting import gaussian_epsilon

PUBLISHED = ((1000, 100, 95, 0.0, 2.1724), (1000, 1000, 700, 1e-5, 0.7317))
"""Canaries, guesses, correct, delta, the 95 % lower bound: of the paper's own program."""


@pytest.mark.parametrize(("canaries", "guesses", "correct", "delta", "epsilon"), PUBLISHED)
def test_one_run_proves_what_was_published(canaries, guesses, correct, delta, epsilon):
    assert one_run_bound(canaries, guesses, correct, delta) == pytest.approx(epsilon, abs=1e-4)


def test_the_chance_of_one_run_is_that_of_exact_sums():
    for canaries, guesses, correct, odds in ((40, 12, 9, 3), (40, 12, 12, 2), (30, 7, 0, 5)):
        right, delta = Fraction(odds, 1 + odds), Fraction(1, 10_000)
        law = [
            math.comb(guesses, k) * right**k * (1 - right) ** (guesses - k)
            for k in range(guesses + 1)
        ]
        steps = [
            sum(law[max(0, correct - i) : correct], Fraction(0)) / i for i in range(1, canaries + 1)
        ]
        exact = sum(law[correct:]) + 2 * canaries * delta * max(steps)
        found = one_run_chance(canaries, guesses, correct, math.log(odds), float(delta))
        assert found == pytest.approx(min(1.0, float(exact)), rel=1e-9)


def test_one_run_pays_for_delta_and_proves_nothing_by_chance():
    assert one_run_bound(1000, 100, 95, 1e-3) < one_run_bound(1000, 100, 95, 1e-6) < 2.1724
    assert one_run_bound(1000, 100, 55, 1e-5) == 0.0


def gaussian_run(mu: float, canaries: int, seed: int) -> Trials:
    """Scores of one run of a mechanism whose trade-off function is Gaussian with this mu."""
    generator = np.random.default_rng(seed)
    inside = generator.random(canaries) < 0.5
    return Trials(mu * inside + generator.standard_normal(canaries), inside)


def test_a_bound_that_knows_the_trade_off_is_above_the_truth_as_rarely_as_it_says():
    for mu in (0.4, 2.0):
        truth = gaussian_epsilon(1e-5, mu)
        found = [
            [
                guessed(gaussian_run(mu, 1000, seed), 1e-5, law, 0.8)["lower_bound"]
                for seed in range(20)
            ]
            for law in ("gaussian", "any")
        ]
        known, unknown = (np.array(each) for each in found)
        assert np.mean(known > truth) <= 0.2
        assert np.all(known >= unknown)
        assert np.median(known) > 1.2 * np.median(unknown)


def test_a_run_of_ten_thousand_canaries_proves_two_thirds_of_a_claim_of_four():
    mu = 0.9249
    assert gaussian_epsilon(1e-5, mu) == pytest.approx(4.0, abs=1e-3)
    found = {
        law: np.mean(
            [guessed(gaussian_run(mu, 10_000, s), 1e-5, law, 0.95)["lower_bound"] for s in range(5)]
        )
        for law in ("gaussian", "any")
    }
    assert found["any"] == pytest.approx(1.95, abs=0.15)  # 2.5 standard errors
    assert found["gaussian"] == pytest.approx(2.7, abs=0.2)


def test_what_is_ruled_out_is_rarer_than_the_error_where_every_canary_is_guessed():
    """All canaries are guessed at the middle: the number of right guesses is then binomial."""
    for mu, canaries in ((0.5, 200), (1.5, 400)):
        law = stats.binom(canaries, stats.norm.cdf(mu / 2))
        for error in (0.05, 0.2):
            proven = [
                v
                for v in range(canaries // 2, canaries + 1)
                if gaussian_chance_is_below(error, mu, canaries, canaries, v)
            ]
            assert proven
            assert proven == list(range(proven[0], canaries + 1))  # more is rarer
            assert law.sf(proven[0] - 1) < error


def test_mu_of_one_run_is_where_the_chance_is_the_error_and_half_right_proves_nothing():
    mu = one_run_mu(1000, 100, 90)
    assert gaussian_chance_is_below(0.05, mu - 1e-4, 1000, 100, 90)
    assert not gaussian_chance_is_below(0.05, mu + 1e-4, 1000, 100, 90)
    assert one_run_mu(1000, 100, 52) == 0.0
    assert one_run_mu(1000, 100, 90, 0.99) < mu < one_run_mu(1000, 100, 95)
