from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fedchain.ledger.chain import codec
from fedchain.ledger.chain.codec import (
    LARGEST_ENTRY,
    LEAST_EXPONENT,
    could_be_finer,
    norm_bounds,
    quantise,
    squared_norm,
)
from fedchain.transforms import lengths

STORAGES = ["int8", "int16", "int32"]


def unit(seed: int, dimension: int, spread: float) -> np.ndarray:
    vector = np.random.default_rng(seed).normal(size=dimension) ** spread
    return vector / np.linalg.norm(vector)


@settings(max_examples=150, derandomize=True, deadline=None)
@given(
    st.integers(0, 10**6),
    st.integers(1, 3000),
    st.sampled_from([1, 3, 5]),
    st.sampled_from(STORAGES),
)
def test_every_unit_vector_passes_the_checks_that_nodes_make(seed, dimension, spread, storage):
    vector = unit(seed, dimension, spread)
    ((exponent, integers),) = quantise(vector[None], np.ones(1), storage)
    assert integers.dtype == storage
    assert np.abs(integers - np.ldexp(vector, exponent)).max() <= 0.5
    assert LEAST_EXPONENT[storage] <= exponent <= 20
    low, high = norm_bounds(dimension, exponent)
    assert low <= 4 * squared_norm(integers) <= high
    assert not could_be_finer(integers, exponent, storage)
    assert (
        exponent == 20
        or np.abs(np.rint(np.ldexp(vector, exponent + 1))).max() > LARGEST_ENTRY[storage]
    )


@settings(max_examples=100, derandomize=True, deadline=None)
@given(
    st.integers(0, 10**6),
    st.integers(1, 300),
    st.sampled_from([1, 3, 5]),
    st.sampled_from(STORAGES),
    st.sampled_from([np.float32, np.float64]),
)
def test_directions_have_the_same_bits_without_kernels(seed, dimension, spread, storage, kind):
    rows = np.stack([3.7 * unit(seed + k, dimension, spread) for k in range(3)]).astype(kind)
    fast = quantise(rows, lengths(rows), storage)
    squares = [squared_norm(integers) for _, integers in fast]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(codec, "library", lambda: None)
        slow = quantise(rows, lengths(rows), storage)
        assert squares == [squared_norm(integers) for _, integers in slow]
    for (exponent, integers), (other, same) in zip(fast, slow, strict=True):
        assert exponent == other
        assert integers.dtype == same.dtype
        assert (integers == same).all()


def test_an_axis_and_a_flat_vector_fit_every_storage():
    for storage in STORAGES:
        for vector in (np.eye(5)[2], -np.eye(5)[2], np.full(4, 0.5), np.full(10**6, 1e-3)):
            ((exponent, integers),) = quantise(vector[None], np.ones(1), storage)
            low, high = norm_bounds(len(vector), exponent)
            assert low <= 4 * squared_norm(integers) <= high


@pytest.mark.parametrize("vector", [np.full(3, 1.1), np.array([np.nan, 1.0])])
def test_a_norm_that_an_entry_exceeds_is_refused(vector):
    with pytest.raises(ValueError, match="direction: norm is"):
        quantise(vector[None], np.ones(1), "int16")


@settings(max_examples=150, derandomize=True, deadline=None)
@given(
    st.integers(0, 10**6),
    st.integers(1, 3000),
    st.floats(-40, 36),
    st.sampled_from(STORAGES),
)
def test_a_float32_vector_of_any_length_passes_the_checks_that_nodes_make(
    seed, dimension, magnitude, storage
):
    vector = (unit(seed, dimension, 1) * 10.0**magnitude).astype(np.float32)
    norms = lengths(vector[None])
    if norms[0] == 0.0:
        return
    ((exponent, integers),) = quantise(vector[None], norms, storage)
    low, high = norm_bounds(dimension, exponent)
    assert low <= 4 * squared_norm(integers) <= high
    assert not could_be_finer(integers, exponent, storage)


def test_the_squared_norm_is_exact_at_the_ends_of_the_range():
    for dtype in STORAGES:
        info = np.iinfo(dtype)
        values = np.array([info.min, info.max, -1, 0, 1, 12345 % info.max], dtype=dtype)
        many = np.tile(values, 1000)
        assert squared_norm(many) == 1000 * sum(int(v) ** 2 for v in values)
    long = np.full(2**21 + 3, -(2**31), dtype=np.int32)
    assert squared_norm(long) == (2**21 + 3) * 2**62
