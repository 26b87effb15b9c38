from __future__ import annotations

import math
from itertools import product
from typing import Any

import numpy as np
import pytest
from scipy import stats

from fedchain.audits.lower_bounds import (
    Trials,
    lower_bound,
    plain_epsilon,
    separation,
    tail_bound,
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
    """Scores that are 1 for "in" and 0 for "out", plus normal noise of deviation 1 / mu."""
    generator = np.random.default_rng(seed)
    inside = generator.random(count) < 0.5
    return Trials(inside + generator.standard_normal(count) / (mu or 1e-9), inside)


def bound(trials: Trials, delta: float, law: str, confidence: float) -> dict[str, Any]:
    if law == "tails":
        return tail_bound({"run": trials}, delta, confidence)
    return lower_bound({"run": trials}, delta, law, confidence)


def test_bounds_lie_above_the_truth_as_rarely_as_they_say():
    truth = gaussian_epsilon(1e-3, 1.0)
    for law, least, most in (("gaussian", 0.8, 20), ("any", 0.1, 3), ("tails", 0.3, 3)):
        found = [bound(gaussian_trials(1.0, 4000, s), 1e-3, law, 0.8) for s in range(60)]
        # with 12 expected above the truth, 20 are 2.6 standard errors more; what knows nothing of
        # the mechanism stays far below
        assert sum(each["lower_bound"] > truth for each in found) <= most
        assert np.median([each["lower_bound"] for each in found]) > least * truth


def test_a_bound_that_knows_nothing_of_the_mechanism_is_the_weaker_one():
    trials = gaussian_trials(1.0, 20_000, 1)
    plain, tails, more = (
        bound(trials, 1e-5, law, 0.95)["lower_bound"] for law in ("any", "tails", "gaussian")
    )
    assert plain < tails < more
    assert gaussian_delta(more, 1.0) > 1e-5  # below the truth


def test_the_best_score_is_taken_and_named_and_noise_proves_nothing():
    good = gaussian_trials(3.0, 4000, 2)
    noise = Trials(np.random.default_rng(3).standard_normal(4000), good.inside)
    found = lower_bound({"noise": noise, "good": good}, 1e-5, "gaussian")
    assert (found["found_in"], found["trials"]) == ("good", 4000)
    assert found["lower_bound"] > 8
    assert lower_bound({"noise": noise}, 1e-5, "gaussian")["lower_bound"] < 0.3


def test_twenty_scores_without_a_word_prove_something_as_rarely_as_one():
    few = {
        number: {f"round {k}": gaussian_trials(0.0, 60, 1000 * number + k) for k in range(20)}
        for number in range(40)
    }
    for law in ("gaussian", "any"):
        wrong = sum(lower_bound(each, 0.01, law, 0.9)["lower_bound"] > 0 for each in few.values())
        assert wrong <= 9, law  # 4 are expected at most, 9 are 2.6 standard errors more
    # were the threshold judged by those who chose it, few canaries would prove something
    assert sum(tail_bound(each, 0.01, 0.9)["lower_bound"] > 0 for each in few.values()) <= 9


def test_the_price_of_many_scores_is_a_part_of_the_error():
    clear = gaussian_trials(2.0, 1000, 4)
    many = {"clear": clear} | {f"blind {k}": gaussian_trials(0.0, 1000, k) for k in range(39)}
    found = lower_bound(many, 1e-5, "gaussian", 0.95)
    alone = lower_bound({"clear": clear}, 1e-5, "gaussian", 1 - 0.05 / 40)
    assert found == alone
    assert found["lower_bound"] < lower_bound({"clear": clear}, 1e-5, "gaussian")["lower_bound"]


def test_rates_of_both_kinds_are_pooled_only_where_the_trade_off_is_known():
    inside = np.arange(200) < 100
    scores = np.where(inside, 1.0, 0.0)
    scores[:7] = 0.0  # seven misses, no false alarm
    found = {
        law: lower_bound({"r": Trials(scores, inside)}, 1e-5, law) for law in ("gaussian", "any")
    }
    pooled = upper_rate(7, 200, 0.05)
    assert found["gaussian"]["false_positive"] == found["gaussian"]["false_negative"] == pooled
    assert found["any"]["false_negative"] == upper_rate(7, 100, 0.025)
    assert found["any"]["false_positive"] == upper_rate(0, 100, 0.025)
    expected = gaussian_epsilon(1e-5, 3 * float(separation(pooled, pooled)))
    many = lower_bound({"r": Trials(scores, inside)}, 1e-5, "gaussian", factor=3.0)
    assert many["lower_bound"] == pytest.approx(expected)
