from __future__ import annotations

import math
from fractions import Fraction
from itertools import product

import numpy as np
import pytest
from scipy import stats

from fedchain.audits.lower_bounds import (
    Trials,
    lower_bound,
    one_run_bound,
    one_run_chance,
    plain_epsilon,
    separation,
    upper_rate,
)
from fedchain.privacy.accounting import gaussian_delta, gaussian_epsilon


@pytest.mark.parametrize(("wrong", "count"), [(0, 20), (3, 20), (19, 20), (700, 5000)])
def test_the_upper_rate_is_that_of_clopper_and_pearson(wrong, count):
    exact = stats.binomtest(wrong, count).proportion_ci(0.95, "exact").high
    assert upper_rate(wrong, count, 0.025) == pytest.approx(exact, rel=1e-9)
    assert stats.binom.cdf(wrong, count, upper_rate(wrong, count, 0.1)) == pytest.approx(0.1)


def test_the_upper_rate_has_closed_forms_at_both_ends():
    assert upper_rate(0, 50, 0.05) == pytest.approx(1 - 0.05 ** (1 / 50))
    assert upper_rate(49, 50, 0.05) == pytest.approx(0.95 ** (1 / 50))
    assert upper_rate(50, 50, 0.05) == upper_rate(0, 0, 0.05) == 1.0


def test_randomised_response_gives_its_own_epsilon():
    for epsilon, delta in product((0.1, 1.0, 3.0), (0.0, 1e-3)):
        lie = (1 - delta) / (1 + math.exp(epsilon))
        assert plain_epsilon(lie, lie, delta) == pytest.approx(epsilon)
    assert plain_epsilon(0.5, 0.5, 1e-5) == 0.0


def test_the_gaussian_trade_off_gives_its_own_mu():
    for mu, threshold in product((0.5, 1.0, 4.0), (-1.0, 0.5, 2.0)):
        rates = stats.norm.sf(threshold), stats.norm.cdf(threshold - mu)
        assert separation(*rates) == pytest.approx(mu)


def gaussian_trials(mu: float, count: int, seed: int) -> Trials:
    generator = np.random.default_rng(seed)
    inside = generator.random(count) < 0.5
    return Trials(generator.standard_normal(count) + mu * inside, inside)


def test_bounds_lie_above_the_truth_as_rarely_as_they_say():
    truth = gaussian_epsilon(1e-3, 1.0)
    for law, least in (("gaussian", 0.75), ("any", 0.3)):
        found = [lower_bound([gaussian_trials(1.0, 4000, s)], 1e-3, law, 0.8) for s in range(60)]
        # two rates share the 20 % evenly, so that most bounds err by less
        assert sum(bound["lower_bound"] > truth for bound in found) <= 12
        assert np.median([bound["lower_bound"] for bound in found]) > least * truth


def test_a_bound_that_knows_nothing_of_the_mechanism_is_the_weaker_one():
    trials = gaussian_trials(1.0, 20_000, 1)
    some, more = (lower_bound([trials], 1e-5, law)["lower_bound"] for law in ("any", "gaussian"))
    assert some < more
    assert gaussian_delta(more, 1.0) > 1e-5  # below the truth


def test_the_best_score_is_taken_and_noise_proves_nothing():
    good = gaussian_trials(3.0, 4000, 2)
    noise = Trials(np.random.default_rng(3).standard_normal(4000), good.inside)
    assert lower_bound([noise, good], 1e-5, "gaussian")["lower_bound"] > 8
    assert lower_bound([noise], 1e-5, "gaussian")["lower_bound"] < 0.3
    # were the threshold judged by those who chose it, few canaries would prove something
    few = [gaussian_trials(0.0, 60, seed) for seed in range(200)]
    assert sum(lower_bound([each], 0.01, "any", 0.9)["lower_bound"] > 0 for each in few) <= 20


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
