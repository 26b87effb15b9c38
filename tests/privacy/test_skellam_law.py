from __future__ import annotations

import math
import sys
import timeit

import mpmath
import numpy as np
import pytest
from scipy import stats

from fedchain.privacy import skellam_law
from fedchain.privacy.accounting import gaussian_epsilon
from fedchain.privacy.mechanisms import gaussian, skellam
from fedchain.privacy.skellam_law import (
    DEVIATION,
    VARIANCE,
    log_skellam,
    log_tail,
    skellam_epsilon,
    skellam_rdp_epsilon,
    skellams,
)
from fedchain.randomness import digest


def bessel(number: int, variance: int) -> mpmath.mpf:
    """e^-V I_x(V) by its integral over the angle, to 30 digits."""
    with mpmath.workdps(40):
        scale = 1 / mpmath.sqrt(variance)

        def inside(turn: mpmath.mpf) -> mpmath.mpf:
            angle = turn * scale
            return mpmath.exp(-2 * variance * mpmath.sin(angle / 2) ** 2) * mpmath.cos(
                number * angle
            )

        return mpmath.quad(inside, mpmath.linspace(0, 14, 57)) * scale / mpmath.pi


@pytest.mark.parametrize("deviations", [0.25, 1.0, 3.0, 6.0])
def test_the_law_is_that_of_the_bessel_function(deviations):
    number = round(deviations * DEVIATION)
    exact = mpmath.log(bessel(number, int(VARIANCE)) / bessel(0, int(VARIANCE)))
    assert abs(float(exact) - log_skellam(np.array([float(number)]))[0]) < 1e-13


def test_a_coarser_law_is_the_difference_of_two_poisson_numbers(monkeypatch):
    monkeypatch.setattr(skellam_law, "VARIANCE", 2.0**16)
    monkeypatch.setattr(skellam_law, "DEVIATION", 2.0**8)
    numbers = np.arange(0.0, 5 * 256, 64)
    expected = stats.skellam.logpmf(numbers, 2**15, 2**15) - stats.skellam.logpmf(0, 2**15, 2**15)
    np.testing.assert_allclose(log_skellam(numbers), expected, atol=1e-8)


def test_the_slots_give_every_number_its_probability():
    table = skellam_law._table()
    blocks = np.unique(table.starts[: table.named])
    slot = math.sqrt(2 * math.pi * VARIANCE) / 2**32
    left = (2**16 - table.named) * slot * 2**16  # what the rest must hold
    edges = np.arange(-skellam_law.BLOCKS, skellam_law.BLOCKS) * 2.0**16
    inside = np.exp(log_skellam(np.add.outer(np.linspace(0, 65535, 9), edges)))
    floors = np.zeros(len(edges))
    counts = np.bincount((table.starts[: table.named] >> 16) + skellam_law.BLOCKS)
    floors[: len(counts)] = counts * slot
    rest = inside - floors
    assert rest.min() >= 0  # no block takes more than its least likely number allows
    assert np.trapezoid(rest, dx=8192, axis=0).sum() == pytest.approx(left, rel=1e-3)
    bounds = np.zeros(len(edges))
    np.add.at(bounds, (table.rest_starts >> 16) + skellam_law.BLOCKS, table.rest_bounds * 0 + 1)
    assert (bounds > 0).all()  # each block can be proposed
    found = np.zeros(len(edges))
    found[(table.rest_starts >> 16) + skellam_law.BLOCKS] = table.rest_bounds
    assert (found >= rest.max(axis=0) * (1 - 1e-12)).all()  # and is never kept too rarely
    assert len(blocks) < len(edges)


def test_draws_follow_the_law_in_the_middle_and_in_the_tails():
    keys = [digest(0, "skellam", number) for number in range(100)]
    drawn = np.sort(skellams(keys, 100_000).ravel() / DEVIATION)
    assert stats.kstest(drawn[::10], stats.norm.cdf).pvalue > 0.01
    assert abs(drawn).max() < 7
    for tail in (2.0, 3.0, 4.0, 4.8):
        expected = 1e7 * stats.norm.sf(tail)
        for found in ((drawn > tail).sum(), (drawn < -tail).sum()):
            assert abs(found - expected) < 4 * math.sqrt(expected)


def test_places_within_a_block_are_as_likely_as_the_law_says():
    drawn = skellams([digest(2, "skellam", number) for number in range(20)], 100_000).ravel()
    low = drawn & 0xFFFF
    assert stats.chisquare(np.bincount(low >> 8, minlength=256)).pvalue > 0.01
    assert stats.chisquare(np.bincount(low & 0xFF, minlength=256)).pvalue > 0.01


def test_sums_of_noise_on_one_grid_are_such_noise():
    drawn = skellams([digest(3, "skellam", number) for number in range(16)], 50_000)
    total = drawn.sum(axis=0, dtype=np.int64) / (4 * DEVIATION)
    assert stats.kstest(total, stats.norm.cdf).pvalue > 0.01


def test_the_chernoff_bound_is_above_the_tail():
    for deviations in (1.0, 5.0, 9.0):
        assert log_tail(deviations) > stats.norm.logsf(deviations)


@pytest.mark.parametrize(
    ("noise", "dimension", "releases"), [(20.0, 30_000, 100), (5.0, 650, 100), (1.0, 31, 3)]
)
def test_the_certified_total_lies_between_normal_noise_and_the_renyi_bound(
    noise, dimension, releases
):
    normal = gaussian_epsilon(1e-5, math.sqrt(releases) / noise)
    found = skellam_epsilon(noise, dimension, releases, 1e-5)
    assert normal < found < normal * 1.001
    assert found < skellam_rdp_epsilon(noise, dimension, releases, 1e-5) < 1.12 * found


def test_the_ratio_to_rounded_normal_numbers_is_bounded_as_claimed():
    variance, deviation = 2**16, 2**8  # where the difference can be seen
    numbers = np.arange(-9 * deviation, 9 * deviation + 1)
    below = stats.norm.logcdf(-(abs(numbers) - 0.5) / deviation)
    above = stats.norm.logcdf(-(abs(numbers) + 0.5) / deviation)
    rounded = below + np.log1p(-np.exp(above - below))
    rounded[numbers == 0] = math.log(2 * stats.norm.cdf(0.5 / deviation) - 1)
    exact = stats.skellam.logpmf(numbers, variance / 2, variance / 2)
    squares = (numbers / deviation) ** 2
    bound = (squares**2 + 8 * squares + 8) / (24 * variance)
    good = abs(numbers) < 6 * deviation  # beyond, scipy has too few digits
    assert (abs(exact - rounded)[good] <= bound[good] + 2e-8).all()


def test_too_little_noise_costs_everything():
    assert skellam_epsilon(0.2, 10, 1, 1e-5) == math.inf
    assert skellam_epsilon(1.0, 10**6, 10**6, 1e-12) == math.inf


@pytest.mark.long
def test_whole_numbers_cost_at_most_three_times_what_normal_numbers_cost():
    keys = [digest(0, "skellam", holder) for holder in range(20)]
    gradients = np.zeros((20, 30_000), np.float32)

    def fastest(mechanism) -> float:
        asked = gradients, keys, [140] * 20
        return min(timeit.repeat(lambda: mechanism.release(*asked), number=1, repeat=100))

    normal, whole = (m(100, 30_000, noise_multiplier=20.0, clip=1.0) for m in (gaussian, skellam))
    assert fastest(whole) <= 3 * fastest(normal)


@pytest.mark.parametrize("shares", [2, 7, 200])
def test_noise_in_many_shares_costs_what_noise_in_one_piece_costs(shares):
    one = skellam_epsilon(20.0, 30_000, 100, 1e-5)
    many = skellam_epsilon(20.0, 30_000, 100, 1e-5, shares)
    assert many == pytest.approx(one, rel=2e-3)
    assert many < skellam_rdp_epsilon(20.0, 30_000, 100, 1e-5, shares) < 1.12 * many


def test_no_draw_beyond_thirteen_deviations_changes_a_sum_of_two_within_ten():
    # given a sum at 10 of its deviations, each draw is at 10 / sqrt(2), give or take 1 / sqrt(2)
    beyond = stats.norm.sf((13 - 10 / math.sqrt(2)) * math.sqrt(2))
    assert 2 * beyond < 2.0**-48
    assert skellam_epsilon(0.9, 10, 1, 1e-5, 2) == math.inf


@pytest.mark.parametrize("count", [0, 1, 2, 1001, 70_000])
def test_numbers_and_releases_have_the_same_bits_without_kernels(count, monkeypatch):
    keys = [digest(0, "skellam", k) for k in range(3)]
    mechanism = skellam(10, max(1, count), noise_multiplier=2.0, clip=1.0)
    gradients = np.random.default_rng(count).normal(0.0, 0.01, (3, count))
    fast = skellams(keys, count), mechanism.release(gradients, keys, [0.1] * 3)
    monkeypatch.setattr(skellam_law, "library", lambda: None)
    monkeypatch.setattr(sys.modules[skellam.__module__], "library", lambda: None)
    slow = skellams(keys, count), mechanism.release(gradients, keys, [0.1] * 3)
    assert [each.tobytes() for each in fast] == [each.tobytes() for each in slow]
