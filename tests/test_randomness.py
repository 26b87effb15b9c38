from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from fedchain import randomness
from fedchain.randomness import digest, laplaces, normals, stream

NAMES = st.lists(st.one_of(st.text(max_size=4), st.integers(0, 99), st.binary(max_size=4)))


@settings(max_examples=200, deadline=None, derandomize=True)
@given(NAMES, NAMES)
def test_two_names_share_a_digest_only_if_they_are_the_same(left, right):
    same = [(type(a), a) for a in left] == [(type(b), b) for b in right]
    assert (digest(0, *left) == digest(0, *right)) == same


def test_another_seed_is_another_stream():
    assert not np.array_equal(stream(0, "noise").random(4), stream(1, "noise").random(4))


def test_streams_of_two_holders_are_not_correlated():
    left = stream(0, "noise", 1, 1).standard_normal(100_000)
    right = stream(0, "noise", 2, 1).standard_normal(100_000)
    assert abs(np.corrcoef(left, right)[0, 1]) < 0.015


def test_the_seed_of_a_scenario_and_a_secret_root_never_give_one_digest():
    seeds = (0, 1, b"", b"0", b":0", bytes(32), bytes([1]) * 32)
    assert len({digest(seed, "noise", 1) for seed in seeds}) == len(seeds)
    assert digest(bytes(32), b"a", b"b") != digest(bytes(32), b"ab")


def fill_with_zeros(words, key):
    """Write a key stream in which every word is 0: each number lies in its tail."""
    words.fill(0)


def test_noise_goes_on_where_the_whole_numbers_end(monkeypatch):
    monkeypatch.setattr(randomness, "_fill", fill_with_zeros)
    keys, count = [digest(0, "noise", holder) for holder in range(2)], 4000
    drawn = normals(keys, 2 * count)
    squares = drawn[:, :count].astype(np.float64) ** 2 + drawn[:, count:].astype(np.float64) ** 2
    # Below the last whole number, r^2 / 2 - 32 log 2 and |x| - 31 log 2 are exponential.
    for further in (squares / 2 - 32 * np.log(2), np.abs(laplaces(keys, count)) - 31 * np.log(2)):
        assert (further > -1e-4).all()
        assert abs(further.mean() - 1) < 5 / np.sqrt(2 * count)
        assert abs((further > 2).mean() - np.exp(-2)) < 5 * np.sqrt(np.exp(-2) / (2 * count))
    assert len(np.unique(drawn)) > 7900
    assert np.array_equal(normals(keys[1:], 2 * count)[0], drawn[1])


def test_the_ends_of_noise_cost_no_delta_that_counts():
    # The largest numbers that the tail can give, and what a shift of both ends costs in delta: at
    # most twice the density there, times the sum of the shifts, sqrt(d) / noise multiplier.
    end = np.sqrt(2 * 97 * np.log(2))
    density = np.exp(-(end**2) / 2) / np.sqrt(2 * np.pi)
    weights, releases, noise = 1e8, 1e4, 0.1
    assert 2 * density * np.sqrt(weights) / noise * releases < 1e-6 * 1e-11
