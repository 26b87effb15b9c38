"""Bytes of others: cut, spliced, overwritten, with lengths that lie."""

from __future__ import annotations

import hashlib
import tracemalloc
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ledger_world import make_world, step

from fedchain.errors import EncodingError, LedgerError
from fedchain.ledger.chain import block, message, rules, state
from fedchain.ledger.storage.store import Store
from fedchain.ledger.storage.writer import RetentionPolicy
from fedchain.ledger.tools import proof
from fedchain.ledger.tools.chain_file import exported, verify_file

WORLD = make_world(memory=False)
CHAIN = WORLD.chain()
BLOCK = WORLD.block(CHAIN)
LIMITS = WORLD.rules.limits
ONE = BLOCK.messages[0]
READERS = {
    "header": (block.encode_header(BLOCK.header), block.decode_header, block.encode_header),
    "message": (
        message.encode_message(ONE),
        lambda data: message.decode_message(data, LIMITS),
        message.encode_message,
    ),
    "bare": (message.encode_bare(ONE), message.decode_bare, message.encode_bare),
    "messages": (
        block.encode_messages(BLOCK.messages),
        lambda data: block.decode_messages(data, LIMITS),
        block.encode_messages,
    ),
    "block": (
        block.encode_block(BLOCK),
        lambda data: block.decode_block(data, LIMITS),
        block.encode_block,
    ),
    "rules": (rules.encode_rules(WORLD.rules), rules.decode_rules, rules.encode_rules),
    "tensors": (
        state.encode_tensors(make_world().state.memory),
        state.decode_tensors,
        state.encode_tensors,
    ),
    "keeping": (
        RetentionPolicy(3, 2, 5).encode(),
        RetentionPolicy.decode,
        RetentionPolicy.encode,
    ),
}
"""Valid bytes, what reads them, and what writes them."""
LIES = [b"\xff" * 4, b"\x7f\xff\xff\xff", bytes(8), b"\xff" * 8, b"\x00\x00\x00\x01" * 2]
"""Lengths and numbers that somebody might write."""
MOST_BYTES = 2**20
"""Memory that reading some thousand bytes may take."""


@pytest.fixture(scope="module")
def shown(tmp_path_factory):
    """Return the bytes of a proof and of an exported chain."""
    with Store.create(
        tmp_path_factory.mktemp("fuzz") / "ledger", WORLD.rules, WORLD.genesis, WORLD.state
    ) as store:
        chain = WORLD.chain()
        WORLD.grow(chain, 2, store)
        found = proof.find(store, store.block(chain.head).messages[0].id.hex())
        shown = proof.encode(proof.prove(store, found))
        return shown, b"".join(exported(store)), store.head.hex()


def mangled(draw, data: bytes) -> bytes:
    """Return bytes that were valid before they were changed a few times."""
    whole = sorted(valid for valid, _, _ in READERS.values())
    for _ in range(draw(st.integers(1, 4))):
        place = draw(st.integers(0, len(data)))
        match draw(st.sampled_from(["cut", "flip", "lie", "splice", "noise", "twice"])):
            case "cut":
                data = data[:place]
            case "flip" if place < len(data):
                data = data[:place] + bytes([data[place] ^ draw(st.integers(1, 255))])
            case "lie":
                lie = draw(st.sampled_from(LIES))
                data = data[:place] + lie + data[place + len(lie) :]
            case "splice":
                data = data[:place] + draw(st.sampled_from(whole))[place:]
            case "noise":
                data = data[:place] + draw(st.binary(max_size=16)) + data[place:]
            case "twice":
                data = data[:place] + data[place // 2 :]
    return data


@settings(max_examples=150, deadline=None, derandomize=True)
@given(st.data())
@pytest.mark.parametrize("kind", READERS)
def test_mangled_bytes_are_one_value_or_refused_and_take_little_memory(kind, data):
    valid, read, write = READERS[kind]
    attempt = mangled(data.draw, valid)
    tracemalloc.start()
    with suppress(LedgerError if kind == "keeping" else EncodingError):
        assert write(read(attempt)) == attempt
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < MOST_BYTES


@settings(max_examples=150, deadline=None, derandomize=True)
@given(st.data())
def test_a_mangled_proof_shows_nothing(shown, data):
    valid, *_ = shown
    attempt = mangled(data.draw, valid)
    if attempt != valid:
        with pytest.raises(LedgerError):
            proof.verify_proof(proof.decode(attempt))


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.data())
def test_a_mangled_chain_is_refused_with_a_reason(shown, tmp_path_factory, data):
    _, valid, head = shown
    body = mangled(data.draw, valid[:-32])
    if body != valid[:-32]:
        file = tmp_path_factory.mktemp("mangled") / "chain"
        file.write_bytes(body + hashlib.sha256(body).digest())
        verdict = verify_file(file, lambda _: step)
        if verdict.ok:  # the head's hash commits to everything but when blocks came
            assert (verdict.block, len(body)) == (head, len(valid) - 32)
        else:
            assert verdict.reason
