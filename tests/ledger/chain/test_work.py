from __future__ import annotations

import hashlib
import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fedchain.errors import ScenarioError
from fedchain.ledger.chain.work import (
    compact_from_target,
    double_sha256,
    is_paid,
    retarget,
    sampled,
    search,
    target_from_compact,
    work_of,
    works,
)

FORTNIGHT = 14 * 86400
BITCOIN = (
    (
        "000000000019d6689c085ae165831e934ff763ae46a2a6c172b3f1b60a8ce26f",
        "0000000000000000000000000000000000000000000000000000000000000000",
        "4a5e1e4baab89f3a32518a88c31bc87f618f76673e2cc77ab2127b7afdeda33b",
        1231006505,
        0x1D00FFFF,
        2083236893,
    ),
    (
        "00000000839a8e6886ab5951d76f411475428afc90947ee320161bbf18eb6048",
        "000000000019d6689c085ae165831e934ff763ae46a2a6c172b3f1b60a8ce26f",
        "0e3e2357e806b6cdb1f70b54c3a3a17b6714ee1f0e68bebb44a74b1efd512098",
        1231469665,
        0x1D00FFFF,
        2573394689,
    ),
    (
        "000000000003ba27aa200b1cecaad478d2b00432346c3f1f3986da1afd33e506",
        "000000000002d01c1fccc21636b607dfd930d31d01c3a62104612a1719011250",
        "f3e94742aca4b5ef85488dc37c06c3282295ffec960994b2c0d5ac2a25a95766",
        1293623863,
        0x1B04864C,
        274148111,
    ),
)
"""Blocks 0, 1 and 100,000 of Bitcoin's main chain, all of version 1: hash, parent, root of the
transactions, time in seconds, compact target, nonce."""
BITCOIN_WORK = {0x1D00FFFF: 4295032833, 0x1B04864C: 62209952899966}
"""Compact targets of blocks 0 and 100,000 to the work that Bitcoin counts for each: the whole part
of 2^256 / (target + 1). That of block 0 is its ``chainwork`` in Bitcoin Core, 0x100010001."""
BITCOIN_RETARGETS = (
    (1261130161, 1262152739, 0x1D00FFFF, 0x1D00D86A),
    (1231006505, 1233061996, 0x1D00FFFF, 0x1D00FFFF),
    (1279008237, 1279297671, 0x1C05A3F4, 0x1C0168FD),
)
"""Times of the first and last block of a window, its target and the next one: ``get_next_work``,
``get_next_work_pow_limit`` and ``get_next_work_lower_limit_actual`` in ``pow_tests.cpp`` of
Bitcoin Core."""


@pytest.mark.parametrize(
    ("name", "parent", "root", "time_s", "bits", "nonce"), BITCOIN, ids=["0", "1", "100000"]
)
def test_bitcoin_headers_hash_to_their_names_and_below_their_targets(
    name, parent, root, time_s, bits, nonce
):
    parts = [bytes.fromhex(part)[::-1] for part in (parent, root)]
    data = struct.pack("<I32s32sIII", 1, *parts, time_s, bits, nonce)
    digest = double_sha256(data)[::-1]
    assert digest.hex() == name
    assert is_paid("hashcash", digest, target_from_compact(bits))


def test_work_and_retargets_are_bitcoins():
    assert {bits: work_of(bits) for bits in BITCOIN_WORK} == BITCOIN_WORK
    for first, last, bits, new in BITCOIN_RETARGETS:
        assert retarget(first, last, bits, FORTNIGHT, 0x1D00FFFF) == new


@pytest.mark.parametrize(("window", "mean_s"), [(50, 10.86), (10, 13.1), (5, 16.9)])
def test_retargeting_at_a_constant_hash_rate_makes_blocks_as_rare_as_its_key_says(window, mean_s):
    draw = np.random.default_rng(0)
    bits = first = sampled().bits
    total = 0.0
    for _ in range(30_000 // window):
        easier = target_from_compact(bits) / target_from_compact(first)
        times = np.cumsum(draw.exponential(10_000 / easier, window))
        bits = retarget(0, round(times[-1] - times[0]), bits, 10_000 * window, first)
        assert target_from_compact(bits) <= target_from_compact(first)
        total += times[-1] / 1000
    # The standard error of the mean of 30,000 blocks is some 1 %.
    assert total / 30_000 == pytest.approx(mean_s, rel=0.05)


def test_a_retarget_is_clamped_to_a_factor_of_four():
    bits = compact_from_target(2**200)
    easiest = compact_from_target(2**240)
    assert target_from_compact(retarget(0, 1, bits, 1000, easiest)) == 2**198
    assert target_from_compact(retarget(0, 10**9, bits, 1000, easiest)) == 2**202
    assert retarget(0, 10**9, bits, 1000, bits) == bits


@settings(max_examples=200, derandomize=True, deadline=None)
@given(st.integers(1, 2**256 - 1))
def test_the_compact_form_rounds_down_and_repeats_itself(target):
    bits = compact_from_target(target)
    rounded = target_from_compact(bits)
    assert rounded <= target < rounded + max(1, target >> 15)
    assert compact_from_target(rounded) == bits


@pytest.mark.parametrize("bits", [0, 0x01000000, 0x04923456, 0x22010000, 0xFF123456, 0x00123456])
def test_a_compact_form_of_zero_negative_or_huge_numbers_is_refused(bits):
    with pytest.raises(ValueError, match="is no target"):
        target_from_compact(bits)


def test_the_search_finds_the_first_nonce_that_a_plain_loop_finds():
    prefix, target = b"p" * 256, 2**248
    digests = (double_sha256(prefix + n.to_bytes(8, "big")) for n in range(5000))
    first = next(n for n, digest in enumerate(digests) if is_paid("hashcash", digest, target))
    assert search(prefix, 0, 5000, target) == first
    assert search(prefix, 0, first, target) is None
    assert search(prefix, first, 1, target) == first


def test_a_nonce_of_zero_is_a_nonce():
    assert search(b"anything", 0, 1, 2**256 - 1) == 0


def test_the_search_ends_with_the_last_nonce():
    assert search(b"anything", 2**64 - 2, 1000, 1) is None


def test_a_hash_equal_to_the_target_counts():
    digest = hashlib.sha256(b"x").digest()
    assert is_paid("hashcash", digest, int.from_bytes(digest, "big"))
    assert not is_paid("hashcash", digest, int.from_bytes(digest, "big") - 1)


@pytest.mark.parametrize("difficulty", [0, 1, 8, 12, 20, 32, 64])
def test_difficulty_bits_are_the_logarithm_of_the_expected_tries(difficulty):
    part = works.check({"kind": "hashcash", "difficulty_bits": difficulty})
    work = works.build(part)
    assert work_of(work.bits) == pytest.approx(2**difficulty, rel=1e-4)
    assert work.interval_ms == 10_000
    assert work.retarget_window == 0


def test_impossible_settings_of_the_work_are_refused():
    with pytest.raises(ScenarioError, match=r"difficulty_bits: .*65"):
        works.check({"kind": "hashcash", "difficulty_bits": 65})
    with pytest.raises(ScenarioError, match="interval_s"):
        works.check({"kind": "hashcash", "interval_s": 0.0})
