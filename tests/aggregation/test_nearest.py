from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from plain_rules import (
    earlier_mean,
    exact_projections,
    quantised,
    received,
    sent,
    some_rows,
    some_zero,
    whole,
)

from fedchain.aggregation import l_nearest, mean, scaled
from fedchain.aggregation.directions import Directions
from fedchain.aggregation.weights import weighted_mean
from fedchain.arrays import ONE

SCALES = st.sampled_from(["restore", "unit", "median_clip"])
STORAGES = st.sampled_from(["int8", "int16", "int32"])


@settings(max_examples=40, deadline=None, derandomize=True)
@given(st.integers(0, 10_000), st.integers(1, 30), st.integers(1, 40), SCALES, STORAGES)
def test_l_nearest_is_bit_for_bit_the_rule_in_whole_numbers(seed, count, keep, scale, storage):
    directions = sent(some_rows(seed, count, 30), seed, storage)
    norms = np.random.default_rng(seed).lognormal(size=count)
    directions, norms = some_zero(directions, norms, seed)
    exact = exact_projections(whole(directions))
    expected = sorted(sorted(range(count), key=lambda k: (-exact[k], k))[:keep])
    got = l_nearest(received(directions, norms), keep=keep, scale=scale)
    assert np.flatnonzero(got.used).tolist() == expected
    matrix = np.array(whole(directions), dtype=np.float64)
    by_matrix = earlier_mean(matrix, scaled(norms, scale), expected)
    assert got.gradient.tobytes() == by_matrix.tobytes()


def test_l_nearest_is_what_it_was_when_it_had_all_rows_in_one_matrix():
    rows, norms = some_rows(11, 50, 40_000), np.linspace(0.1, 3.0, 50)
    lengths = np.sqrt(np.einsum("kd,kd->k", rows, rows))
    projections = (rows @ rows.sum(axis=0)) / lengths
    chosen = sorted(np.argsort(-projections, kind="stable")[:35].tolist())
    got = l_nearest(received(Directions.of(rows), norms), keep=35)
    assert np.flatnonzero(got.used).tolist() == chosen
    assert got.gradient.tobytes() == earlier_mean(rows, norms, chosen).tobytes()
    length = np.linalg.norm(rows.sum(axis=0))
    np.testing.assert_allclose(got.cosines, projections / length, rtol=1e-14)


def test_ties_go_to_the_smaller_message_id():
    rows = Directions.of(np.repeat(quantised(np.array([[1.0, 2.0]])), 5, axis=0))
    assert l_nearest(received(rows, np.ones(5)), keep=2).used.tolist() == [
        True,
        True,
        False,
        False,
        False,
    ]


def test_a_sign_flipper_among_honest_rows_is_not_used():
    rows = some_rows(3)
    rows[4] = -rows[4]
    assert not l_nearest(received(Directions.of(rows), np.ones(20)), keep=14).used[4]


def test_a_huge_norm_owns_the_mean_unless_the_median_clips_it():
    rows, norms = Directions.of(some_rows(4)), np.ones(20)
    norms[7] = 1e9
    owned = l_nearest(received(rows, norms), keep=20).gradient
    bounded = l_nearest(received(rows, norms), keep=20, scale="median_clip").gradient
    assert np.linalg.norm(owned) > 1e7
    assert np.linalg.norm(bounded) <= 1.0


def test_scales_are_the_norms_the_ones_and_the_norms_cut_at_their_median():
    norms = np.array([3.0, 1.0, 2.0, 8.0])
    assert scaled(norms, "restore").tolist() == [3.0, 1.0, 2.0, 8.0]
    assert scaled(norms, "unit").tolist() == [1.0] * 4
    assert scaled(norms, "median_clip").tolist() == [2.5, 1.0, 2.0, 2.5]


def test_the_mean_divides_by_the_rows_used_and_not_by_all():
    rows = Directions.of(ONE * np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 0.0]]))
    used = np.array([True, False, True])
    assert weighted_mean(rows, np.array([2.0, 9.0, 4.0]), used).tolist() == [3.0, 0.0]
    assert mean(received(rows, np.full(3, 3.0))).gradient.tolist() == [2.0, 1.0]


def test_fewer_messages_than_keep_are_all_used():
    assert l_nearest(received(Directions.of(some_rows(5, 3)), np.ones(3)), keep=14).used.all()
