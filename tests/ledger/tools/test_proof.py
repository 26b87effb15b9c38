from __future__ import annotations

import hashlib
import json
from dataclasses import fields, replace

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from hypothesis import given, settings
from hypothesis import strategies as st
from ledger_world import Tree, make_world, mined, secret, sign_message, signed

from fedchain.errors import OLD_FORMAT, EncodingError, LedgerError
from fedchain.ledger.chain.block import Block, decode_header, encode_header
from fedchain.ledger.chain.message import decode_bare, encode_bare
from fedchain.ledger.chain.rules import encode_rules
from fedchain.ledger.storage.store import Store
from fedchain.ledger.tools import proof as proofs
from fedchain.ledger.tools.proof import (
    LARGEST_PROOF,
    PROOF_FORMAT,
    Proof,
    decode,
    encode,
    find,
    prove,
    verify_proof,
)


def written(folder, blocks=2, **rules):
    """A world, its chain, and its store of some blocks."""
    world = make_world(**rules)
    store = Store.create(folder / "ledger", world.rules, world.genesis, world.state)
    chain = world.chain()
    return world, chain, world.grow(chain, blocks, store), store


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    world, _, blocks, store = written(tmp_path_factory.mktemp("proof"))
    with store:
        names = [m.id.hex() for m in blocks[1].messages]
        return world, blocks, [prove(store, find(store, name)) for name in names]


def unpaid(block: Block) -> Block:
    """The block without a search; its hash is above the target."""
    header, time_ms = replace(block.header, nonce=0), block.header.time_ms
    while int.from_bytes(header.hash) < 2**252:
        header, time_ms = replace(header, time_ms=time_ms + 1), time_ms + 1
    return signed(header, block.messages)


def refused(proof: Proof) -> str:
    with pytest.raises(LedgerError) as caught:
        verify_proof(proof)
    return str(caught.value)


def test_a_proof_shows_header_and_message(made):
    _, blocks, all_proofs = made
    for message, proof in zip(blocks[1].messages, all_proofs, strict=True):
        shown = verify_proof(decode(encode(proof)))
        assert shown.header == blocks[1].header
        assert proof.block == blocks[1].header.hash
        assert shown.message.id == message.id == proof.id
        assert shown.message.payload == message.payload
        assert (shown.message.norm, shown.message.declaration) == (
            message.norm,
            message.declaration,
        )
        assert shown.message.direction.size == 0
        assert shown.checked == ("path", "id", "rules", "signature", "identity", "work")


def test_the_id_is_the_hash_of_all_but_the_signature(made):
    for proof in made[2]:
        assert hashlib.sha256(proof.message[:-64]).digest() == proof.id


def test_the_documented_steps_lead_from_the_file_to_the_block_without_fedchain(made):
    def sha(data: bytes) -> bytes:
        return hashlib.sha256(data).digest()

    for proof in made[2]:
        told = json.loads(encode(proof))
        header, message = bytes.fromhex(told["header"]), bytes.fromhex(told["message"])
        root, rules_digest = header[128:160], header[224:256]
        assert sha(sha(header)).hex() == told["block"]
        assert sha(b"fedchain:r" + bytes.fromhex(told["rules"])) == rules_digest
        assert sha(message[:-64]).hex() == told["id"]
        node = sha(b"\0" + sha(bytes.fromhex(told["id"]) + message[-64:]))
        for step in told["path"]:
            ((side, neighbour),) = step.items()
            pair = (bytes.fromhex(neighbour), node)
            node = sha(b"\1" + b"".join(pair if side == "left" else pair[::-1]))
        assert node == root
        key = Ed25519PublicKey.from_public_bytes(message[80:112])
        key.verify(message[-64:], b"fedchain:s" + bytes.fromhex(told["id"]))


CHANGES = {
    "block": (lambda _: bytes(32), "block: is 00000000"),
    "header": (lambda p: p.header[:-1] + bytes([p.header[-1] ^ 1]), "block: is"),
    "rules": (lambda _: encode_rules(make_world(holders=5).rules), "rules: are not those"),
    "id": (lambda _: bytes(32), "id: is 00000000"),
    "message": (lambda p: p.message[:-1] + bytes([p.message[-1] ^ 1]), "path: does not lead"),
    "path": (lambda p: p.path[:-1], "path: does not lead"),
}


@pytest.mark.parametrize("field", [f.name for f in fields(Proof)])
def test_a_changed_field_is_refused_with_its_reason(made, field):
    proof = made[2][0]
    change, reason = CHANGES[field]
    assert reason in refused(replace(proof, **{field: change(proof)}))


def test_each_side_and_each_hash_of_the_path_counts(made):
    proof = made[2][1]
    other = {"left": "right", "right": "left"}
    for i, (side, node) in enumerate(proof.path):
        for step in ((other[side], node), (side, bytes([node[0] ^ 1]) + node[1:])):
            path = (*proof.path[:i], step, *proof.path[i + 1 :])
            assert "path: does not lead" in refused(replace(proof, path=path))
    assert "path" in refused(replace(proof, path=(*proof.path, ("left", bytes(32)))))


def test_no_proof_serves_another_message(made):
    proof, other = made[2][:2]
    for taken in (["id"], ["message"], ["path"], ["id", "message"], ["id", "path"]):
        assert refused(replace(proof, **{name: getattr(other, name) for name in taken}))


def test_every_bit_of_every_byte_counts(made):
    proof = made[2][2]
    for name in ("block", "header", "rules", "id", "message"):
        value = getattr(proof, name)
        for at in range(len(value)):
            flipped = value[:at] + bytes([value[at] ^ (1 << at % 8)]) + value[at + 1 :]
            refused(replace(proof, **{name: flipped}))


def test_every_byte_of_the_file_counts(made):
    data = encode(made[2][0])
    for at in range(len(data)):
        mask = 1 if at % 2 else 0x20  # another digit, or the other case of a letter
        flipped = data[:at] + bytes([data[at] ^ mask]) + data[at + 1 :]
        with pytest.raises(LedgerError):
            verify_proof(decode(flipped))


def forged(proof: Proof, **changes) -> Proof:
    header = mined(replace(decode_header(proof.header), **changes))
    return replace(proof, header=encode_header(header), block=header.hash)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"version": 3}, "header: version is 3; must be 2"),
        ({"height": 3}, "round: is 2; must be 3"),
        ({"parent": bytes(32)}, "parent: is"),
        ({"chain_id": bytes(32)}, "chain_id: is"),
        ({"messages_root": bytes(32)}, "path: does not lead"),
        ({"bits": 0x2100FFFF}, "bits are 0x2100ffff; easier than the rules allow"),
    ],
)
def test_a_worked_header_that_does_not_fit_the_message_is_refused(made, changes, reason):
    assert reason in refused(forged(made[2][0], **changes))


def test_bits_that_are_no_target_are_refused(made):
    proof = made[2][0]
    header = replace(decode_header(proof.header), bits=0)
    lame = replace(proof, header=encode_header(header), block=header.hash)
    assert "is no target" in refused(lame)


def test_a_header_without_work_is_refused(made):
    proof, header = made[2][0], decode_header(made[2][0].header)
    while int.from_bytes(header.hash) < 2**252:
        header = replace(header, nonce=header.nonce + 1)
    idle = replace(proof, header=encode_header(header), block=header.hash)
    assert "does not bring the hash below" in refused(idle)


def test_a_message_that_breaks_a_rule_proves_nothing(tmp_path):
    world, chain, blocks, store = written(tmp_path, 1)
    store.close()
    lies = [replace(m, norm=1000.0) for m in blocks[0].messages[:1]]
    unregistered = sign_message(replace(blocks[0].messages[0], proof=None), secret(0, 1))
    for message, reason in ((lies[0], "norm: is 1000.0"), (unregistered, "proof: is missing")):
        block = world.block(chain, parent=chain.chain_id, messages=(message,))
        proof = Proof(
            block=block.header.hash,
            header=encode_header(block.header),
            rules=encode_rules(world.rules),
            id=message.id,
            message=encode_bare(message),
            path=(),
        )
        assert reason in refused(proof)


@pytest.mark.parametrize(
    ("rules", "unchecked"),
    [({"identity": "open", "identity_root": bytes(32)}, "identity"), ({"work": "sampled"}, "work")],
)
def test_what_was_not_checked_is_not_claimed(tmp_path, made, rules, unchecked):
    world, chain, _, store = written(tmp_path, 0, **rules)
    with store:
        block = world.block(chain) if "work" not in rules else unpaid(world.block(chain))
        chain.add(block, block.header.time_ms)
        store.append(block, chain.state(chain.head), block.header.time_ms)
        proof = prove(store, find(store, block.messages[0].id.hex()))
    everything = verify_proof(made[2][0]).checked
    assert verify_proof(proof).checked == tuple(what for what in everything if what != unchecked)


def test_sides_lead_to_the_root_of_every_tree():
    for size in range(1, 21):
        leaves = [bytes([i]) * 32 for i in range(size)]
        tree = Tree(leaves)
        for index, leaf in enumerate(leaves):
            sides, path = proofs._sides(index, size), tree.proof(index).path
            steps = tuple(zip(sides, path, strict=True))
            assert proofs._root(leaf, steps) == tree.root


def test_a_message_is_found_by_eight_digits_on_the_main_chain_first(tmp_path):
    world, chain, _, store = written(tmp_path, 0)
    below = chain.head
    stale = world.block(chain, miner=b"\x02")
    shared = world.block(chain, holders=range(3))
    chain.add(stale, stale.header.time_ms)
    chain.add(shared, shared.header.time_ms)
    after = world.block(chain, parent=shared.header.hash)
    chain.add(after, after.header.time_ms)
    with store:
        for block in (stale, shared, after):
            name = block.header.hash
            store.append(block, chain.state(name), block.header.time_ms)
        assert store.head == after.header.hash != below
        for place, message in enumerate(shared.messages):
            assert find(store, f"1:{place}") == find(store, message.id.hex())
        with pytest.raises(ValueError, match="block 1 has no message 3; allowed: 0 to 2"):
            find(store, "1:3")
        with pytest.raises(ValueError, match="there is no block 3; allowed: 1 to 2"):
            find(store, "3:0")
        only = {m.id for m in stale.messages} - {m.id for m in shared.messages}
        for message in stale.messages:
            found = find(store, message.id.hex()[:8].upper())
            assert found.stale == (message.id in only)
            assert found.block == (stale if found.stale else shared).header.hash
            assert verify_proof(prove(store, found)).header.height == 1


@pytest.mark.parametrize("start", ["", "abcdef0", "g" * 8, "a" * 65, "0x123456", "ab cdef12"])
def test_what_is_no_id_is_refused(tmp_path, start):
    with written(tmp_path, 0)[3] as store, pytest.raises(ValueError, match="is no id; give 8"):
        find(store, start)


def test_a_message_of_no_block_and_a_start_of_several_are_refused(tmp_path, monkeypatch):
    _, _, blocks, store = written(tmp_path, 3)
    with store:
        with pytest.raises(ValueError, match="no block of this ledger has 00000000"):
            find(store, "00000000")
        monkeypatch.setattr(proofs, "SHORTEST_START", 1)
        ids = [m.id.hex() for block in blocks for m in block.messages]
        first = next(i[0] for i in ids if sum(j[0] == i[0] for j in ids) > 1)
        with pytest.raises(ValueError, match=f"begin with {first}; give more digits"):
            find(store, first)


def hashes():
    return st.binary(min_size=32, max_size=32)


@settings(max_examples=60, deadline=None)
@given(
    st.builds(
        Proof,
        block=hashes(),
        header=st.binary(max_size=300),
        rules=st.binary(max_size=300),
        id=hashes(),
        message=st.binary(max_size=300),
        path=st.lists(st.tuples(st.sampled_from(["left", "right"]), hashes()), max_size=32).map(
            tuple
        ),
    )
)
def test_what_is_written_is_read(proof):
    assert decode(encode(proof)) == proof


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes_are_refused_as_bytes(data):
    with pytest.raises(EncodingError):
        decode(data)
    with pytest.raises(EncodingError):
        decode_bare(data)


def test_a_proof_of_the_first_format_says_so_in_one_line(made):
    old = encode(made[2][0]).replace(b"fedchain-proof-2", b"fedchain-proof-1")
    with pytest.raises(EncodingError, match=r"^proof: written by an older fedchain") as refused_:
        decode(old)
    assert str(refused_.value) == f"proof: {OLD_FORMAT}"


ODD = {
    "other format": {"format": "fedchain-proof-3"},
    "number": {"id": 12},
    "list": {"path": {}},
    "long path": {"path": [{"left": "00" * 32}] * 33},
    "short hash": {"path": [{"left": "00" * 31}]},
    "two sides": {"path": [{"left": "00" * 32, "right": "00" * 32}]},
    "text as step": {"path": ["left"]},
    "spaces": {"id": "00 " * 32},
    "one key more": {"note": "see here"},
}


@pytest.mark.parametrize("name", ODD)
def test_other_json_is_refused(made, name):
    value = {**json.loads(encode(made[2][0])), **ODD[name]}
    with pytest.raises(EncodingError):
        decode((json.dumps(value, indent=2) + "\n").encode())


@pytest.mark.parametrize(
    "data",
    [b"[" * 100_000, b"1" * 10_000, b"[]", b"\xff", b" " * (LARGEST_PROOF + 1)],
    ids=range(5),
)
def test_bytes_that_would_cost_are_refused(data):
    with pytest.raises(EncodingError):
        decode(data)


def test_another_layout_of_the_same_json_is_refused(made):
    value = json.loads(encode(made[2][0]))
    assert value["format"] == PROOF_FORMAT
    with pytest.raises(EncodingError, match="not the canonical JSON"):
        decode(json.dumps(value).encode())
