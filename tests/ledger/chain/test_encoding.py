from __future__ import annotations

import math
import operator
import struct
from dataclasses import fields, replace
from hashlib import sha256

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ledger_world import declared, make_rules, make_world

from fedchain.errors import EncodingError
from fedchain.ledger.chain.block import (
    Block,
    address_of,
    decode_block,
    decode_header,
    decode_messages,
    encode_block,
    encode_header,
    encode_messages,
    sign_block,
)
from fedchain.ledger.chain.crypto import InclusionProof, is_signature
from fedchain.ledger.chain.encoding import Reader, RecordCoder, real, unsigned
from fedchain.ledger.chain.message import (
    Declaration,
    Limits,
    Message,
    decode_message,
    encode_message,
    message_parts,
    sign_message,
)
from fedchain.ledger.chain.rules import decode_rules, encode_rules, genesis
from fedchain.ledger.chain.state import State, decode_tensors, encode_tensors, weights_parts
from fedchain.ledger.chain.work import double_sha256
from fedchain.ledger.storage.database import make_row

WORLD = make_world()
CHAIN = WORLD.chain()
BLOCK = WORLD.block(CHAIN)
LIMITS = WORLD.rules.limits
VALUES = {
    "header": (encode_header(BLOCK.header), decode_header, encode_header),
    "message": (
        encode_message(BLOCK.messages[0]),
        lambda data: decode_message(data, LIMITS),
        encode_message,
    ),
    "messages": (
        encode_messages(BLOCK.messages),
        lambda data: decode_messages(data, LIMITS),
        encode_messages,
    ),
    "block": (encode_block(BLOCK), lambda data: decode_block(data, LIMITS), encode_block),
    "rules": (encode_rules(WORLD.rules), decode_rules, encode_rules),
    "tensors": (encode_tensors(WORLD.state.memory), decode_tensors, encode_tensors),
}


@pytest.mark.parametrize("kind", VALUES)
def test_what_is_decoded_encodes_to_the_same_bytes(kind):
    data, decode, encode = VALUES[kind]
    assert encode(decode(data)) == data


@pytest.mark.parametrize("kind", VALUES)
def test_every_truncation_and_every_addition_is_refused(kind):
    data, decode, _ = VALUES[kind]
    for size in range(len(data)):
        with pytest.raises(EncodingError):
            decode(data[:size])
    with pytest.raises(EncodingError):
        decode(data + b"\x00")


@pytest.mark.parametrize("kind", VALUES)
def test_every_flipped_byte_is_another_value_or_no_value(kind):
    data, decode, encode = VALUES[kind]
    for place in range(len(data)):
        flipped = data[:place] + bytes([data[place] ^ 0x80]) + data[place + 1 :]
        try:
            assert encode(decode(flipped)) == flipped
        except EncodingError:
            continue


@settings(max_examples=200, derandomize=True, deadline=None)
@given(st.binary(max_size=300), st.sampled_from(list(VALUES)))
def test_no_bytes_raise_anything_but_an_encoding_error(noise, kind):
    data, decode, encode = VALUES[kind]
    for attempt in (noise, data[: len(data) // 2] + noise, data[:10] + noise):
        try:
            assert encode(decode(attempt)) == attempt
        except EncodingError:
            continue


DIGESTS = st.binary(min_size=32, max_size=32)
SIGNATURES = st.binary(min_size=64, max_size=64)
NUMBERS = st.floats(allow_nan=False)
MESSAGES = st.builds(
    Message,
    version=st.integers(0, 2**16 - 1),
    chain_id=DIGESTS,
    parent=DIGESTS,
    round=st.integers(0, 2**32 - 1),
    public_key=DIGESTS,
    proof=st.none()
    | st.builds(
        InclusionProof,
        st.integers(0, 2**64 - 1),
        st.integers(0, 2**64 - 1),
        st.lists(DIGESTS, max_size=5).map(tuple),
    ),
    exponent=st.integers(0, 255),
    direction=st.lists(st.integers(-128, 127), max_size=12).map(lambda q: np.array(q, np.int8)),
    norm=NUMBERS,
    declaration=st.builds(
        Declaration,
        mechanism=st.text(max_size=16),
        noise_step=st.integers(0, 2**16 - 1),
        noise=NUMBERS,
        clip=NUMBERS,
        records=st.integers(0, 2**32 - 1),
    ),
    signature=SIGNATURES,
)


@settings(max_examples=150, derandomize=True, deadline=None)
@given(st.lists(MESSAGES, max_size=3).map(tuple), DIGESTS, SIGNATURES)
def test_all_messages_and_blocks_are_read_back_from_their_bytes(messages, key, signature):
    block = Block(BLOCK.header, messages, key, signature)
    read = decode_block(encode_block(block), LIMITS)
    assert (read.header, read.public_key, read.signature) == (block.header, key, signature)
    assert read.content == block.content
    assert block.size == len(encode_block(block))
    for one, other in zip(messages, read.messages, strict=True):
        for name in (field.name for field in fields(Message)):
            same = np.array_equal if name == "direction" else operator.eq
            assert same(getattr(one, name), getattr(other, name))
        assert decode_message(encode_message(one), LIMITS).id == one.id


def test_sizes_are_refused_before_anything_is_made():
    huge = encode_message(BLOCK.messages[0])
    place = huge.index(unsigned(12, 4) + BLOCK.messages[0].direction.astype("<i2").tobytes())
    attack = huge[:place] + b"\xff\xff\xff\xff" + huge[place + 4 :]
    with pytest.raises(EncodingError, match="4294967295 entries"):
        decode_message(attack, LIMITS)
    with pytest.raises(EncodingError, match="at most 11"):
        decode_message(huge, Limits(11, 4))
    with pytest.raises(EncodingError, match="messages: got 4; at most 3"):
        decode_block(encode_block(BLOCK), Limits(12, 3))
    shape = unsigned(1, 4) + b"\x00\x00\x00\x01a" + b"\x02\x02" + unsigned(2**62, 8) * 2
    with pytest.raises(EncodingError, match="are needed"):
        decode_tensors(shape)
    with pytest.raises(EncodingError, match="length"):
        Reader(b"\xff\xff\xff\xffaaaa").blob(16)


def test_a_number_has_one_width_and_is_never_negative():
    assert unsigned(np.int64(5), 2) == b"\x00\x05"
    for value in (-1, 256, 1.0, "1"):
        with pytest.raises(EncodingError, match="number: cannot write"):
            unsigned(value, 1)


def test_every_nan_is_one_value_and_other_spellings_of_it_are_refused():
    strange = struct.unpack(">d", bytes.fromhex("fff8000000000001"))[0]
    assert real(strange) == real(math.nan) == real(-math.nan)
    assert real(0.0) != real(-0.0)
    weights = np.array([1.0, math.nan])
    other = weights.view(np.uint64) ^ np.array([0, 1 << 63], np.uint64)
    assert encode_tensors({"a": weights}) == encode_tensors({"a": other.view(np.float64)})
    data = encode_tensors({"a": weights})
    with pytest.raises(EncodingError, match="not the canonical encoding"):
        decode_tensors(data[:-1] + bytes([data[-1] ^ 0x80]))


def test_tensors_do_not_depend_on_order_or_memory_layout():
    matrix = np.arange(6.0).reshape(2, 3)
    one = encode_tensors({"a": matrix, "b": np.ones(1, np.float32)})
    two = encode_tensors({"b": np.ones(1, np.float32), "a": np.asfortranarray(matrix)})
    assert one == two == encode_tensors({"b": np.ones(1, ">f4"), "a": matrix.astype(">f8")})


def test_tensors_differ_by_name_type_shape_and_every_bit():
    values = [
        {"a": np.zeros(4)},
        {"b": np.zeros(4)},
        {"a": np.zeros((2, 2))},
        {"a": np.zeros(4, np.int64)},
        {"a": np.zeros(8, np.float32)},
        {"a": np.array([0.0, 0, 0, -0.0])},
        {"a": np.array([0.0, 0, 0, 5e-324])},
        {"a": np.zeros(2), "b": np.zeros(2)},
        {"a": np.zeros((0, 4))},
        {"a": np.zeros(())},
        {},
    ]
    assert len({encode_tensors(value) for value in values}) == len(values)
    for value in values:
        read = decode_tensors(encode_tensors(value))
        assert {n: (t.shape, t.dtype) for n, t in read.items()} == {
            n: (t.shape, t.dtype) for n, t in value.items()
        }


def test_tensors_that_have_no_code_are_refused():
    for tensors in (
        {"a": np.zeros(2, np.float16)},
        {"a": np.array(["text"])},
        {"a" * 200: np.zeros(1)},
        {str(i): np.zeros(1) for i in range(65)},
    ):
        with pytest.raises(EncodingError, match="tensor"):
            encode_tensors(tensors)


def test_names_in_another_order_or_twice_are_refused():
    one, two = (encode_tensors({name: np.zeros(1)})[4:] for name in "ab")
    assert set(decode_tensors(unsigned(2, 4) + one + two)) == {"a", "b"}
    for data in (two + one, one + one):
        with pytest.raises(EncodingError, match="canonical"):
            decode_tensors(unsigned(2, 4) + data)


def test_long_tensors_that_print_alike_hash_apart():
    weights = np.zeros(100_000)
    other = weights.copy()
    other[50_000] = 1.0
    assert str(weights) == str(other)
    assert State(weights, {}).weights_hash != State(other, {}).weights_hash


def test_the_arrays_of_a_state_and_a_message_cannot_be_written():
    state = State(np.zeros(3), {"m": np.zeros(3)})
    for array in (state.weights, state.memory["m"], BLOCK.messages[0].direction):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 1
    with pytest.raises(TypeError):
        state.memory["n"] = np.zeros(1)  # type: ignore[index]


def test_weights_and_memory_hash_apart_by_content():
    state = State(np.zeros(3), {"m": np.zeros(3)})
    assert state.memory_hash != State(np.zeros(3), {}).memory_hash
    assert state.weights_hash == State(np.zeros(3), {}).weights_hash


def test_a_record_with_the_tag_of_another_is_refused():
    data = b"fedchain:r" + encode_header(BLOCK.header)[10:]
    with pytest.raises(EncodingError, match="header: tag is b'fedchain:r'; must be b'fedchain:h'"):
        decode_header(data)


def test_every_field_of_a_message_is_written():
    message = BLOCK.messages[0]
    said = message.declaration
    strange = InclusionProof(5, 9, (bytes(32),))
    changes = {
        **{name: bytes([9] * 32) for name in ("chain_id", "parent", "public_key")},
        "version": 3,
        "round": 77,
        "proof": strange,
        "exponent": 3,
        "norm": 0.5,
        "direction": message.direction[::-1],
        "declaration": replace(said, records=said.records + 1),
        "signature": bytes(64),
    }
    assert set(changes) == {field.name for field in fields(Message)}
    others = [replace(message, **{name: value}) for name, value in changes.items()]
    assert len({encode_message(each) for each in (message, *others)}) == len(changes) + 1


def test_hashes_of_format_two_change_only_on_purpose():
    message = Message(
        version=2,
        chain_id=b"c" * 32,
        parent=b"p" * 32,
        round=7,
        public_key=b"k" * 32,
        proof=InclusionProof(3, 4, (b"a" * 32, b"b" * 32)),
        exponent=14,
        direction=np.arange(-3, 4, dtype=np.int16),
        norm=2.5,
        declaration=declared(),
    )
    state = State(np.array([0.5, -0.0, 1e-300]), {"m": np.ones((1, 2), np.float32)})
    rules = replace(make_rules(), identity_root=b"r" * 32)
    found = (message.id, state.weights_hash, state.memory_hash, rules.hash)
    assert [digest.hex()[:16] for digest in (*found, genesis(rules, state).header.hash)] == GOLDEN
    signed = sign_message(message, b"s" * 32)
    block = sign_block(Block(genesis(rules, state).header, (signed,)), b"s" * 32)
    found = (message.payload, signed.content, address_of((signed,)), block.content)
    assert [digest.hex()[:16] for digest in found] == GOLDEN_OF_CONTENTS


GOLDEN = [
    "347b2d6ab6ac10b5",
    "1252859e3a3f8dbb",
    "d0f361d993bb53fe",
    "703824eb075ca73b",
    "468251f5ee1d6994",
]
GOLDEN_OF_CONTENTS = [
    "25b1af594aaf41f9",
    "1e165f2ad3ba7874",
    "8eb17b1148072a0f",
    "9474a4f2458a2bc5",
]


@pytest.mark.parametrize("storage", ["int8", "int16", "int32"])
def test_the_hashes_of_a_message_are_those_that_the_format_describes(storage):
    world = make_world(storage=storage)
    message = world.message(0, world.chain_id, 1)
    data = encode_message(message)
    width = np.dtype(storage).itemsize
    direction = struct.pack(">BBI", message.exponent, width, 12)
    direction += message.direction.astype(f"<i{width}").tobytes()
    start = data.index(direction)
    payload = sha256(direction).digest()
    assert message.payload == payload
    signed = data[:start] + payload + data[start + len(direction) : -64]
    assert message.id == sha256(signed).digest()
    signature = data[-64:]
    assert is_signature(message.public_key, signature, b"fedchain:s" + message.id)
    assert message.content == sha256(message.id + signature).digest()
    address = sha256(b"fedchain:b" + message.content * 2).digest()
    assert address_of((message, message)) == address


def test_a_message_is_hashed_alike_whatever_its_memory_looks_like():
    message = WORLD.message(0, WORLD.chain_id, 1)
    spaced = np.zeros((12, 3), np.int16)
    spaced[:, 1] = message.direction
    for direction in (spaced[:, 1], message.direction.astype(">i2"), message.direction[::-1][::-1]):
        other = replace(message, direction=direction)
        assert other.payload == message.payload
        assert encode_message(other) == encode_message(message)


def test_a_signed_message_is_hashed_as_if_it_had_come_from_outside():
    message = WORLD.message(0, WORLD.chain_id, 1)
    again = decode_message(encode_message(message), LIMITS)
    for name in ("payload", "id", "content"):
        assert getattr(message, name) == getattr(again, name) == getattr(replace(message), name)


def test_integers_that_lie_at_an_odd_address_are_read():
    for odd in ("none", "knorm"):
        said = declared(mechanism=odd)
        made = tuple(WORLD.message(h, WORLD.chain_id, 1, declaration=said) for h in range(4))
        read = decode_messages(encode_messages(made), LIMITS)
        for message, other in zip(read, made, strict=True):
            assert message.direction.flags.aligned
            assert message.direction.tolist() == other.direction.tolist()
            assert not message.direction.flags.writeable


def test_the_parts_of_an_encoding_are_not_copies():
    message, state = BLOCK.messages[0], WORLD.state
    assert np.shares_memory(np.asarray(message_parts(message)[1]), message.direction)
    assert np.shares_memory(np.asarray(weights_parts(state)[-1]), state.weights)


def test_a_message_with_strange_nan_or_a_strange_proof_flag_is_refused():
    message = WORLD.message(0, WORLD.chain_id, 1, norm=math.nan)
    data = encode_message(message)
    assert math.isnan(decode_message(data, LIMITS).norm)
    place = data.index(real(math.nan))
    flag = data.index(message.public_key) + 32
    for where, other in ((place, 0xFF), (flag, 2)):
        with pytest.raises(EncodingError, match="not the canonical encoding"):
            decode_message(data[:where] + bytes([other]) + data[where + 1 :], LIMITS)


def test_a_header_is_encoded_once_for_its_hash_its_block_and_its_row(monkeypatch):
    fresh, written = replace(BLOCK, header=replace(BLOCK.header)), []
    write = RecordCoder.write
    monkeypatch.setattr(
        RecordCoder, "write", lambda self, it: (written.append(it), write(self, it))[1]
    )
    row = make_row(1, fresh, 5, 0, bytes(32))
    assert row.hash == double_sha256(row.header)
    assert encode_block(fresh).startswith(row.header)
    assert [it for it in written if it is fresh.header] == [fresh.header]
