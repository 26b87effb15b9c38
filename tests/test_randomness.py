from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from fedchain.randomness import digest, stream

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
