"""Rules have the same bits with and without the compiled kernels."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fedchain import ordered
from fedchain.aggregation import Received, aggregations, coordinates, inner_products, weights
from fedchain.aggregation.coordinates import _exchanges, untrimmed_means
from fedchain.aggregation.directions import Directions
from fedchain.aggregation.vectors import Vectors
from fedchain.native.loading import library

MOST = {"int8": 2**7 - 1, "int16": 2**15 - 1, "int32": 2**20}
RULES = (
    {"kind": "l_nearest", "keep": 2},
    {"kind": "mean", "weights": "records"},
    {"kind": "krum", "byzantine": 0},
    {"kind": "trimmed_mean", "trim": 1},
    {"kind": "median"},
    {"kind": "dnc", "byzantine": 1},
    {"kind": "mean_around_median", "first": [{"kind": "norm_clipping"}]},
    {"kind": "trimmed_mean", "trim": 1, "first": [{"kind": "norm_clipping"}]},
)


def received(storage, count, columns, seed):
    """Return messages of random integers, with rows of zeros and of the largest entries among them.

    No norm is above 2^21, as the codec demands.
    """
    generator = np.random.default_rng(seed)
    most = min(MOST[storage], int(2**20 / np.sqrt(columns)))
    rows = generator.integers(-most, most + 1, (count, columns))
    rows[generator.random(count) < 0.1] = 0
    rows[generator.random(count) < 0.1] = most
    directions = Directions(
        tuple(row.astype(storage) for row in rows),
        tuple(generator.integers(15, 21, count).tolist()),
    )
    norms = generator.uniform(0.1, 3.0, count)
    return Received(directions, norms, generator.integers(0, 9, count).astype(float))


def without_kernels(patch):
    for module in (inner_products, coordinates, ordered, weights):
        patch.setattr(module, "library", lambda: None)


@pytest.mark.skipif(library() is None, reason="the kernels are not compiled here")
@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from(sorted(MOST)),
    st.integers(3, 40),
    st.one_of(st.integers(1, 40), st.integers(2040, 4110)),
    st.integers(0, 2**32 - 1),
)
def test_every_rule_has_the_bits_of_numpy(storage, count, columns, seed):
    given_ = received(storage, count, columns, seed)
    for rule in RULES:
        part = aggregations.check(rule)
        fast = aggregations.build(part, given_)
        with pytest.MonkeyPatch.context() as patch:
            without_kernels(patch)
            slow = aggregations.build(part, given_)
        for name in ("gradient", "cosines", "shares"):
            assert getattr(fast, name).tobytes() == getattr(slow, name).tobytes(), (rule, name)


@pytest.mark.skipif(library() is None, reason="the kernels are not compiled here")
@settings(max_examples=40, deadline=None)
@given(st.integers(1, 3), *[st.integers(1, 40)] * 3, st.integers(0, 2**32 - 1))
def test_products_in_a_written_order_have_the_bits_of_numpy(count, rows, inner, columns, seed):
    generator = np.random.default_rng(seed)
    left = generator.lognormal(0, 30, (count, inner, rows)).swapaxes(1, 2)
    right = generator.normal(size=(count, inner, columns))
    fast = ordered.product(left, right)
    with pytest.MonkeyPatch.context() as patch:
        without_kernels(patch)
        assert fast.tobytes() == ordered.product(left, right).tobytes()


@pytest.mark.parametrize("rows", ["gaps", "two types"])
def test_rows_that_kernels_cannot_read_are_left_to_numpy(rows):
    wide = np.arange(12, dtype=np.int16)
    second = wide[::2] if rows == "gaps" else wide[:6].astype(np.int32)
    directions = Directions((wide[:6], second), (20, 20))
    assert directions.addresses is None
    found = inner_products.agreement_of(directions).squares
    assert found.tolist() == [55, 220 if rows == "gaps" else 55]


@pytest.mark.parametrize("count", [1, 2, 3, 7, 16, 33, 100, 128])
def test_the_exchanges_sort_whatever_they_are_given(count):
    # By the zero-one principle it is enough to sort zeros and ones.
    values = np.random.default_rng(count).random((count, 400)) < np.linspace(0, 1, 400)
    for low, high in _exchanges(count, 0):
        pair = values[low].copy(), values[high].copy()
        values[low], values[high] = pair[0] & pair[1], pair[0] | pair[1]
    assert (np.diff(values.astype(int), axis=0) >= 0).all()


@pytest.mark.parametrize(("count", "trim"), [(3, 1), (7, 2), (16, 7), (33, 16), (100, 10)])
def test_the_exchanges_that_are_left_put_the_middle_in_order(count, trim):
    values = np.random.default_rng(count).random((count, 400)) < np.linspace(0, 1, 400)
    wanted = np.sort(values, axis=0)[trim : count - trim]
    for low, high in _exchanges(count, trim):
        pair = values[low].copy(), values[high].copy()
        values[low], values[high] = pair[0] & pair[1], pair[0] | pair[1]
    assert (values[trim : count - trim] == wanted).all()
    assert len(_exchanges(count, trim)) <= len(_exchanges(count, 0))


def test_the_mean_of_the_middle_is_that_of_sorted_numbers():
    given_ = received("int16", 9, 300, 3)
    found = untrimmed_means(Vectors(given_, given_.norms), 3)
    values = np.sort(given_.directions.matrix() * given_.norms[:, None], axis=0)[3:6] / 2.0**20
    np.testing.assert_allclose(found, values.mean(0), rtol=1e-12, atol=1e-15)
