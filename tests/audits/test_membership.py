from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats
from small_runs import small

from fedchain.audits import Choices, audit
from fedchain.audits.lower_bounds import Trials, auc
from fedchain.audits.membership import (
    Shadows,
    likelihood_ratios,
    record_scores,
    true_positives,
    with_halves,
)
from fedchain.audits.one_run import guessed, one_run_bound, one_run_mu
from fedchain.audits.runs_for_audit import Promise
from fedchain.learning.evaluation import flat_weights
from fedchain.learning.task import Records, tasks
from fedchain.learning.tasks.subset import taking_part
from fedchain.privacy.accounting import gaussian_epsilon


def made_up(runs: int, records: int, shift: float) -> Shadows:
    """Scores that rise by so many standard deviations where a record takes part."""
    generator = np.random.default_rng(5)
    inside = generator.random((runs, records)) < 0.5
    hard = 5 * generator.standard_normal(records)
    noise = generator.standard_normal((runs, records))
    return Shadows(hard + noise + shift * inside, inside)


def test_likelihood_ratios_take_off_how_hard_a_record_is():
    shadows = made_up(40, 400, 2.0)
    ratios = likelihood_ratios(shadows)
    plain = auc(shadows.scores[shadows.inside], shadows.scores[~shadows.inside])
    better = auc(ratios[shadows.inside], ratios[~shadows.inside])
    known = stats.norm.cdf(2.0 / math.sqrt(2))  # were both laws known exactly
    assert plain < 0.65
    assert known - 0.03 < better < known + 0.01


def test_likelihood_ratios_never_look_at_who_took_part_in_the_attacked_run():
    shadows = made_up(6, 200, 1.0)
    other = Shadows(shadows.scores, shadows.inside.copy())
    other.inside[2] = ~other.inside[2]
    assert np.array_equal(likelihood_ratios(shadows)[2], likelihood_ratios(other)[2])


def test_scores_without_a_difference_give_members_as_often_as_others():
    shadows = made_up(10, 2000, 0.0)
    ratios = likelihood_ratios(shadows)
    assert auc(ratios[shadows.inside], ratios[~shadows.inside]) == pytest.approx(0.5, abs=0.02)
    for rate in (0.01, 0.2, 1.0):
        found = true_positives(ratios, shadows, rate, 1.0, 0.95)
        assert found["share"] == pytest.approx(rate, rel=0.3)
        assert found["share"] <= found["share_high"]


def test_the_area_under_the_curve_is_that_of_all_pairs():
    generator = np.random.default_rng(1)
    one, two = generator.integers(0, 6, 40), generator.integers(0, 5, 30)
    pairs = np.sign(one[:, None] - two[None])
    assert auc(one, two) == pytest.approx((pairs.mean() + 1) / 2)
    assert auc(two.astype(float), two.astype(float)) == 0.5


def test_guesses_are_the_surest_ones_half_of_each_kind():
    inside = np.arange(200) < 100
    sure = Trials(np.where(inside, 1.0, -1.0) * np.linspace(2, 1, 200), inside)
    for law, proved in (
        ("any", one_run_bound(200, 20, 20, 1e-5)),
        ("gaussian", gaussian_epsilon(1e-5, one_run_mu(200, 20, 20))),
    ):
        found = guessed(sure, 1e-5, law, 0.95)
        assert (found["guesses"], found["correct"]) == (20, 20)
        assert found["lower_bound"] == proved


def test_the_ceiling_is_that_of_epsilon_and_delta():
    assert Promise(math.log(4), 0.01).ceiling(0.1) == pytest.approx(0.41)
    assert Promise(8.0, 1e-5).ceiling(0.5) == Promise(None, 0.0).ceiling(0.001) == 1.0


def test_a_score_is_the_logit_of_the_probability_and_a_record_has_its_mean_loss():
    task = tasks.build(small().task, 2, 0)
    weights = flat_weights(task.model()) + 0.3
    own = task.holders[0]
    scores = record_scores(task, own, weights)
    logits = own.inputs @ weights[:-1] + weights[-1]  # logistic regression: its own logits
    expected = np.where(own.targets == 1, logits, -logits)
    np.testing.assert_allclose(scores, expected, atol=1e-3)
    numbers = np.arange(len(scores)) // 2
    joined = record_scores(task, Records(own.inputs, own.targets, numbers), weights)
    losses = np.log1p(np.exp(-expected))
    means = np.bincount(numbers, losses) / np.bincount(numbers)
    np.testing.assert_allclose(joined, -np.log(np.expm1(means)), atol=1e-3)


def test_a_subset_keeps_whole_records_and_one_at_least():
    records = Records(np.arange(12.0).reshape(6, 2), np.arange(6), np.array([7, 7, 3, 3, 3, 9]))
    kept = records.part(np.array([True, False, True]))  # records 3 and 9
    assert kept.targets.tolist() == [2, 3, 4, 5]
    assert kept.count == 2
    assert all(taking_part(seed, 0, 1).all() for seed in range(20))
    assert taking_part(1, 0, 50, 4).sum() == 4


def test_halves_of_two_seeds_differ_but_not_their_data():
    scenario = small()
    halves = with_halves(scenario).task
    one, two = (tasks.build(halves, 10, seed) for seed in (0, 1))
    whole = tasks.build(scenario.task, 10, 0)
    assert np.array_equal(one.held_out.inputs, two.held_out.inputs)
    assert np.array_equal(flat_weights(one.model()), flat_weights(whole.model()))
    for made, seed in ((one, 0), (two, 1)):
        mask = taking_part(seed, 3, whole.holders[3].count)
        assert np.array_equal(made.holders[3].inputs, whole.holders[3].inputs[mask])
    assert one.holders[3].count != whole.holders[3].count


def test_a_model_that_learns_by_heart_gives_its_records_away(tmp_path):
    few = {"kind": "digits", "model": {"kind": "mlp", "hidden": [32]}, "held_out": 0.94}
    changes = {"nodes.holders": 5, "aggregation": {"kind": "mean"}, "update.learning_rate": 0.02}
    scenario = small(15, attacks=[], task=few, privacy={"kind": "none"}, **changes)
    found = audit(scenario, ["membership"], tmp_path, Choices(runs=4))
    loss, lira = found.findings["membership"]
    assert lira["auc"] > loss["auc"] > 0.65
    assert lira["trials"] == 4 * 108
    assert lira["claimed"] is None
    assert not found.violations
    names = [file.name for file in found.files[1:]]
    assert names == ["membership.pdf", "membership.png"]  # no claim to draw a bound against
