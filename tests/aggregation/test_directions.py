from __future__ import annotations

import math
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from plain_rules import inner, inner_with_sum, quantised, sent, some_rows, whole

from fedchain.aggregation import directions as sharing
from fedchain.aggregation.directions import Directions, spread
from fedchain.aggregation.inner_products import agreement_of, inner_with
from fedchain.ledger.chain.codec import quantise
from fedchain.transforms import lengths

STORAGES = st.sampled_from(["int8", "int16", "int32"])


def some(seed: int, count: int, dimension: int, storage: str = "int16") -> Directions:
    rows = np.random.default_rng(seed).normal(size=(count, dimension)) ** 3
    made = quantise(rows, lengths(rows), storage)
    return Directions(tuple(q for _, q in made), tuple(e for e, _ in made))


@pytest.mark.parametrize("storage", ["int8", "int16", "int32"])
def test_the_shift_to_the_common_exponent_is_exact(storage):
    directions = some(0, 9, 50, storage)
    pairs = zip(directions.integers, directions.exponents, strict=True)
    expected = [[int(entry) << (20 - e) for entry in q] for q, e in pairs]
    assert directions.matrix().astype(int).tolist() == expected
    assert np.asarray(directions).tolist() == expected
    assert (len(directions), directions.dimension) == (9, 50)


def test_integers_are_neither_copied_nor_left_open_to_writing():
    row = np.array([3, -4], dtype=np.int16)
    directions = Directions((row,), (19,))
    assert directions.integers[0] is row
    with pytest.raises(ValueError, match="read-only"):
        row[0] = 1


def test_numpy_makes_an_array_of_the_type_that_is_asked_for_and_never_a_view():
    directions = Directions.of([[6, -8]])
    assert np.asarray(directions).dtype == np.float64
    assert np.asarray(directions, dtype=np.int32).tolist() == [[6, -8]]
    with pytest.raises(ValueError, match="is a copy"):
        np.array(directions, copy=False)


@settings(max_examples=30, deadline=None, derandomize=True)
@given(st.integers(1, 40), st.integers(1, 700), st.integers(1, 9000))
def test_blocks_cover_the_columns_once_and_in_order(count, dimension, block):
    directions = some(1, count, dimension)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sharing, "BLOCK_ENTRIES", block)
        for columns in (slice(0, dimension), slice(dimension // 3, dimension // 2)):
            parts = [(part, made.copy()) for part, made in directions.blocks(columns)]
            at = [place for part, _ in parts for place in range(part.start, part.stop)]
            assert at == list(range(columns.start, columns.stop))
            for part, made in parts:
                shifted = made * directions.shifts[:, None]
                assert np.array_equal(shifted, directions.matrix()[:, part])


def test_blocks_of_many_columns_stay_small(monkeypatch):
    monkeypatch.setattr(sharing, "BLOCK_ENTRIES", 4000)
    monkeypatch.setattr(sharing, "LARGEST", 4000)
    assert max(made.size for _, made in some(2, 10, 5000).blocks()) <= 4100


def test_a_small_input_stays_on_the_calling_thread():
    on = spread(some(3, 4, 100), lambda columns: (columns, threading.get_ident()))
    assert on == [(slice(0, 100), threading.get_ident())]


def test_a_large_input_is_shared_by_all_threads_in_order_of_columns(monkeypatch):
    monkeypatch.setattr(sharing, "SMALL", 99)
    monkeypatch.setattr(sharing, "THREADS", 3)
    monkeypatch.setattr(sharing, "_threads", lambda: ThreadPoolExecutor(3))
    directions = Directions.of(np.ones((10, 11)))
    together = threading.Barrier(3, timeout=600)

    def work(columns: slice) -> slice:
        together.wait()
        return columns

    assert spread(directions, work) == [slice(0, 3), slice(3, 7), slice(7, 11)]
    assert spread(directions, lambda columns: columns, least=5) == [slice(0, 5), slice(5, 11)]


def test_an_error_on_a_thread_is_raised_where_it_was_asked_for(monkeypatch):
    monkeypatch.setattr(sharing, "SMALL", 0)
    with pytest.raises(ZeroDivisionError):
        spread(some(4, 4, 100), lambda columns: 1 / columns.start)


@settings(max_examples=40, deadline=None, derandomize=True)
@given(st.integers(0, 10_000), st.integers(1, 30), st.integers(1, 400), STORAGES)
def test_products_with_the_sum_and_squares_are_those_of_whole_numbers(seed, count, d, storage):
    directions = sent(some_rows(seed, count, d), seed, storage)
    agreement, rows = agreement_of(directions), whole(directions)
    assert agreement.inner.tolist() == inner_with_sum(rows)
    assert agreement.squares.tolist() == [inner(row, row) for row in rows]


@pytest.mark.parametrize("count", [2048, 2049, 65_536])
def test_products_of_many_rows_at_the_ends_of_the_range_round_once(count):
    longest = [2**21 - 1, -(2**21 - 1), 12345, 2**20]  # longer than a direction can be
    rows = np.array([np.roll(longest, k % 3) for k in range(count)])
    total = rows.sum(axis=0).tolist()
    exact = [inner(row, total) for row in rows[:3].tolist()]
    assert max(map(abs, exact)) > 2**53 or count < 4096
    got = agreement_of(Directions.of(rows)).inner
    assert got[:3].tolist() == [float(product) for product in exact]
    assert got[3:6].tolist() == got[:3].tolist()


def test_a_product_that_no_float_holds_is_rounded_to_the_nearest():
    # Every row is the longest: <q, v> = 65536 (2^21 - 1)^2 + 65536 is no multiple of its last bit.
    rows = np.tile(np.array([[2**21 - 1, 1, 0]]), (65_536, 1))
    rows[0, 1:] = [2**20 + 1, 777]
    total = rows.sum(axis=0).tolist()
    exact = [inner(row, total) for row in rows[:2].tolist()]
    assert any(int(float(product)) != product for product in exact)
    assert agreement_of(Directions.of(rows)).inner[:2].tolist() == [float(e) for e in exact]


@settings(max_examples=20, deadline=None, derandomize=True)
@given(st.integers(0, 10_000))
def test_projections_have_the_same_bits_whatever_the_order_of_the_columns(seed):
    rows = some_rows(seed)
    columns = np.random.default_rng(seed).permutation(rows.shape[1])
    straight, shuffled = (
        agreement_of(Directions.of(rows)),
        agreement_of(Directions.of(rows[:, columns])),
    )
    assert straight.projections.tobytes() == shuffled.projections.tobytes()
    assert straight.cosines.tobytes() == shuffled.cosines.tobytes()


def test_a_projection_is_the_product_over_the_length():
    rows = whole(Directions.of(some_rows(8)))
    by_hand = [
        product / math.sqrt(inner(row, row))
        for product, row in zip(inner_with_sum(rows), rows, strict=True)
    ]
    assert agreement_of(Directions.of(rows)).projections.tolist() == by_hand


def test_cosines_agree_with_a_plain_computation():
    rows = some_rows(2)
    total = rows.sum(axis=0)
    plain = [row @ total / np.linalg.norm(row) / np.linalg.norm(total) for row in rows]
    np.testing.assert_allclose(agreement_of(Directions.of(rows)).cosines, plain, rtol=1e-14)


def test_directions_that_cancel_have_cosine_zero():
    rows = quantised(np.array([[1.0, 0.0], [-1.0, 0.0]]))
    assert agreement_of(Directions.of(rows)).cosines.tolist() == [0.0, 0.0]


@settings(max_examples=40, deadline=None, derandomize=True)
@given(st.integers(0, 10_000), st.integers(1, 20), st.integers(1, 300), STORAGES)
def test_products_with_a_point_on_the_grid_are_exact(seed, count, d, storage):
    directions = sent(some_rows(seed, count, d), seed, storage)
    point = np.rint(np.random.default_rng(seed).normal(size=d) * 2.0 ** (seed % 28))
    exact = [inner(row, [int(p) for p in point]) for row in whole(directions)]
    assert inner_with(directions, point).tolist() == exact


def test_products_with_the_longest_points_round_once():
    rows = [[2**21 - 1, 0, 5], [-(2**20), 2**20 + 1, 7]]
    point = [2**46 - 1, -(2**45) + 3, 12345]
    exact = [inner(row, point) for row in rows]
    assert max(map(abs, exact)) > 2**53
    got = inner_with(Directions.of(rows), np.array(point, dtype=np.float64))
    assert got.tolist() == [float(product) for product in exact]


@pytest.mark.parametrize("point", [[0.5, 0.0], [2.0**47, 1.0], [math.nan, 0.0], [math.inf, 0.0]])
def test_a_point_off_the_grid_or_too_long_is_refused(point):
    with pytest.raises(ValueError, match="must be whole numbers with a norm below 2"):
        inner_with(Directions.of([[6, -8]]), np.array(point))


@pytest.mark.parametrize("threads", [2, 3, 7])
def test_threads_do_not_show_in_an_agreement(threads, monkeypatch):
    directions = sent(some_rows(3, 30, 20_000))
    alone = agreement_of(directions)
    monkeypatch.setattr(sharing, "SMALL", 0)
    monkeypatch.setattr(sharing, "THREADS", threads)
    shared = agreement_of(directions)
    assert shared.inner.tobytes() == alone.inner.tobytes()
    assert shared.squares.tobytes() == alone.squares.tobytes()
