from __future__ import annotations

import hashlib
import time
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ledger_world import REFERENCE, reference

from fedchain.ledger.merkle import InclusionProof, Tree, inclusion_path, root, root_from_path


def by_the_book(leaves: list[bytes]) -> bytes:
    """RFC 6962, section 2.1, word by word."""
    if not leaves:
        return hashlib.sha256().digest()
    if len(leaves) == 1:
        return hashlib.sha256(b"\x00" + leaves[0]).digest()
    split = 1 << (len(leaves) - 1).bit_length() - 1
    left, right = by_the_book(leaves[:split]), by_the_book(leaves[split:])
    return hashlib.sha256(b"\x01" + left + right).digest()


@pytest.mark.skipif(not REFERENCE.exists(), reason="the reference files are not there")
def test_roots_and_a_path_are_those_of_the_published_vectors():
    vectors = reference()["rfc6962"]
    leaves = [bytes.fromhex(leaf) for leaf in vectors["leaves"]]
    roots = [root(leaves[:n]).hex() for n in range(len(leaves) + 1)]
    assert roots == vectors["roots_for_n_leaves_from_0"]
    path = [node.hex() for node in inclusion_path(leaves, 0)]
    assert path == vectors["inclusion_path_leaf0_of_8"]


@pytest.mark.parametrize("size", range(1, 34))
def test_every_path_of_every_small_tree_leads_to_the_root_of_the_rfc(size):
    leaves = [bytes([i]) for i in range(size)]
    tree = Tree(leaves)
    assert tree.root == by_the_book(leaves)
    for index, leaf in enumerate(leaves):
        assert root_from_path(leaf, tree.proof(index)) == tree.root


def test_a_repeated_last_leaf_gives_another_root():
    assert root([b"a", b"b", b"c"]) != root([b"a", b"b", b"c", b"c"])


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
    assert root_from_path(left, InclusionProof(0, 2, (right,))) != root(leaves)


def test_the_proofs_of_a_hundred_thousand_leaves_are_cheap():
    start = time.process_time()
    tree = Tree([i.to_bytes(36) for i in range(100_000)])
    for index in range(0, 100_000, 100):
        tree.proof(index)
    assert time.process_time() - start < 5


def test_there_is_no_proof_of_a_leaf_that_is_not_there():
    with pytest.raises(ValueError, match="index: no leaf 3"):
        Tree([b"a", b"b", b"c"]).proof(3)
