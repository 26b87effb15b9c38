from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fedchain.aggregation import (
    aggregations,
    cosines_of,
    l_nearest,
    mean,
    projections_on_sum,
    scaled,
    weighted_mean,
)
from fedchain.arrays import ONE, Matrix


def quantised(rows: Matrix) -> Matrix:
    return np.rint(rows / np.linalg.norm(rows, axis=1, keepdims=True) * ONE)


def some_rows(seed: int, count: int = 20, dimension: int = 300) -> Matrix:
    generator = np.random.default_rng(seed)
    rows = generator.normal(size=(count, dimension)) + 0.3 * generator.normal(size=dimension)
    return quantised(rows)


def exact_projections(rows: Matrix) -> list[Fraction]:
    """Return <q, v>^2 / <q, q> with its sign, in whole numbers of any size."""
    integers = [[int(value) for value in row] for row in rows]
    total = [sum(column) for column in zip(*integers, strict=True)]
    squares = []
    for row in integers:
        inner = sum(a * b for a, b in zip(row, total, strict=True))
        squares.append(Fraction(inner * abs(inner), sum(a * a for a in row)))
    return squares


@settings(max_examples=25, deadline=None, derandomize=True)
@given(st.integers(0, 10_000), st.integers(1, 30), st.integers(1, 40))
def test_l_nearest_keeps_the_rows_that_exact_rational_arithmetic_keeps(seed, count, keep):
    rows = some_rows(seed, count, 30)
    exact = exact_projections(rows)
    expected = sorted(range(count), key=lambda k: (-exact[k], k))[:keep]
    used = l_nearest(rows, np.ones(count), keep=keep).used
    assert np.flatnonzero(used).tolist() == sorted(expected)


def test_ties_go_to_the_smaller_message_id():
    rows = np.repeat(quantised(np.array([[1.0, 2.0]])), 5, axis=0)
    assert l_nearest(rows, np.ones(5), keep=2).used.tolist() == [True, True, False, False, False]


@settings(max_examples=20, deadline=None, derandomize=True)
@given(st.integers(0, 10_000))
def test_projections_have_the_same_bits_whatever_the_order_of_columns_or_summation(seed):
    rows = some_rows(seed)
    columns = np.random.default_rng(seed).permutation(rows.shape[1])
    shuffled = np.asfortranarray(rows[:, columns])
    assert projections_on_sum(rows).tobytes() == projections_on_sum(shuffled).tobytes()


def test_more_rows_than_fit_one_exact_product_are_still_exact():
    rows = 2.0 * np.tile(some_rows(1, 50, 8), (100, 1))
    total = rows.sum(axis=0)
    inner = [sum(int(a) * int(b) for a, b in zip(row, total, strict=True)) for row in rows[:50]]
    lengths = np.sqrt(np.array([float(sum(int(a) ** 2 for a in row)) for row in rows[:50]]))
    assert len(rows) > 4096
    assert np.array_equal(projections_on_sum(rows)[:50], np.array(inner, float) / lengths)


def test_cosines_agree_with_a_plain_computation():
    rows = some_rows(2)
    total = rows.sum(axis=0)
    plain = [row @ total / np.linalg.norm(row) / np.linalg.norm(total) for row in rows]
    np.testing.assert_allclose(cosines_of(projections_on_sum(rows), rows), plain, rtol=1e-12)


def test_a_sign_flipper_among_honest_rows_is_not_used():
    rows = some_rows(3)
    rows[4] = -rows[4]
    assert not l_nearest(rows, np.ones(20), keep=14).used[4]


def test_directions_that_cancel_have_cosine_zero():
    rows = quantised(np.array([[1.0, 0.0], [-1.0, 0.0]]))
    assert cosines_of(projections_on_sum(rows), rows).tolist() == [0.0, 0.0]


def test_a_huge_norm_owns_the_mean_unless_the_median_clips_it():
    rows, norms = some_rows(4), np.ones(20)
    norms[7] = 1e9
    owned = l_nearest(rows, norms, keep=20).gradient
    bounded = l_nearest(rows, norms, keep=20, scale="median_clip").gradient
    assert np.linalg.norm(owned) > 1e7
    assert np.linalg.norm(bounded) <= 1.0


def test_scales_are_the_norms_the_ones_and_the_norms_cut_at_their_median():
    norms = np.array([3.0, 1.0, 2.0, 8.0])
    assert scaled(norms, "restore").tolist() == [3.0, 1.0, 2.0, 8.0]
    assert scaled(norms, "unit").tolist() == [1.0] * 4
    assert scaled(norms, "median_clip").tolist() == [2.5, 1.0, 2.0, 2.5]


def test_the_mean_divides_by_the_rows_used_and_not_by_all():
    rows = ONE * np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 0.0]])
    used = np.array([True, False, True])
    assert weighted_mean(rows, np.array([2.0, 9.0, 4.0]), used).tolist() == [3.0, 0.0]
    assert mean(rows, np.full(3, 3.0)).gradient.tolist() == [2.0, 1.0]


def test_fewer_messages_than_keep_are_all_used():
    assert l_nearest(some_rows(5, 3), np.ones(3), keep=14).used.all()


@pytest.mark.parametrize("kind", aggregations.names())
def test_every_rule_ignores_the_order_of_arrival_but_for_rounding(kind):
    rows, norms = some_rows(6), np.linspace(1.0, 2.0, 20)
    required = {"l_nearest": {"keep": 12}}
    part = aggregations.check({"kind": kind, **required.get(kind, {})})
    order = np.random.default_rng(0).permutation(20)
    straight = aggregations.build(part, rows, norms)
    shuffled = aggregations.build(part, rows[order], norms[order])
    assert np.array_equal(straight.used[order], shuffled.used)
    np.testing.assert_allclose(straight.gradient, shuffled.gradient, rtol=0, atol=1e-12)
    assert straight.gradient.shape == (300,)
    assert straight.cosines.shape == (20,)
