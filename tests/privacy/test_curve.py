"""The quick bounds on epsilon that records of rounds state, against the totals of accountants."""

import math
from collections import Counter

import numpy as np
import pytest
from small_runs import simulate, small

from fedchain.privacy import accounting
from fedchain.privacy.curve import sampled_gaussian_curve
from fedchain.privacy.mechanisms import gaussian, knorm, laplace, none, privacy_filter, skellam

CLIPPED = {"clip": 0.5, "delta": 1e-5}


@pytest.mark.parametrize(
    ("noise", "rate", "releases", "delta"),
    [(3.6, 0.2, 330, 1e-4), (0.8, 0.01, 1100, 1e-5), (1.0, 0.5, 50, 1e-6), (20.0, 0.2, 330, 1e-9)],
)
def test_the_curve_of_sampled_gaussians_lies_just_above_another_accountants_total(
    noise, rate, releases, delta
):
    curve = sampled_gaussian_curve(noise, rate, releases)
    for count in (1, 2, releases // 3, releases):
        total = accounting.pld_epsilon(noise, count, delta, rate)
        assert total * (1 - 1e-6) <= curve.epsilon(count, delta) <= total * 1.0004


def test_the_curve_of_nearly_all_records_lies_just_above_the_closed_form():
    curve = sampled_gaussian_curve(3.0, 1 - 1e-9, 100)
    for count in range(1, 101, 9):
        exact = accounting.gaussian_epsilon(1e-5, math.sqrt(count) / 3.0)
        assert exact * (1 - 1e-6) <= curve.epsilon(count, 1e-5) <= exact * 1.0004


def test_a_curve_does_not_depend_on_the_number_of_releases_for_which_it_has_room():
    few, many = (sampled_gaussian_curve(2.0, 0.01, most) for most in (10, 20_000))
    for count in (1, 3, 10):
        assert many.epsilon(count, 1e-8) == pytest.approx(few.epsilon(count, 1e-8), rel=1e-5)


def test_a_delta_below_what_the_curve_leaves_out_has_no_bound():
    assert sampled_gaussian_curve(2.0, 0.1, 10).epsilon(5, 1e-16) == math.inf


def test_a_delta_that_one_release_keeps_without_any_epsilon_costs_nothing():
    assert sampled_gaussian_curve(50.0, 0.01, 10).epsilon(1, 1e-2) == 0.0


@pytest.mark.parametrize(
    "made",
    [
        gaussian(40, 650, epsilon=2.0, **CLIPPED),
        gaussian(40, 650, epsilon=2.0, sampling_rate=0.2, **CLIPPED),
        gaussian(40, 650, noise_multiplier=20.0, accountant="rdp", sampling_rate=0.2, **CLIPPED),
        gaussian(40, 650, epsilon=2.0, clip_quantile=0.5, sampling_rate=0.5, **CLIPPED),
        knorm(40, 650, epsilon=2.0, **CLIPPED),
        knorm(40, 5, noise_multiplier=50.0, **CLIPPED),
        knorm(40, 650, noise_multiplier=9.0, accountant="rdp", **CLIPPED),
        laplace(40, 650, epsilon=2.0, **CLIPPED),
        skellam(40, 650, 1, epsilon=2.0, **CLIPPED),
        privacy_filter(40, 650, epsilon=2.0, **CLIPPED),
        none(40, 650),
    ],
    ids=lambda made: f"{made.name} {made.terms.sampling_rate:g} {made.noise_multiplier:.3g}",
)
def test_a_bound_is_at_most_a_thousandth_above_the_total_and_grows(made):
    counts = (0, 1, 2, 15, 44)
    bounds, totals = zip(
        *((made.epsilon_bound(n), made.epsilon_after(n)) for n in counts), strict=True
    )
    assert bounds == tuple(sorted(bounds))
    for bound, total in zip(bounds, totals, strict=True):
        assert bound == total or total * (1 - 1e-6) < bound < 1.001 * total


@pytest.mark.parametrize("rate", [1.0, 0.2])
def test_with_prv_a_bound_is_tighter_than_the_total_by_at_most_its_error(rate):
    made = gaussian(40, 650, noise_multiplier=8.0, accountant="prv", sampling_rate=rate, **CLIPPED)
    for count in (1, 10, 44):
        assert made.epsilon_after(count) - 0.02 < made.epsilon_bound(count)
        assert made.epsilon_bound(count) < made.epsilon_after(count)


def test_a_run_composes_sampled_releases_no_more_often_for_more_rounds(tmp_path, monkeypatch):
    asked = Counter()
    for name in ("pld_epsilon", "prv_epsilon"):
        true = getattr(accounting, name)

        def counted(*arguments, true=true, name=name):
            asked[name] += 1
            return true(*arguments)

        monkeypatch.setattr(accounting, name, counted)
    found = []
    for rounds in (2, 5):
        sampled = {"noise_multiplier": 30.0 + rounds, "epsilon": None, "sampling_rate": 0.5}
        changed = {f"privacy.{name}": value for name, value in sampled.items()}
        made = simulate(small(rounds, **changed), tmp_path / str(rounds))
        asked.clear()
        told = [record.epsilon for record, _ in made.simulation.rounds()]
        made.close()
        assert told == sorted(told)
        assert 0 < told[0] < told[-1]
        found.append(sum(asked.values()))
    assert found == [0, 0]


def test_powers_that_are_zero_are_left_out_without_a_change_of_any_bit(monkeypatch):
    curve, counts = sampled_gaussian_curve(3.6, 0.2, 330), (1, 2, 10, 90, 330)
    found = [curve.epsilon(count, 1e-4) for count in counts]
    monkeypatch.setattr("fedchain.privacy.curve.VANISHING", -math.inf)
    assert found == [curve.epsilon(count, 1e-4) for count in counts]


def test_of_many_releases_few_powers_are_computed(monkeypatch):
    curve, sizes, exponential = sampled_gaussian_curve(3.6, 0.2, 330), [], np.exp

    def counted(x, **more):
        if np.iscomplexobj(x):
            sizes.append(x.size)
        return exponential(x, **more)

    monkeypatch.setattr(np, "exp", counted)
    computed = {}
    for releases in (1, 330):
        curve.epsilon(releases, 1e-4)
        computed[releases] = sum(sizes)
        sizes.clear()
    assert computed[330] < computed[1] / 3
