from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fedchain.aggregation import directions as sharing
from fedchain.aggregation.directions import Directions, spread
from fedchain.arrays import lengths
from fedchain.ledger.chain.codec import quantise


def some(seed: int, count: int, dimension: int, storage: str = "int16") -> Directions:
    rows = np.random.default_rng(seed).normal(size=(count, dimension)) ** 3
    sent = quantise(rows, lengths(rows), storage)
    return Directions(tuple(q for _, q in sent), tuple(e for e, _ in sent))


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
    together = threading.Barrier(3, timeout=30)

    def work(columns: slice) -> slice:
        together.wait()
        return columns

    assert spread(directions, work) == [slice(0, 3), slice(3, 7), slice(7, 11)]
    assert spread(directions, lambda columns: columns, least=5) == [slice(0, 5), slice(5, 11)]


def test_an_error_on_a_thread_is_raised_where_it_was_asked_for(monkeypatch):
    monkeypatch.setattr(sharing, "SMALL", 0)
    with pytest.raises(ZeroDivisionError):
        spread(some(4, 4, 100), lambda columns: 1 / columns.start)
