from __future__ import annotations

import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from plain_rules import (
    earlier_mean,
    inner,
    inner_with_sum,
    krum_scores,
    quantised,
    received,
    sent,
    some_rows,
    some_zero,
    whole,
)

from fedchain.aggregation import krum, scaled
from fedchain.aggregation.directions import Directions
from fedchain.aggregation.krum import gram, scores

krum_module = sys.modules["fedchain.aggregation.krum"]  # the package has a function of that name


@settings(max_examples=40, deadline=None, derandomize=True)
@given(
    st.integers(0, 10_000),
    st.integers(3, 16),
    st.integers(0, 7),
    st.integers(1, 18),
    st.sampled_from(["restore", "unit", "median_clip"]),
    st.sampled_from(["int8", "int16", "int32"]),
)
def test_krum_is_the_rule_in_whole_numbers(seed, count, byzantine, keep, scale, storage):
    byzantine = min(byzantine, (count - 3) // 2)
    directions = sent(some_rows(seed, count, 12), seed, storage)
    norms = np.random.default_rng(seed).lognormal(size=count)
    directions, norms = some_zero(directions, norms, seed)
    rows = whole(directions)
    expected = krum_scores(rows, byzantine)
    squares = gram(directions).diagonal()
    assert scores(directions, squares, byzantine).tolist() == expected
    chosen = sorted(sorted(range(count), key=lambda k: (expected[k], k))[:keep])
    got = krum(received(directions, norms), byzantine=byzantine, keep=keep, scale=scale)
    assert np.flatnonzero(got.used).tolist() == chosen
    by_matrix = earlier_mean(np.array(rows, dtype=np.float64), scaled(norms, scale), chosen)
    assert got.gradient.tobytes() == by_matrix.tobytes()


def test_the_gram_matrix_is_exact_for_the_longest_rows():
    rows = [[2**21 - 1, -5, 2**21 - 3], [-(2**21) + 1, 2**20 + 1, 7], [1, 2**21 - 9, 2**19 + 3]]
    expected = [[inner(left, right) for right in rows] for left in rows]
    assert gram(Directions.of(rows)).tolist() == expected


def test_cosines_are_those_of_the_other_rules():
    rows = some_rows(9, 10, 40)
    got = krum(received(Directions.of(rows), np.ones(10)), byzantine=2).cosines
    length = float(sum(inner_with_sum(whole(Directions.of(rows))))) ** 0.5
    np.testing.assert_allclose(
        got, rows @ rows.sum(axis=0) / np.linalg.norm(rows, axis=1) / length, rtol=1e-14
    )


def test_one_is_chosen_by_default_and_ties_go_to_the_smaller_message_id():
    rows = Directions.of(2**20 * np.array([[0, 1], [1, 0], [1, 0], [1, 0], [1, 0]]))
    got = krum(received(rows, np.array([9.0, 2.0, 3.0, 4.0, 5.0])), byzantine=1)
    assert got.used.tolist() == [False, True, False, False, False]
    assert got.gradient.tolist() == [2.0, 0.0]


def test_colluders_that_are_close_to_each_other_alone_are_not_chosen():
    rows = quantised(np.random.default_rng(4).normal(1.0, 1.0, size=(20, 50)))
    rows[:4] = -rows[0]
    got = krum(received(Directions.of(rows), np.ones(20)), byzantine=6, keep=10)
    assert not got.used[:4].any()


@pytest.mark.parametrize(("count", "byzantine", "enough"), [(2, 0, 3), (6, 2, 7), (20, 9, 21)])
def test_too_few_messages_say_how_many_are_needed(count, byzantine, enough):
    rows = Directions.of(some_rows(1, enough, 5))
    fewer = Directions(rows.integers[:count], rows.exponents[:count])
    said = f"krum: got {count} messages; byzantine: {byzantine} needs at least {enough}"
    with pytest.raises(ValueError, match=said):
        krum(received(fewer, np.ones(count)), byzantine=byzantine)
    assert krum(received(rows, np.ones(enough)), byzantine=byzantine).used.sum() == 1


def test_scores_do_not_depend_on_how_many_rows_are_compared_at_a_time(monkeypatch):
    directions = sent(some_rows(4, 13, 12), 4, "int16")
    expected = krum_scores(whole(directions), 2)
    for entries in (13, 40, 60, 2**22):
        monkeypatch.setattr(krum_module, "STRIP_ENTRIES", entries)
        squares = gram(directions).diagonal()
        assert krum_module.scores(directions, squares, 2).tolist() == expected


def test_more_messages_than_can_be_compared_are_refused():
    rows = Directions.of(np.full((krum_module.MOST_MESSAGES + 1, 1), 2**20))
    with pytest.raises(ValueError, match="krum: got 8193 messages; at most 8192"):
        krum(received(rows, np.ones(len(rows))), byzantine=0)
