from __future__ import annotations

import hashlib
import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ledger_world import REFERENCE, reference

from fedchain.errors import ScenarioError
from fedchain.ledger.work import (
    compact_from_target,
    double_sha256,
    is_below,
    retarget,
    search,
    target_from_compact,
    work_of,
    works,
)

needs_reference = pytest.mark.skipif(not REFERENCE.exists(), reason="no reference files")
FORTNIGHT = 14 * 86400


@needs_reference
def test_bitcoin_headers_hash_to_their_names_and_below_their_targets():
    for header in reference()["bitcoin_headers"]:
        bits = int(header["bits"], 16)
        data = (
            struct.pack("<I", header["version"])
            + bytes.fromhex(header["prev"])[::-1]
            + bytes.fromhex(header["merkle"])[::-1]
            + struct.pack("<III", header["time"], bits, header["nonce"])
        )
        digest = double_sha256(data)[::-1]
        assert digest.hex() == header["hash"]
        assert is_below(digest, target_from_compact(bits))


@needs_reference
def test_work_and_retargets_are_bitcoins():
    vectors = reference()
    for bits, work in vectors["bitcoin_work"].items():
        assert work_of(int(bits, 16)) == work
    for case in vectors["bitcoin_retarget"]:
        new = retarget(case["first"], case["last"], int(case["bits"], 16), FORTNIGHT, 0x1D00FFFF)
        assert f"{new:08x}" == case["new"]


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
    first = next(n for n, digest in enumerate(digests) if is_below(digest, target))
    assert search(prefix, 0, 5000, target) == first
    assert search(prefix, 0, first, target) is None
    assert search(prefix, first, 1, target) == first


def test_a_nonce_of_zero_is_a_nonce():
    assert search(b"anything", 0, 1, 2**256 - 1) == 0


def test_the_search_ends_with_the_last_nonce():
    assert search(b"anything", 2**64 - 2, 1000, 1) is None


def test_a_hash_equal_to_the_target_counts():
    digest = hashlib.sha256(b"x").digest()
    assert is_below(digest, int.from_bytes(digest, "big"))
    assert not is_below(digest, int.from_bytes(digest, "big") - 1)


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
