from __future__ import annotations

import itertools
import math
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from fedchain.errors import ScenarioError
from fedchain.privacy.accounting import prv_epsilon, rdp_epsilon
from fedchain.privacy.budget import KEPT_ANSWERS, Budget
from fedchain.privacy.guarantee import figures, guarantee, replaced, warnings_for
from fedchain.privacy.mechanisms import (
    Mechanism,
    clipped,
    gaussian,
    knorm,
    laplace,
    mechanisms,
    none,
    privacy_filter,
    skellam,
)
from fedchain.privacy.mechanisms.gaussian import GAUSSIAN_TOTALS
from fedchain.randomness import digest

NOISY = {made.__name__: made for made in (gaussian, knorm, laplace, privacy_filter, skellam)}
TOTALS = [("gaussian", "pld"), ("gaussian", "prv"), ("gaussian", "rdp")]
TOTALS += [("knorm", "pld"), ("knorm", "rdp"), ("skellam", "pld"), ("skellam", "rdp")]
TOTALS += [("laplace", None), ("privacy_filter", None)]


def built(rounds: int = 40, dimension: int = 2035, **block) -> Mechanism:
    return mechanisms.build(mechanisms.check(block), rounds, dimension)


def drawn_of(mechanism, key, dimension, records):
    moved = [mechanism.terms.sensitivity(records)]
    return mechanism.release(np.zeros((1, dimension), np.float32), [key], moved)[0]


@pytest.mark.parametrize(("kind", "accountant"), TOTALS)
@pytest.mark.parametrize("epsilon", [0.5, 8.0])
def test_the_total_over_rounds_and_spare_releases_is_within_what_was_asked(
    kind, accountant, epsilon
):
    chosen = {"accountant": accountant} if accountant else {}
    mechanism = built(kind=kind, epsilon=epsilon, clip=0.1, **chosen)
    assert mechanism.terms.releases == 44
    assert 0.999 * epsilon < mechanism.epsilon_after(44) <= epsilon
    assert mechanism.epsilon_after(0) == 0
    costs = [mechanism.epsilon_after(count) for count in (1, 10, 40, 44)]
    assert costs == sorted(costs)


def test_independent_accountants_agree_on_what_is_built():
    for kind in NOISY:
        built(kind=kind, epsilon=8.0, clip=0.1).cross_check()
        built(kind=kind, epsilon=0.1, clip=0.1, rounds=400).cross_check()
        built(kind=kind, epsilon=8.0, clip=0.1, dimension=3).cross_check()


def test_an_accountant_that_understates_is_caught(monkeypatch):
    from fedchain.errors import FedchainError

    mechanism = gaussian(40, 100, epsilon=8.0, clip=0.1)
    monkeypatch.setitem(GAUSSIAN_TOTALS, "pld", lambda *_: 5.56)
    with pytest.raises(FedchainError, match=r"5\.56, dp-accounting PLD 8"):
        mechanism.cross_check()


@pytest.mark.parametrize("kind", NOISY)
def test_epsilon_and_noise_multiplier_are_two_sides_of_one_thing(kind):
    asked = built(kind=kind, epsilon=3.0, clip=0.1)
    given = built(kind=kind, noise_multiplier=asked.noise_multiplier, clip=0.1)
    assert given == asked
    assert given.epsilon_after(44) == asked.epsilon_after(44)


@pytest.mark.parametrize("given", [{}, {"epsilon": 1.0, "noise_multiplier": 1.0}])
@pytest.mark.parametrize("kind", NOISY)
def test_exactly_one_of_epsilon_and_noise_multiplier_is_needed(kind, given):
    with pytest.raises(ValueError, match="exactly one of the two"):
        NOISY[kind](10, 5, clip=0.1, **given)


@pytest.mark.parametrize("bad", [0, -1.0, math.nan, "8"])
def test_an_epsilon_that_is_no_budget_is_refused(bad):
    with pytest.raises(ScenarioError, match="epsilon: must be"):
        mechanisms.check({"kind": "gaussian", "epsilon": bad, "clip": 0.1})


@pytest.mark.parametrize("kind", NOISY)
def test_an_infinite_epsilon_means_no_noise_and_keeps_the_clip(kind):
    mechanism = built(kind=kind, epsilon=math.inf, clip=0.1)
    assert (mechanism.noise_multiplier, mechanism.terms.clip) == (0.0, 0.1)
    assert not drawn_of(mechanism, digest(0, "noise"), 5, 10).any()
    assert mechanism.epsilon_after(1) == math.inf


@pytest.mark.parametrize(
    ("rounds", "asked", "releases"), [(5, None, 7), (41, None, 46), (9, 0, 9), (9, 30, 39)]
)
def test_spare_releases_are_a_tenth_and_at_least_two(rounds, asked, releases):
    mechanism = gaussian(rounds, 5, epsilon=1.0, clip=0.1, spare_releases=asked)
    assert mechanism.terms.releases == releases


@pytest.mark.parametrize("records", [10, 100, 1000])
def test_normal_noise_shrinks_with_the_number_of_records(records):
    mechanism = gaussian(10, 5, noise_multiplier=3.0, clip=0.2)
    drawn = drawn_of(mechanism, digest(1, "noise"), 20_000, records)
    assert drawn.std() * records == pytest.approx(3.0 * 0.2, rel=0.02)
    assert stats.kstest(drawn, stats.norm(0, 0.6 / records).cdf).pvalue > 0.01


@pytest.mark.parametrize("records", [10, 100, 1000])
def test_knorm_noise_has_a_gamma_radius_and_a_uniform_direction(records):
    dimension, eps0, clip = 30, 2.0, 0.2
    mechanism = knorm(10, dimension, noise_multiplier=1 / eps0, clip=clip)
    keys = [digest(1, "noise", number) for number in range(4000)]
    drawn = np.stack([drawn_of(mechanism, key, dimension, records) for key in keys])
    radius = np.linalg.norm(drawn, axis=1)
    law = stats.gamma(dimension, scale=clip / records / eps0)
    assert stats.kstest(radius, law.cdf).pvalue > 0.01
    half = (dimension - 1) / 2
    for cosine in (drawn / radius[:, None])[:, [0, 13, 29]].T:
        assert stats.kstest((1 + cosine) / 2, stats.beta(half, half).cdf).pvalue > 0.01


@pytest.mark.parametrize("kind", NOISY)
def test_a_whole_holder_as_the_unit_needs_noise_for_the_whole_clip(kind):
    record, holder = (
        NOISY[kind](10, 50, noise_multiplier=1.0, clip=0.2, unit=unit)
        for unit in ("record", "holder")
    )
    drawn = [drawn_of(each, digest(0, "noise"), 50, 100) for each in (record, holder)]
    np.testing.assert_allclose(drawn[0] * 100, drawn[1], rtol=1e-5)


@pytest.mark.parametrize("kind", NOISY)
def test_noise_follows_its_key_and_nothing_else(kind):
    mechanism = NOISY[kind](10, 2000, noise_multiplier=1.0, clip=1.0)
    names = [("h", 0, 1, "a"), ("h", 0, 2, "a"), ("h", 1, 1, "a"), ("h", 0, 1, "b")]
    drawn = [drawn_of(mechanism, digest(0, *name), 2000, 1) for name in names]
    again = drawn_of(mechanism, digest(0, *names[0]), 2000, 1)
    assert drawn[0].tobytes() == again.tobytes()
    for first, second in itertools.combinations(drawn, 2):
        assert abs(np.corrcoef(first, second)[0, 1]) < 0.1
        difference = (first - second).std() / math.sqrt((first.var() + second.var()) / 2)
        assert difference == pytest.approx(math.sqrt(2), rel=0.05)


@pytest.mark.parametrize("kind", NOISY)
def test_noise_drawn_together_is_that_of_each_alone(kind):
    mechanism = NOISY[kind](10, 33, noise_multiplier=1.0, clip=1.0)
    keys, records = [digest(0, "noise", holder) for holder in range(4)], [10, 20, 5, 1]
    moved = [mechanism.terms.sensitivity(count) for count in records]
    together = mechanism.release(np.zeros((4, 33), np.float32), keys, moved)
    for row, key, count in zip(together, keys, records, strict=True):
        assert row.tobytes() == drawn_of(mechanism, key, 33, count).tobytes()


@pytest.mark.parametrize("kind", NOISY)
def test_a_release_is_the_gradient_with_that_noise_and_leaves_the_gradient_alone(kind):
    mechanism = NOISY[kind](10, 2000, noise_multiplier=1.0, clip=1.0)
    gradients = np.linspace(-1, 1, 4000, dtype=np.float32).reshape(2, 2000)
    before, keys = gradients.copy(), [digest(0, "noise", holder) for holder in range(2)]
    released = mechanism.release(gradients, keys, [0.1, 0.05])
    noise = mechanism.release(np.zeros_like(gradients), keys, [0.1, 0.05])
    np.testing.assert_allclose(released, gradients + noise, atol=1e-6 * float(abs(noise).max()))
    assert gradients.tobytes() == before.tobytes()


@pytest.mark.parametrize("records", [10, 100, 1000])
def test_laplace_noise_has_the_scale_of_the_1_norm(records):
    dimension, eps0, clip = 20_000, 2.0, 0.2
    mechanism = laplace(10, dimension, noise_multiplier=1 / eps0, clip=clip)
    drawn = drawn_of(mechanism, digest(1, "noise"), dimension, records)
    law = stats.laplace(scale=math.sqrt(dimension) * clip / records / eps0)
    assert stats.kstest(drawn, law.cdf).pvalue > 0.01


@pytest.mark.parametrize("records", [10, 100, 1000])
def test_skellam_noise_lies_on_a_grid_and_has_the_sd_of_the_multiplier(records):
    mechanism = skellam(10, 20_000, noise_multiplier=3.0, clip=0.2)
    drawn = drawn_of(mechanism, digest(1, "noise"), 20_000, records).astype(np.float64)
    assert stats.kstest(drawn, stats.norm(0, 0.6 / records).cdf).pvalue > 0.01
    steps = drawn / (0.6 / records / 2**23)
    small = abs(steps) < 2**22  # what float32 tells apart
    assert small.sum() > 1000
    np.testing.assert_allclose(steps[small], np.rint(steps[small]), atol=0.3)


def test_a_multiplier_that_leaves_the_grid_too_coarse_is_refused():
    mechanism = skellam(1, 4, noise_multiplier=1e-6, clip=0.2)
    with pytest.raises(ValueError, match=r"1e-06 is too small for the grid with 1000 records"):
        drawn_of(mechanism, digest(0, "noise"), 4, 1000)


def test_laplace_needs_root_two_of_the_noise_of_normal_numbers_and_skellam_a_thousandth_more():
    normal, whole = (built(kind=kind, epsilon=4.0, clip=0.1) for kind in ("gaussian", "skellam"))
    assert 1.0 < whole.noise_multiplier / normal.noise_multiplier < 1.001
    double = built(kind="laplace", epsilon=4.0, clip=0.1)
    sd = math.sqrt(2) * math.sqrt(2035) * double.noise_multiplier
    assert math.sqrt(2) < sd / normal.noise_multiplier < math.sqrt(2) * 1.12


def test_clipping_alone_bounds_gradients_and_promises_nothing():
    mechanism = clipped(10, 5, clip=0.3, unit="holder")
    assert (mechanism.name, mechanism.terms.clip, mechanism.terms.unit) == (
        "clipped",
        0.3,
        "holder",
    )
    assert mechanism.noise_multiplier == 0
    assert not drawn_of(mechanism, digest(0, "noise"), 5, 10).any()
    assert mechanism.epsilon_after(1) == math.inf
    assert guarantee(mechanism, 10) == (
        "no privacy is promised: gradients are published clipped, but without noise"
    )


def test_without_a_mechanism_nothing_is_clipped_noised_or_promised():
    mechanism = none(10, 5)
    assert mechanism.terms.clip == math.inf
    assert not drawn_of(mechanism, digest(0, "noise"), 5, 10).any()
    assert mechanism.epsilon_after(1) == math.inf
    assert mechanism.pure_total is None


def test_the_pure_total_of_knorm_is_the_sum_and_far_above_the_tight_one():
    mechanism = built(kind="knorm", epsilon=8.0, clip=0.1)
    assert mechanism.pure_total == pytest.approx(44 * mechanism.epsilon_per_release)
    assert mechanism.pure_total > 50 * mechanism.epsilon_after(44)


def spent(mechanism, *parents: bytes) -> Budget:
    budget = Budget(mechanism)
    for parent in parents:
        budget.spend(parent, 1)
    return budget


def test_asking_again_for_the_same_parent_is_the_same_release():
    budget = Budget(gaussian(3, 5, epsilon=1.0, clip=0.1))
    for parent in (b"a", b"b", b"a", b"fork of b", b"b"):
        budget.spend(parent, 1)
    assert budget.releases == 3
    assert budget.epsilon == budget.mechanism.epsilon_after(3)


def test_a_holder_without_releases_left_must_stay_silent():
    budget = spent(gaussian(1, 5, epsilon=1.0, clip=0.1, spare_releases=1), b"a", b"b")
    assert budget.epsilon <= 1.0
    assert budget.noise_step(b"b", 1) == 0
    assert budget.noise_step(b"c", 1) is None
    with pytest.raises(ValueError, match="spent after 2 releases"):
        budget.spend(b"c", 1)


def test_a_run_without_a_promise_never_runs_out():
    budget = spent(none(1, 5), b"a", b"b", b"c")
    assert budget.noise_step(b"d", 1) == 0


def test_an_answer_that_is_long_past_counts_again_rather_than_not_at_all():
    parents = [b"%d" % number for number in range(3 * KEPT_ANSWERS)]
    budget = spent(gaussian(100, 5, epsilon=1.0, clip=0.1), *parents)
    for parent in parents[-KEPT_ANSWERS:]:
        budget.spend(parent, 1)
    assert budget.releases == len(parents)
    budget.spend(parents[0], 1)
    assert budget.releases == len(parents) + 1


def test_a_delta_that_one_record_in_n_passes_is_warned_of_with_n():
    mechanism = gaussian(10, 5, epsilon=1.0, clip=0.1, delta=0.005)
    (text,) = warnings_for(mechanism, [100, 200, 50])
    assert "n_k = 200" in text
    assert "holder 1" in text
    assert warnings_for(mechanism, [100, 199]) == []


def test_the_guarantee_names_its_figures_and_conditions():
    text = guarantee(built(kind="knorm", epsilon=8.0, clip=0.1), 42, "scan")
    for phrase in ("each scan", "its gradient there or zero", "42 releases", "1e-05", "pure total"):
        assert phrase in text
    assert "does not protect a data holder as a whole" in text
    whole = guarantee(built(kind="gaussian", epsilon=8.0, clip=0.1, unit="holder"), 42)
    assert whole.startswith("each honest data holder as a whole")
    assert "its gradient there or zero (that it takes part is not hidden; where its data" in whole
    assert "without noise" in guarantee(built(kind="gaussian", epsilon=math.inf, clip=0.1), 42)


@pytest.mark.parametrize(
    ("epsilon", "both"), [(0.5, 1.07), (1.0, 2.15), (2.0, 4.39), (4.0, 9.08), (8.0, 19.1)]
)
@pytest.mark.parametrize("unit", ["record", "holder"])
def test_the_figure_for_a_replaced_record_stands_beside_the_stated_one(epsilon, both, unit):
    from dp_accounting import NeighboringRelation
    from dp_accounting.pld import privacy_loss_distribution

    mechanism = gaussian(40, 5, epsilon=epsilon, clip=0.1, unit=unit)
    found, delta = replaced(mechanism, 44)
    assert (found, delta) == (pytest.approx(both, rel=3e-3), 1e-5)
    loss = privacy_loss_distribution.from_gaussian_mechanism(
        mechanism.noise_multiplier / math.sqrt(44),
        neighboring_relation=NeighboringRelation.REPLACE_ONE,
    )
    assert found == pytest.approx(loss.get_epsilon_for_delta(1e-5), rel=1e-3)
    assert f"it is ({found:.4g}, 1e-05)-differentially private)" in guarantee(mechanism, 44)


@pytest.mark.parametrize("kind", ["knorm", "laplace", "skellam"])
def test_a_replaced_record_counts_twice_with_every_noise(kind):
    mechanism = built(kind=kind, epsilon=2.0, clip=0.1)
    found, delta = replaced(mechanism, 44)
    assert 1.99 * mechanism.epsilon_after(44) < found < 2.4 * mechanism.epsilon_after(44)
    assert delta == mechanism.terms.delta


def test_the_figure_for_a_replaced_record_is_a_bound_where_records_are_sampled():
    from dp_accounting import NeighboringRelation
    from dp_accounting.pld import privacy_loss_distribution

    mechanism = gaussian(40, 5, epsilon=2.0, clip=0.1, sampling_rate=0.2)
    found, delta = replaced(mechanism, 44)
    assert (found, delta) == (
        pytest.approx(2 * mechanism.epsilon_after(44)),
        pytest.approx(1e-5 * (1 + math.exp(mechanism.epsilon_after(44)))),
    )
    loss = privacy_loss_distribution.from_gaussian_mechanism(
        mechanism.noise_multiplier,
        value_discretization_interval=1e-3,
        sampling_prob=0.2,
        neighboring_relation=NeighboringRelation.REPLACE_ONE,
    )
    assert loss.self_compose(44).get_epsilon_for_delta(delta) <= found


@pytest.mark.parametrize("accountant", ["pld", "prv", "rdp"])
def test_sampled_records_need_less_noise_for_the_same_total(accountant):
    chosen = {"epsilon": 2.0, "clip": 0.1, "accountant": accountant}
    whole, sampled = (built(kind="gaussian", sampling_rate=rate, **chosen) for rate in (1.0, 0.25))
    assert 0.999 * 2.0 < sampled.epsilon_after(44) <= 2.0
    ratio = sampled.noise_multiplier / whole.noise_multiplier
    assert 0.25 < ratio < 0.4  # in the mean over the expected batch it is never less
    sampled.cross_check()


def test_an_accountant_that_forgets_the_sampling_is_caught(monkeypatch):
    from fedchain.errors import FedchainError

    mechanism = gaussian(40, 100, epsilon=2.0, clip=0.1, sampling_rate=0.1)
    tight = GAUSSIAN_TOTALS["pld"]
    monkeypatch.setitem(GAUSSIAN_TOTALS, "pld", lambda *asked: tight(*asked[:3], 1.0))
    with pytest.raises(FedchainError, match="two accountants disagree"):
        mechanism.cross_check()


def test_sampled_noise_is_scaled_to_the_expected_number_of_records():
    mechanism = gaussian(10, 5, noise_multiplier=3.0, clip=0.2, sampling_rate=0.1)
    drawn = drawn_of(mechanism, digest(1, "noise"), 20_000, 100)
    assert drawn.std() == pytest.approx(3.0 * 0.2 / 10, rel=0.02)


def test_sampling_records_does_not_hide_a_holder():
    with pytest.raises(ValueError, match="only 1 is allowed with unit holder"):
        gaussian(10, 5, epsilon=1.0, clip=0.2, unit="holder", sampling_rate=0.5)


def test_three_figures_are_labelled_and_the_tight_total_is_named_as_the_one_that_counts():
    mechanism = built(kind="laplace", epsilon=8.0, clip=0.1)
    single, tight = mechanism.epsilon_per_release, mechanism.epsilon_after(30)
    assert figures(mechanism, 30) == (
        f"{single:.4g} per release (pure), pure total {30 * single:.4g}, "
        f"tight total {tight:.4g} at delta 1e-05"
    )
    assert figures(mechanism, 30) + ": only the tight total counts" in guarantee(mechanism, 30)
    assert "no pure total" in figures(built(kind="skellam", epsilon=8.0, clip=0.1), 30)
    assert figures(built(kind="clipped", clip=0.1), 30) == "infinite, since nothing is hidden"


def test_only_noise_on_a_grid_is_not_said_to_be_drawn_in_floating_point():
    said = {
        kind: "draws its noise in floating point"
        in guarantee(built(kind=kind, epsilon=8.0, clip=0.1), 30)
        for kind in NOISY
    }
    assert said == {kind: kind != "skellam" for kind in NOISY}


def test_the_guarantee_says_that_records_are_drawn_in_secret():
    text = guarantee(built(kind="gaussian", epsilon=8.0, clip=0.1, sampling_rate=0.5), 42, "scan")
    assert (
        "Each scan takes part in a release with chance 0.5, drawn by its holder in secret" in text
    )


def test_shares_of_noise_make_the_whole_when_as_many_add_up_as_are_counted_on():
    shared = skellam(10, 20_000, 7, noise_multiplier=4.0, clip=0.5)
    assert shared.noise_multiplier == 4.0
    keys = [digest(0, "share", k) for k in range(10)]
    nothing = np.zeros((10, 20_000), np.float32)
    steps = shared.in_steps(nothing, keys, [100] * 10)
    assert (steps[:7].sum(axis=0) * shared.step).std() == pytest.approx(4.0 * 0.5, rel=0.02)
    more = math.sqrt(10 / 7)
    assert (steps.sum(axis=0) * shared.step).std() == pytest.approx(4.0 * 0.5 * more, rel=0.02)


def test_a_total_that_was_asked_for_stays_when_noise_is_shared():
    for epsilon in (0.5, 4.0, math.inf):
        shared = skellam(40, 2000, 5, epsilon=epsilon, clip=0.5)
        releases = shared.terms.releases
        assert shared.epsilon_after(releases) <= epsilon
        if epsilon < math.inf:
            assert shared.epsilon_after(releases) == pytest.approx(epsilon, rel=1e-4)
            shared.cross_check()


@pytest.mark.parametrize(("unit", "times"), [("record", 100), ("holder", 1)])
def test_a_gradient_is_in_a_sum_once_for_each_of_its_units(unit, times):
    shared = skellam(10, 3, 3, epsilon=math.inf, clip=0.5, unit=unit)
    rows = np.array([[0.25, -0.125, 0.0]], np.float32)
    steps = shared.in_steps(rows, [bytes(32)], [100])
    np.testing.assert_allclose(steps * shared.step, rows * times, atol=shared.step)
    assert rows.tolist() == [[0.25, -0.125, 0.0]]


def test_a_share_that_no_grid_can_hold_is_refused():
    shared = skellam(10, 3, 3, noise_multiplier=1e-5, clip=0.5)
    with pytest.raises(ValueError, match=r"privacy.noise_multiplier: 1e-05 is too small for the"):
        shared.in_steps(np.zeros((1, 3), np.float32), [bytes(32)], [1000])


@pytest.mark.parametrize(
    ("rate", "rounds", "noise"), [(0.01, 40, 0.8), (0.005, 200, 0.75), (0.001, 40, 0.6)]
)
def test_rarely_sampled_records_run_though_the_renyi_bound_is_far_above_the_tight_total(
    rate, rounds, noise
):
    made = gaussian(rounds, 31, noise_multiplier=noise, clip=1.0, sampling_rate=rate)
    made.cross_check()
    asked = noise, made.terms.releases, 1e-5, rate
    total = made.epsilon_after(made.terms.releases)
    assert abs(prv_epsilon(*asked) - total) < 0.015
    assert rdp_epsilon(*asked) > 1.35 * total + 0.2


@pytest.mark.parametrize("kind", ["gaussian", "knorm", "laplace", "skellam"])
@pytest.mark.parametrize("delta", [1e-11, 0.1])
@pytest.mark.parametrize("epsilon", [1e-4, 100.0])
def test_noise_at_the_bounds_of_epsilon_and_delta_is_solved_and_confirmed(kind, delta, epsilon):
    made = mechanisms.find(kind)(10, 31, epsilon=epsilon, delta=delta, clip=1.0)
    assert made.epsilon_after(made.terms.releases) <= epsilon
    made.cross_check()


def test_every_mechanism_bounds_epsilon_and_delta_alike():
    for kind, epsilon, delta in itertools.product(
        ("gaussian", "knorm", "laplace", "skellam"), (9e-5, 1.1e4), (9e-12, 0.11)
    ):
        block = {"kind": kind, "clip": 1.0, "epsilon": epsilon, "delta": delta}
        with pytest.raises(ScenarioError) as refused:
            mechanisms.check(block)
        assert {problem.key for problem in refused.value.problems} == {"epsilon", "delta"}
    unlimited = {"kind": "gaussian", "clip": 1.0, "epsilon": math.inf}
    assert mechanisms.build(mechanisms.check(unlimited), 10, 5).noise_multiplier == 0


def test_the_noise_of_knorm_is_the_least_as_long_as_a_tight_total_is_proven():
    def made(epsilon: float, **more: object) -> Mechanism:
        return knorm(10, 31, epsilon=epsilon, delta=1e-4, clip=1.0, **more)

    usual, large, loose = made(20.0), made(50.0), made(50.0, accountant="rdp")
    less = replace(usual, noise_multiplier=0.999 * usual.noise_multiplier)
    assert usual.epsilon_after(12) <= 20.0 < less.epsilon_after(12)
    # Above a total of 31, the pure bound leaps over what is asked.
    assert large.epsilon_after(12) == pytest.approx(31.53, abs=0.01)
    assert large.noise_multiplier / loose.noise_multiplier == pytest.approx(1.336, abs=0.01)
