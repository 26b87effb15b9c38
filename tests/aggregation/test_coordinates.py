from __future__ import annotations

import statistics

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from plain_rules import received, sent, some_rows, some_zero, trimmed, whole

from fedchain.aggregation import coordinates, l_nearest, median, scaled, trimmed_mean
from fedchain.aggregation.directions import Directions

SCALES = st.sampled_from(["restore", "unit", "median_clip"])
STORAGES = st.sampled_from(["int8", "int16", "int32"])


@settings(max_examples=40, deadline=None, derandomize=True)
@given(st.integers(0, 10_000), st.integers(1, 16), st.integers(0, 7), SCALES, STORAGES)
def test_the_trimmed_mean_is_that_of_plain_floats(seed, count, trim, scale, storage):
    trim = min(trim, (count - 1) // 2)
    directions = sent(some_rows(seed, count, 40), seed, storage)
    norms = np.random.default_rng(seed).lognormal(size=count)
    directions, norms = some_zero(directions, norms, seed)
    means, shares = trimmed(whole(directions), scaled(norms, scale).tolist(), trim)
    got = trimmed_mean(received(directions, norms), trim=trim, scale=scale)
    assert got.gradient.tolist() == means
    assert got.shares.tolist() == shares


@settings(max_examples=40, deadline=None, derandomize=True)
@given(st.integers(0, 10_000), st.integers(1, 17), SCALES, STORAGES)
def test_the_median_is_that_of_the_statistics_module(seed, count, scale, storage):
    directions = sent(some_rows(seed, count, 40), seed, storage)
    norms = np.random.default_rng(seed).lognormal(size=count)
    directions, norms = some_zero(directions, norms, seed)
    factors = scaled(norms, scale).tolist()
    expected = [
        statistics.median(e * f for e, f in zip(column, factors, strict=True)) / 2**20
        for column in zip(*whole(directions), strict=True)
    ]
    assert median(received(directions, norms), scale=scale).gradient.tolist() == expected


def test_values_are_added_from_the_smallest_to_the_largest():
    rows = Directions.of(2**20 * np.array([[1], [1], [1], [-1]]))
    norms = np.array([2.0**53, 1.0, 1.0, 2.0**53])
    # -2^53 + 1 + 1 + 2^53 is 2 in this order; from the other end 2^53 + 1 is 2^53, and all is 0.
    assert trimmed_mean(received(rows, norms), trim=0).gradient.tolist() == [0.5]


def test_a_row_that_is_always_at_an_end_is_not_used():
    rows, norms = some_rows(7, 9, 3000), np.ones(9)
    norms[4] = 1e12
    got = trimmed_mean(received(Directions.of(rows + (rows == 0)), norms), trim=1)
    assert got.used.tolist() == [k != 4 for k in range(9)]
    assert got.reasons[4] == "among the 1 smallest or largest values of every coordinate counted"
    assert np.abs(got.gradient).max() < 1


def test_a_row_has_the_share_of_the_coordinates_in_which_it_is_the_median():
    rows = Directions.of([[1, 1, 1, 9], [2, 2, 9, 5], [3, 9, 2, 1]])
    got = median(received(rows, np.ones(3)), scale="unit")
    assert got.shares.tolist() == [0.0, 0.75, 0.25]
    assert got.reasons == ("the median of no coordinate counted", "", "")


def test_each_of_two_rows_in_the_middle_has_half_of_a_coordinate():
    got = median(received(Directions.of([[1, 4], [2, 3], [3, 2], [4, 1]]), np.ones(4)))
    assert got.shares.tolist() == [0.0, 0.5, 0.5, 0.0]


def test_shares_of_many_coordinates_are_counted_at_even_distances(monkeypatch):
    monkeypatch.setattr(coordinates, "COUNTED_COLUMNS", 2)
    got = median(received(Directions.of([[1, 2, 2, 1], [2, 1, 1, 2], [9, 9, 9, 9]]), np.ones(3)))
    assert got.shares.tolist() == [0.5, 0.5, 0.0]  # of the columns 0 and 2


def test_cosines_are_those_of_l_nearest():
    rows, norms = Directions.of(some_rows(7, 9, 3000)), np.linspace(1, 2, 9)
    nearest = l_nearest(received(rows, norms), keep=3).cosines
    assert median(received(rows, norms)).cosines.tobytes() == nearest.tobytes()
    assert trimmed_mean(received(rows, norms), trim=2).cosines.tobytes() == nearest.tobytes()


@pytest.mark.parametrize(("count", "trim", "enough"), [(1, 1, 3), (4, 2, 5), (20, 10, 21)])
def test_too_few_messages_say_how_many_are_needed(count, trim, enough):
    rows = some_rows(1, enough, 5)
    said = f"trimmed_mean: got {count} messages; trim: {trim} needs at least {enough}"
    with pytest.raises(ValueError, match=said):
        trimmed_mean(received(Directions.of(rows[:count]), np.ones(count)), trim=trim)
    assert trimmed_mean(received(Directions.of(rows), np.ones(enough)), trim=trim).used.any()
