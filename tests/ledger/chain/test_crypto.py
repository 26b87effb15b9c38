from __future__ import annotations

import hashlib
from dataclasses import replace
from types import SimpleNamespace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fedchain.ledger.chain.crypto import (
    InclusionProof,
    Tree,
    is_signature,
    public_key_of,
    root_from_path,
    sign,
)

LEAVES = (
    "",
    "00",
    "10",
    "2021",
    "3031",
    "40414243",
    "5051525354555657",
    "606162636465666768696a6b6c6d6e6f",
)
"""The leaves, in hexadecimal, of the tests of Certificate Transparency, the log that RFC 6962
describes (``merkle_tree_test.cc``); roots and path are from there too."""
ROOTS = (
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
)
"""The roots of the first 0, 1, .. 8 leaves; that of none is SHA-256 of nothing."""
PATH = (
    "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
    "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
    "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
)
"""From leaf 0 of the eight up to their root."""


def by_the_book(leaves: list[bytes]) -> bytes:
    """RFC 6962, section 2.1, word by word."""
    if not leaves:
        return hashlib.sha256().digest()
    if len(leaves) == 1:
        return hashlib.sha256(b"\x00" + leaves[0]).digest()
    split = 1 << (len(leaves) - 1).bit_length() - 1
    left, right = by_the_book(leaves[:split]), by_the_book(leaves[split:])
    return hashlib.sha256(b"\x01" + left + right).digest()


def test_roots_and_a_path_are_those_of_the_published_vectors():
    leaves = [bytes.fromhex(leaf) for leaf in LEAVES]
    assert tuple(Tree(leaves[:n]).root.hex() for n in range(len(leaves) + 1)) == ROOTS
    assert tuple(node.hex() for node in Tree(leaves).proof(0).path) == PATH


@pytest.mark.parametrize("size", range(1, 34))
def test_every_path_of_every_small_tree_leads_to_the_root_of_the_rfc(size):
    leaves = [bytes([i]) for i in range(size)]
    tree = Tree(leaves)
    assert tree.root == by_the_book(leaves)
    for index, leaf in enumerate(leaves):
        assert root_from_path(leaf, tree.proof(index)) == tree.root


def test_a_repeated_last_leaf_gives_another_root():
    assert Tree([b"a", b"b", b"c"]).root != Tree([b"a", b"b", b"c", b"c"]).root


@settings(max_examples=40, derandomize=True, deadline=None)
@given(st.integers(2, 40), st.data())
def test_no_other_leaf_or_place_or_neighbour_leads_to_the_root(size, data):
    tree = Tree([bytes([i]) for i in range(size)])
    index = data.draw(st.integers(0, size - 1))
    proof = tree.proof(index)
    assert root_from_path(b"other", proof) != tree.root
    node = data.draw(st.integers(0, len(proof.path) - 1))
    path = list(proof.path)
    path[node] = bytes(32)
    assert root_from_path(bytes([index]), replace(proof, path=tuple(path))) != tree.root


@pytest.mark.parametrize(
    "proof",
    [
        InclusionProof(4, 4, (bytes(32),) * 2),
        InclusionProof(-1, 4, (bytes(32),) * 2),
        InclusionProof(0, 0, ()),
        InclusionProof(1, 4, (bytes(32),)),
        InclusionProof(1, 4, (bytes(32),) * 3),
        InclusionProof(0, 2**60, (bytes(32),) * 3),
    ],
)
def test_a_proof_of_the_wrong_shape_is_refused(proof):
    with pytest.raises(ValueError, match=r"^(index|path): "):
        root_from_path(b"leaf", proof)


def test_an_inner_node_does_not_pass_as_a_leaf():
    leaves = [b"a", b"b", b"c", b"d"]
    left = hashlib.sha256(b"\x00a").digest() + hashlib.sha256(b"\x00b").digest()
    right = Tree(leaves[2:]).root
    assert root_from_path(left, InclusionProof(0, 2, (right,))) != Tree(leaves).root


def test_a_tree_hashes_each_leaf_and_each_inner_node_once_and_its_proofs_hash_nothing(monkeypatch):
    hashed = []

    def sha256(data):
        hashed.append(len(data))
        return hashlib.sha256(data)

    monkeypatch.setattr("fedchain.ledger.chain.crypto.hashlib", SimpleNamespace(sha256=sha256))
    tree = Tree([i.to_bytes(36) for i in range(10_000)])
    assert len(hashed) == 10_000 + 9_999
    for index in range(0, 10_000, 10):
        tree.proof(index)
    assert len(hashed) == 10_000 + 9_999


def test_there_is_no_proof_of_a_leaf_that_is_not_there():
    with pytest.raises(ValueError, match="index: no leaf 3"):
        Tree([b"a", b"b", b"c"]).proof(3)


RFC_8032 = (
    (
        "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
        "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
        "",
        "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e06522490155"
        "5fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b",
    ),
    (
        "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
        "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
        "72",
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
        "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00",
    ),
)
"""RFC 8032, section 7.1, tests 1 and 2: secret key, public key, message, signature."""


@pytest.mark.parametrize(("secret", "public", "message", "signature"), RFC_8032, ids=["1", "2"])
def test_keys_and_signatures_are_those_of_rfc_8032(secret, public, message, signature):
    secret, message = bytes.fromhex(secret), bytes.fromhex(message)
    assert public_key_of(secret).hex() == public
    assert sign(secret, message).hex() == signature
    assert is_signature(public_key_of(secret), sign(secret, message), message)


def test_every_flipped_bit_of_a_signature_is_noticed():
    secret, message = bytes(range(32)), b"message"
    signature = sign(secret, message)
    for bit in range(512):
        forged = bytearray(signature)
        forged[bit // 8] ^= 1 << bit % 8
        assert not is_signature(public_key_of(secret), bytes(forged), message)


@pytest.mark.parametrize(("key", "signature"), [(b"", bytes(64)), (bytes(32), b""), (b"a", b"b")])
def test_keys_and_signatures_of_the_wrong_length_verify_nothing(key, signature):
    assert not is_signature(key, signature, b"message")


def test_the_order_of_the_curve_added_to_a_signature_is_noticed():
    secret = bytes(range(32))
    signature = sign(secret, b"m")
    order = 2**252 + 27742317777372353535851937790883648493
    s = int.from_bytes(signature[32:], "little") + order
    assert not is_signature(public_key_of(secret), signature[:32] + s.to_bytes(32, "little"), b"m")
