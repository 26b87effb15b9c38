from __future__ import annotations

import math
from dataclasses import fields, replace

import numpy as np
import pytest
from ledger_world import (
    EASY,
    HOLDERS,
    LATE,
    RECORDS,
    D,
    World,
    declared,
    make_world,
    mined,
    secret,
    signed,
    step,
)

from fedchain.errors import EncodingError, InvalidBlock, InvalidMessage, WrongCopy
from fedchain.ledger.chain.block import Block, Header, messages_root
from fedchain.ledger.chain.block_tree import ChainLink
from fedchain.ledger.chain.crypto import InclusionProof, Tree, public_key_of
from fedchain.ledger.chain.declared import PUBLIC
from fedchain.ledger.chain.message import (
    Declaration,
    Message,
    decode_message,
    encode_message,
    identity_leaf,
    identity_of,
    sign_message,
)
from fedchain.ledger.chain.state import State
from fedchain.ledger.chain.validity import check_header, check_message
from fedchain.ledger.chain.work import compact_from_target, target_from_compact

WORLD = make_world()
OPEN = make_world(identity="open", identity_root=bytes(32))


def check(message: Message, world=WORLD) -> None:
    check_message(message, world.rules, world.chain_id, world.chain_id, 1)


def direction(*first: int) -> np.ndarray:
    return np.array([*first, *[0] * (D - len(first))], dtype=np.int16)


ZERO_GRADIENT = {"norm": 0.0, "exponent": 0, "direction": direction()}
REFUSED = {
    "version": ({"version": 3}, "version: is 3; must be 2"),
    "chain": ({"chain_id": bytes(32)}, "chain_id: is 00000000"),
    "parent": ({"parent": bytes(32)}, "parent: is 00000000"),
    "round": ({"round": 2}, "round: is 2; must be 1"),
    "NaN": ({"norm": math.nan}, "norm: is nan; must be above 0 and at most 100"),
    "infinite norm": ({"norm": math.inf}, "norm: is inf"),
    "zero norm": ({"norm": 0.0}, "norm: is 0.0; must be above 0, as exponent"),
    "minus zero": ({**ZERO_GRADIENT, "norm": -0.0}, "norm: is -0.0; must be above 0 and at most"),
    "zero of a length": ({**ZERO_GRADIENT, "norm": 2.5}, "norm: is 2.5; must be 0.0, as exponent"),
    "zero with an entry": ({"norm": 0.0, "exponent": 0}, "direction: is not zero, as exponent 0"),
    "short zero": ({**ZERO_GRADIENT, "direction": np.zeros(D - 1, np.int16)}, "has 11 entries"),
    "wide zero": ({**ZERO_GRADIENT, "direction": np.zeros(D, np.int32)}, "is stored as int32"),
    "negative norm": ({"norm": -1.0}, "norm: is -1.0"),
    "huge norm": ({"norm": 1e9}, "norm: is 1000000000.0"),
    "short direction": ({"dimension": D - 1}, "direction: has 11 entries; must have 12"),
    "long direction": ({"dimension": D + 1}, "direction: has 13 entries; must have 12"),
    "storage": ({"storage": "int32"}, "direction: is stored as int32; must be int16"),
    "small storage": ({"storage": "int8"}, "direction: is stored as int8; must be int16"),
    "low exponent": ({"exponent": 13}, "exponent: is 13; must be 14 to 20"),
    "high exponent": ({"exponent": 21}, "exponent: is 21; must be 14 to 20"),
    "other exponent": ({"exponent": 18}, "direction: norm is"),
    "zero direction": ({"direction": direction()}, "direction: norm is 0.0; must be"),
    "long vector": ({"direction": direction(32767, 32767), "exponent": 15}, "direction: norm is"),
    "slightly long": ({"direction": direction(16390), "exponent": 14}, "norm is 16390.0; must be"),
    "slightly short": ({"direction": direction(16378), "exponent": 14}, "norm is 16378.0; must be"),
    "coarse": ({"direction": direction(9830, 13107), "exponent": 14}, "exponent: is 14; must be"),
    "NaN noise": ({"declaration": declared(noise=math.nan)}, "noise: is nan"),
    "infinite noise": ({"declaration": declared(noise=math.inf)}, "noise: is inf"),
    "negative noise": ({"declaration": declared(noise=-1.0)}, "noise: is -1.0"),
    "NaN clip": ({"declaration": declared(clip=math.nan)}, "clip: is nan"),
    "negative clip": ({"declaration": declared(clip=-1.0)}, "clip: is -1.0"),
    "no records": ({"declaration": declared(records=0)}, "records: is 0"),
    "no mechanism": ({"declaration": declared(mechanism="")}, "mechanism: is ''"),
    "long mechanism": ({"declaration": declared(mechanism="x" * 65)}, "mechanism: is 'xxx"),
    "no proof": ({"proof": None}, "proof: is missing"),
    "other proof": ({"proof": InclusionProof(0, 120, ())}, "proof: path: 0 hashes are too few"),
    "outside proof": ({"proof": InclusionProof(9, 9, ())}, "proof: index: no leaf 9"),
    "small tree": ({"proof": InclusionProof(0, 1, ())}, "proof: identity .* is not registered"),
    "half a letter": (
        {"declaration": declared(mechanism="\ud800")},
        "message: text: .* cannot be written as UTF-8",
    ),
    "short key": ({"public_key": b"short"}, "message: bytes: got 5; must be 32 bytes"),
    "negative round": ({"round": -1}, "message: number: cannot write -1"),
    "no array of numbers": ({"direction": np.zeros(D)}, "message: direction: float64"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_message_that_breaks_a_rule_is_refused_and_the_field_named(case):
    changes, reason = REFUSED[case]
    if case in {"parent", "half a letter", "short key", "negative round", "no array of numbers"}:
        message = replace(WORLD.message(0, WORLD.chain_id, 1), **changes)
    else:
        message = WORLD.message(0, WORLD.chain_id, 1, **changes)
    with pytest.raises(InvalidMessage, match=reason):
        check(message)


def test_a_good_message_passes_in_every_storage():
    for storage in ("int8", "int16", "int32"):
        world = make_world(storage=storage)
        for holder in range(4):
            check(world.message(holder, world.chain_id, 1), world)


def test_an_unclipped_release_declares_an_infinite_clip():
    world = make_world(mechanism="none", noise=(0.0,), clip=math.inf)
    said = declared(mechanism="none", noise=0.0, clip=math.inf)
    check(world.message(0, world.chain_id, 1, declaration=said), world)


def test_a_gradient_of_exactly_zero_has_a_form_of_its_own_and_any_number_may_send_it():
    zeros = [WORLD.message(holder, WORLD.chain_id, 1, **ZERO_GRADIENT) for holder in range(3)]
    for message in zeros:
        check(message)
    chain = WORLD.chain()
    pool = WORLD.pool(chain)
    for message in zeros:
        assert pool.add(message)
    messages = tuple(sorted(zeros, key=lambda message: message.id))
    block = WORLD.block(chain, messages=messages)
    chain.add(block, 10_000)
    assert chain.head == block.header.hash


AGREED_OTHERWISE = {
    "mechanism": ("none", "mechanism: is 'none'; must be 'gaussian'"),
    "noise_step": (2, "noise_step: is 2; must be below 2"),
    "noise": (4.5, "noise: is 4.5; must be 3.5, step 0 of the schedule"),
    "clip": (0.2, "clip: is 0.2; must be 0.1"),
    "records": (201, "records: is 201; must be a number that genesis registers"),
}


@pytest.mark.parametrize("field", AGREED_OTHERWISE)
def test_a_message_that_declares_anything_else_than_was_agreed_is_refused(field):
    world = make_world(noise=(3.5, 4.5))
    value, reason = AGREED_OTHERWISE[field]
    message = world.message(0, world.chain_id, 1, declaration=declared(**{field: value}))
    with pytest.raises(InvalidMessage, match=reason):
        check(message, world)


def test_a_declared_noise_of_minus_zero_is_refused():
    world = make_world(noise=(0.0,))
    check(world.message(0, world.chain_id, 1, declaration=declared(noise=0.0)), world)
    minus = world.message(0, world.chain_id, 1, declaration=declared(noise=-0.0))
    with pytest.raises(InvalidMessage, match=r"noise: is -0\.0; must be 0\.0 or above 0"):
        check(minus, world)


def test_every_declared_value_is_tried():
    assert set(AGREED_OTHERWISE) == {field.name for field in fields(Declaration)}


def test_a_message_names_its_step_of_the_schedule():
    world = make_world(noise=(3.5, 4.5))
    check(world.message(0, world.chain_id, 1, declaration=declared(noise_step=1, noise=4.5)), world)
    wrong = world.message(0, world.chain_id, 1, declaration=declared(noise_step=1))
    with pytest.raises(InvalidMessage, match=r"noise: is 3\.5; must be 4\.5, step 1"):
        check(wrong, world)


def test_another_registered_number_is_refused_by_the_proof():
    world = make_world(records=((200, 3), (300, 1)))
    message = world.message(0, world.chain_id, 1, declaration=declared(records=300))
    with pytest.raises(InvalidMessage, match=r"proof: identity .* with 300 records is not reg"):
        check(message, world)


def test_a_clip_that_follows_a_quantile_may_be_any_finite_one():
    world = make_world(clip=None)
    for clip in (1e-9, 0.1, 1e9):
        check(world.message(0, world.chain_id, 1, declaration=declared(clip=clip)), world)
    for clip in (0.0, -1.0, math.inf, math.nan):
        message = world.message(0, world.chain_id, 1, declaration=declared(clip=clip))
        with pytest.raises(InvalidMessage, match=r"clip: is .*; must be finite and above 0"):
            check(message, world)


def with_root(**changes: object) -> tuple[World, Tree]:
    """Return a world in which a public root is registered for round 1, and its identity tree."""
    places = [(secret(holder, 1), RECORDS) for holder in range(HOLDERS)] + [
        (secret(98, 1), 0),
        (secret(99, 1), 0),
    ]
    tree = Tree(identity_leaf(1, identity_of(public_key_of(k)), n) for k, n in places)
    return make_world(identity_root=tree.root, **{"root": True, **changes}), tree


def root_message(
    world: World, tree: Tree, declaration: Declaration = PUBLIC, second: bool = False
) -> Message:
    key, proof = secret(98 + second, 1), tree.proof(HOLDERS + second)
    changes = {"public_key": public_key_of(key), "proof": proof, "signature": b""}
    model = world.message(0, world.chain_id, 1, declaration=declaration, salt=7 + second)
    return sign_message(replace(model, **changes), key)


def test_a_public_root_sends_a_message_without_noise_if_genesis_registers_it():
    world, tree = with_root()
    check(root_message(world, tree), world)
    assert world.rules.limits.messages == HOLDERS + 1
    for changes in (
        {"mechanism": "gaussian"},
        {"noise_step": 1},
        {"noise": 3.5},
        {"clip": 0.1},
    ):
        (name,) = changes
        with pytest.raises(InvalidMessage, match=rf"{name}: is .*; must be .* for a public root"):
            check(root_message(world, tree, replace(PUBLIC, **changes)), world)
    with pytest.raises(InvalidMessage, match=r"proof: identity .* with 200 records is not"):
        check(root_message(world, tree, declared()), world)
    without, tree = with_root(root=False)
    with pytest.raises(InvalidMessage, match="records: is 0; must be a number that genesis"):
        check(root_message(without, tree), without)


def test_a_block_has_one_message_of_a_public_root_beside_those_of_all_holders():
    world, tree = with_root()
    chain = world.chain()
    pool, pair = world.pool(chain), [root_message(world, tree, second=k) for k in (False, True)]
    assert pool.add(pair[0])
    with pytest.raises(InvalidMessage, match="records: is 0; one public root has spoken"):
        pool.add(pair[1])
    proofs = [tree.proof(holder) for holder in range(HOLDERS)]
    own = [world.message(h, world.chain_id, 1, proof=proofs[h]) for h in range(HOLDERS)]
    by_id = lambda messages: tuple(sorted(messages, key=lambda message: message.id))  # noqa: E731
    good = world.block(chain, messages=by_id([*own, pair[0]]))
    assert chain.add(good, LATE).kind == "extended"
    bad = world.block(world.chain(), messages=by_id([*own[1:], *pair]))
    with pytest.raises(InvalidBlock, match="messages: two are of a public root; one is allowed"):
        world.chain().add(bad, LATE)


def test_what_a_root_says_may_be_said_by_a_holder_too_and_keeps_neither_out():
    world, tree = with_root()
    root = root_message(world, tree)
    said = {name: getattr(root, name) for name in ("exponent", "direction", "norm")}
    copy = world.message(0, world.chain_id, 1, proof=tree.proof(0), **said)
    for order in ((copy, root), (root, copy)):
        pool = world.pool(world.chain())
        assert [pool.add(message) for message in order] == [True, True]
    again = world.message(1, world.chain_id, 1, proof=tree.proof(1), **said)
    with pytest.raises(InvalidMessage, match="direction: repeats the payload of message"):
        pool.add(again)
    own = [world.message(h, world.chain_id, 1, proof=tree.proof(h)) for h in range(2, HOLDERS)]
    by_id = lambda messages: tuple(sorted(messages, key=lambda message: message.id))  # noqa: E731
    chain = world.chain()
    good = world.block(chain, messages=by_id([*own, root, copy]))
    assert chain.add(good, LATE).kind == "extended"
    bad = world.block(world.chain(), messages=by_id([*own, copy, again]))
    with pytest.raises(InvalidBlock, match="two have the same payload"):
        world.chain().add(bad, LATE)


def test_every_field_is_signed():
    good = WORLD.message(0, WORLD.chain_id, 1)
    other = WORLD.message(1, WORLD.chain_id, 1)
    said = good.declaration
    changed = {
        "version": 3,
        "chain_id": bytes(32),
        "parent": bytes(32),
        "round": 2,
        "public_key": other.public_key,
        "proof": other.proof,
        "exponent": good.exponent + 1,
        "direction": other.direction,
        "norm": good.norm / 2,
        "signature": other.signature,
        "declaration": replace(said, noise=1.0),
    }
    assert set(changed) == {field.name for field in fields(Message)}
    declarations = [
        replace(said, mechanism="none"),
        replace(said, clip=1.0),
        replace(said, records=1),
        replace(said, noise_step=1),
    ]
    forged = [replace(good, **{name: value}) for name, value in changed.items()]
    for message in (*forged, *(replace(good, declaration=each) for each in declarations)):
        with pytest.raises(InvalidMessage):
            check(message)
        assert message.content != good.content
        signed_alike = message.id == good.id
        assert signed_alike == (message.signature != good.signature)


def test_a_flipped_signature_is_named():
    good = WORLD.message(0, WORLD.chain_id, 1)
    for bit in range(0, 512, 37):
        signature = bytearray(good.signature)
        signature[bit // 8] ^= 1 << bit % 8
        with pytest.raises(InvalidMessage, match="signature: is not that of the public key"):
            check(replace(good, signature=bytes(signature)))


def test_every_flipped_byte_of_a_message_makes_it_invalid_or_undecodable():
    data, limits = encode_message(WORLD.message(0, WORLD.chain_id, 1)), WORLD.rules.limits
    for place in range(len(data)):
        flipped = data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :]
        try:
            message = decode_message(flipped, limits)
        except EncodingError:
            continue
        with pytest.raises(InvalidMessage):
            check(message)


def test_an_identity_of_another_round_or_of_nobody_is_not_registered():
    later = secret(0, 2)
    proof = WORLD.message(0, WORLD.chain_id, 2).proof
    borrowed = replace(
        WORLD.message(0, WORLD.chain_id, 1), public_key=public_key_of(later), proof=proof
    )
    with pytest.raises(InvalidMessage, match="is not registered for round 1"):
        check(sign_message(borrowed, later))
    stranger = bytes(31) + b"\x01"
    good = WORLD.message(0, WORLD.chain_id, 1)
    sybil = sign_message(replace(good, public_key=public_key_of(stranger)), stranger)
    with pytest.raises(InvalidMessage, match="is not registered for round 1"):
        check(sybil)


@pytest.mark.parametrize("number", [1, 2, 30])
def test_a_proof_is_needed_in_every_round(number):
    message = WORLD.message(0, WORLD.chain_id, number, proof=None)
    with pytest.raises(InvalidMessage, match=f"proof: is missing; .* for round {number}"):
        check_message(message, WORLD.rules, WORLD.chain_id, WORLD.chain_id, number)


def test_open_identities_need_no_proof_and_carry_none():
    check(OPEN.message(0, OPEN.chain_id, 1), OPEN)
    stranger = bytes(31) + b"\x01"
    message = replace(OPEN.message(0, OPEN.chain_id, 1), public_key=public_key_of(stranger))
    check(sign_message(message, stranger), OPEN)
    with pytest.raises(InvalidMessage, match="proof: is given"):
        check(OPEN.message(0, OPEN.chain_id, 1, proof=InclusionProof(0, 1, ())), OPEN)


def test_a_replay_in_another_round_or_on_another_fork_is_refused():
    message = WORLD.message(0, WORLD.chain_id, 1)
    with pytest.raises(InvalidMessage, match="parent: is"):
        check_message(message, WORLD.rules, WORLD.chain_id, b"f" * 32, 1)
    with pytest.raises(InvalidMessage, match="round: is 1; must be 2"):
        check_message(message, WORLD.rules, WORLD.chain_id, WORLD.chain_id, 2)
    with pytest.raises(InvalidMessage, match="chain_id: is"):
        check_message(message, WORLD.rules, b"c" * 32, WORLD.chain_id, 1)


def test_a_copied_direction_has_the_same_payload_whatever_else_is_said():
    message = WORLD.message(0, WORLD.chain_id, 1)
    copy = WORLD.message(
        1, WORLD.chain_id, 1, direction=message.direction, exponent=message.exponent
    )
    assert copy.payload == message.payload
    assert copy.id != message.id
    assert WORLD.message(1, WORLD.chain_id, 1).payload != message.payload


HEADER_CHANGES = {
    "version": (3, "version: is 3; must be 2"),
    "chain_id": (bytes(32), "chain_id: is 00000000"),
    "height": (2, "height: is 2; must be 1, at most 30"),
    "time_ms": (0, "time_ms: is 0; must be above 0"),
    "bits": (EASY + 1, "bits: is 0x20100001; must be 0x20100000"),
    "messages_root": (bytes(32), "messages_root: is not the root of its messages"),
    "weights_hash": (bytes(32), "weights are not the aggregate of its messages"),
    "memory_hash": (bytes(32), "memory_hash: the update's memory is not"),
    "rules_hash": (bytes(32), "rules_hash: is 00000000"),
}


@pytest.mark.parametrize("field", HEADER_CHANGES)
def test_a_block_with_another_header_field_is_refused_and_the_field_named(field):
    value, reason = HEADER_CHANGES[field]
    chain = WORLD.chain()
    block = WORLD.block(chain)
    if field == "bits":
        block = signed(replace(block.header, bits=value), block.messages)
    else:
        block = signed(mined(replace(block.header, **{field: value})), block.messages)
    with pytest.raises(InvalidBlock, match=reason):
        chain.add(block, 10_000)
    assert chain.head == WORLD.chain_id


def test_a_target_that_is_harder_than_the_chain_wants_is_refused_too():
    chain = WORLD.chain()
    harder = compact_from_target(target_from_compact(EASY) // 2)
    block = WORLD.block(chain)
    block = signed(mined(replace(block.header, bits=harder)), block.messages)
    with pytest.raises(InvalidBlock, match="bits: is 0x20080000; must be 0x20100000"):
        chain.add(block, 10_000)


def test_a_sampled_block_has_one_nonce_so_that_one_draw_is_one_block():
    world = make_world(work="sampled")
    block = world.block(world.chain(), nonce=0)
    for nonce in (1, 2**40):
        again = signed(replace(block.header, nonce=nonce), block.messages)
        with pytest.raises(InvalidBlock, match=f"nonce: is {nonce}; must be 0 where work is samp"):
            world.chain().add(again, 10_000)


def test_a_header_is_not_accepted_on_another_parent():
    chain = WORLD.chain()
    header = WORLD.block(chain).header
    other = replace(WORLD.genesis.header, nonce=1)
    header = mined(replace(header, chain_id=other.hash))
    with pytest.raises(InvalidBlock, match=r"parent: is \w{8}; must be"):
        check_header(header, ChainLink(Block(other, ()), 0, 0, EASY), WORLD.rules, 10_000)


def test_every_header_field_is_in_the_hash():
    header = WORLD.block(WORLD.chain()).header
    for field in fields(Header):
        value = getattr(header, field.name)
        other = value + 1 if isinstance(value, int) else bytes([value[0] ^ 1]) + value[1:]
        assert replace(header, **{field.name: other}).hash != header.hash


def test_a_block_without_its_work_is_refused():
    chain = WORLD.chain()
    block = WORLD.block(chain)
    bad = next(
        header
        for nonce in range(100)
        if (header := replace(block.header, nonce=nonce)).hash[0] >= 0x20
    )
    with pytest.raises(InvalidBlock, match=r"block \w{8} \(height 1\): nonce: "):
        chain.add(signed(bad, block.messages), 10_000)


@pytest.mark.parametrize("entry", range(D))
def test_weights_that_differ_by_one_unit_in_the_last_place_are_refused_by_every_chain(entry):
    chains = [WORLD.chain() for _ in range(3)]
    messages = WORLD.messages(WORLD.chain_id, 1)
    right = step(WORLD.state, messages)
    weights = right.weights.copy()
    weights[entry] = np.nextafter(weights[entry], math.inf)
    wrong = WORLD.block(chains[0], messages=messages, after=State(weights, right.memory))
    for chain in chains:
        with pytest.raises(InvalidBlock, match="weights are not the aggregate of its messages"):
            chain.add(wrong, 10_000)
        assert chain.add(WORLD.block(chain), 10_000).kind == "extended"


def test_memory_that_differs_by_one_unit_in_the_last_place_is_refused():
    chain, messages = WORLD.chain(), WORLD.messages(WORLD.chain_id, 1)
    right = step(WORLD.state, messages)
    velocity = np.nextafter(right.memory["velocity"], 9.0)
    wrong = State(right.weights, {**right.memory, "velocity": velocity})
    with pytest.raises(InvalidBlock, match="memory_hash"):
        chain.add(WORLD.block(chain, messages=messages, after=wrong), 10_000)


def body_refused(messages: tuple[Message, ...], reason: str, world=WORLD) -> None:
    chain = world.chain()
    block = world.block(chain, messages=messages)
    with pytest.raises(InvalidBlock, match=reason):
        chain.add(block, 10_000)


def test_a_block_below_the_quorum_or_above_the_holders_is_refused():
    body_refused(WORLD.messages(WORLD.chain_id, 1, [2]), "got 1; must be 2 .the quorum. to 4")
    made = WORLD.messages(WORLD.chain_id, 1)
    body_refused((*made, made[0]), "got 5; must be 2")


def test_messages_in_another_order_are_refused():
    body_refused(WORLD.messages(WORLD.chain_id, 1)[::-1], "ascending order of their ids")


def test_a_message_twice_in_a_block_is_refused():
    made = WORLD.messages(WORLD.chain_id, 1)
    body_refused((made[0], made[0], made[1]), "ascending order of their ids, each once")


def test_two_messages_of_one_identity_in_a_block_are_refused():
    two = [WORLD.message(0, WORLD.chain_id, 1, salt=s) for s in range(2)]
    messages = tuple(sorted([*two, WORLD.message(1, WORLD.chain_id, 1)], key=lambda m: m.id))
    body_refused(messages, "two are of one identity")


def test_a_copied_payload_in_a_block_is_refused():
    first = WORLD.message(0, WORLD.chain_id, 1)
    copy = WORLD.message(
        1, WORLD.chain_id, 1, direction=first.direction, exponent=first.exponent, norm=1.0
    )
    body_refused(tuple(sorted((first, copy), key=lambda m: m.id)), "two have the same payload")


def test_a_block_with_one_bad_message_names_the_message_and_the_field():
    bad = WORLD.message(0, WORLD.chain_id, 1, norm=1e9)
    messages = tuple(sorted((bad, WORLD.message(1, WORLD.chain_id, 1)), key=lambda m: m.id))
    name = bad.id.hex()[:8]
    body_refused(messages, rf"\(height 1\): message {name}: norm: is 1000000000.0")


def test_a_copy_of_a_block_with_a_bad_signature_does_not_harm_the_block():
    chain = WORLD.chain()
    block = WORLD.block(chain)
    forged = replace(block.messages[0], signature=bytes(64))
    copy = signed(block.header, (forged, *block.messages[1:]))
    assert copy.header.hash == block.header.hash
    assert copy.content != block.content
    for _ in range(2):
        with pytest.raises(WrongCopy, match="messages_root: is not the root"):
            chain.add(copy, 10_000)
    assert chain.add(block, 10_000).kind == "extended"


def test_a_step_that_cannot_be_made_makes_the_block_invalid():
    def undefined(state, messages):
        raise ValueError("the sum is zero")

    chain = WORLD.chain(transition=undefined)
    with pytest.raises(InvalidBlock, match="no step can be made from them: the sum is zero"):
        chain.add(WORLD.block(WORLD.chain()), 10_000)


def test_weights_of_another_type_or_shape_are_refused():
    def rounded(state, messages):
        return State(state.weights.astype(np.float32), state.memory)

    def short(state, messages):
        return State(state.weights[:3].copy(), state.memory)

    for wrong in (rounded, short):
        chain = WORLD.chain(transition=wrong)
        with pytest.raises(InvalidBlock, match="weights: the step gives"):
            chain.add(WORLD.block(WORLD.chain()), 10_000)


def test_a_block_above_the_last_round_is_refused():
    world = make_world(rounds=1)
    chain = world.chain()
    world.grow(chain, 1)
    with pytest.raises(InvalidBlock, match="height: is 2; must be 2, at most 1"):
        chain.add(world.block(chain), 10_000)


def test_the_root_covers_every_message():
    made = WORLD.messages(WORLD.chain_id, 1)
    roots = {messages_root(made[:n]) for n in range(5)} | {messages_root(made[::-1])}
    assert len(roots) == 6
