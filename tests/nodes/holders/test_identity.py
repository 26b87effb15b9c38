from __future__ import annotations

import pytest

from fedchain.ledger.chain.crypto import root_from_path
from fedchain.ledger.chain.message import identity_leaf, identity_of
from fedchain.ledger.chain.rules import ZERO
from fedchain.nodes.holders.cohort_sampler import Sampling
from fedchain.nodes.holders.identity import Identities


@pytest.fixture(scope="module")
def names():
    return Identities(0, Sampling(seed=0, holders=5, asked=5, rounds=7), registered=True)


def test_every_holder_has_one_registered_identity_for_each_round(names):
    for holder in range(5):
        for number in range(1, 8):
            own = names.of(holder, number)
            leaf = identity_leaf(number, identity_of(own.public_key))
            assert root_from_path(leaf, own.proof) == names.root


def test_an_identity_is_not_registered_for_another_round(names):
    own = names.of(2, 3)
    leaf = identity_leaf(4, identity_of(own.public_key))
    assert root_from_path(leaf, own.proof) != names.root


def test_no_two_identities_are_alike(names):
    keys = {names.of(holder, number).public_key for holder in range(5) for number in range(1, 8)}
    assert len(keys) == 35


def test_the_place_in_the_list_does_not_follow_the_holder(names):
    order = sorted(range(5), key=lambda holder: names.of(holder, 1).proof.index)
    again = sorted(range(5), key=lambda holder: names.of(holder, 2).proof.index)
    assert order != again


def test_open_identities_carry_no_proof_and_commit_to_nothing():
    names = Identities(0, Sampling(seed=0, holders=2, asked=2, rounds=2), registered=False)
    assert names.of(0, 1).proof is None
    assert names.root == ZERO


def test_an_unregistered_round_has_a_key_without_a_proof(names):
    assert names.of(0, 99).proof is None


def test_under_sampling_only_those_asked_in_a_round_are_registered_for_it():
    sampling = Sampling(seed=0, holders=30, asked=4, rounds=5)
    names = Identities(0, sampling, registered=True)
    for number in range(1, 6):
        asked = set(sampling.holders_of(number))
        for holder in range(30):
            own = names.of(holder, number)
            assert (own.proof is not None) == (holder in asked)
            if own.proof:
                leaf = identity_leaf(number, identity_of(own.public_key))
                assert root_from_path(leaf, own.proof) == names.root


def test_the_registered_list_rises_within_a_round_and_tells_nothing_of_the_seats(names):
    for number in range(1, 8):
        own = sorted((names.of(holder, number) for holder in range(5)), key=lambda i: i.proof.index)
        assert [i.proof.index for i in own] == list(range(5 * (number - 1), 5 * number))
        order = [identity_of(i.public_key) for i in own]
        assert order == sorted(order)
