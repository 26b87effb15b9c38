from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from fedchain.ledger.chain.crypto import root_from_path
from fedchain.ledger.chain.message import identity_leaf, identity_of
from fedchain.ledger.chain.rules import ZERO
from fedchain.nodes.holders.identity import Identities, Sampling


def records_of(holder: int) -> int:
    return 10 + holder


@pytest.fixture(scope="module")
def names():
    return Identities(0, Sampling(seed=0, holders=5, asked=5, rounds=7), records_of)


def test_every_holder_has_one_registered_identity_for_each_round(names):
    for holder in range(5):
        for number in range(1, 8):
            own = names.of(holder, number)
            leaf = identity_leaf(number, identity_of(own.public_key), records_of(holder))
            assert root_from_path(leaf, own.proof) == names.root


def test_an_identity_is_not_registered_for_another_round(names):
    own = names.of(2, 3)
    leaf = identity_leaf(4, identity_of(own.public_key), records_of(2))
    assert root_from_path(leaf, own.proof) != names.root


def test_an_identity_is_not_registered_with_another_number_of_records(names):
    own = names.of(2, 3)
    for records in (0, 11, 13):
        leaf = identity_leaf(3, identity_of(own.public_key), records)
        assert root_from_path(leaf, own.proof) != names.root


def test_no_two_identities_are_alike(names):
    keys = {names.of(holder, number).public_key for holder in range(5) for number in range(1, 8)}
    assert len(keys) == 35


def test_the_place_in_the_list_does_not_follow_the_holder(names):
    order = sorted(range(5), key=lambda holder: names.of(holder, 1).proof.index)
    again = sorted(range(5), key=lambda holder: names.of(holder, 2).proof.index)
    assert order != again


def test_open_identities_carry_no_proof_and_commit_to_nothing():
    names = Identities(0, Sampling(seed=0, holders=2, asked=2, rounds=2), None)
    assert names.of(0, 1).proof is None
    assert names.root == ZERO


def test_an_unregistered_round_has_a_key_without_a_proof(names):
    assert names.of(0, 99).proof is None


def test_under_sampling_only_those_asked_in_a_round_are_registered_for_it():
    sampling = Sampling(seed=0, holders=30, asked=4, rounds=5)
    names = Identities(0, sampling, records_of)
    for number in range(1, 6):
        asked = set(sampling.holders_of(number))
        for holder in range(30):
            own = names.of(holder, number)
            assert (own.proof is not None) == (holder in asked)
            if own.proof:
                leaf = identity_leaf(number, identity_of(own.public_key), records_of(holder))
                assert root_from_path(leaf, own.proof) == names.root


def test_the_registered_list_rises_within_a_round_and_tells_nothing_of_the_slots(names):
    for number in range(1, 8):
        own = sorted((names.of(holder, number) for holder in range(5)), key=lambda i: i.proof.index)
        assert [i.proof.index for i in own] == list(range(5 * (number - 1), 5 * number))
        order = [identity_of(i.public_key) for i in own]
        assert order == sorted(order)


def test_nobody_is_asked_twice_in_a_round_and_rounds_differ():
    sampling = Sampling(seed=3, holders=40, asked=12, rounds=9)
    cohorts = [sampling.holders_of(round_) for round_ in range(1, 10)]
    assert all(len(set(cohort)) == 12 and set(cohort) <= set(range(40)) for cohort in cohorts)
    assert len({frozenset(cohort) for cohort in cohorts}) == 9


def test_a_cohort_follows_from_seed_and_round_alone():
    one, other = (Sampling(seed=3, holders=40, asked=12, rounds=r) for r in (9, 90))
    backwards = [one.holders_of(round_) for round_ in range(9, 0, -1)]
    assert backwards[::-1] == [other.holders_of(round_) for round_ in range(1, 10)]
    assert Sampling(4, 40, 12, 9).holders_of(1) != one.holders_of(1)


def test_where_all_are_asked_slot_k_is_holder_k():
    sampling = Sampling(seed=3, holders=7, asked=7, rounds=5)
    assert all(list(sampling.holders_of(round_)) == list(range(7)) for round_ in range(1, 6))
    assert sampling.most_releases == 5


def test_most_releases_is_counted_over_the_whole_run():
    sampling = Sampling(seed=3, holders=30, asked=4, rounds=60)
    asked = Counter(k for round_ in range(1, 61) for k in sampling.holders_of(round_))
    assert sampling.most_releases == max(asked.values())
    assert sampling.most_releases > 60 * 4 / 30


def test_every_holder_is_asked_equally_often_on_every_slot():
    sampling = Sampling(seed=0, holders=20, asked=5, rounds=8000)
    holder_slots = np.array([sampling.holders_of(round_) for round_ in range(1, 8001)])
    times = np.array([np.bincount(slot, minlength=20) for slot in holder_slots.T])
    assert abs(times - 400).max() < 5 * np.sqrt(400)


def test_the_holders_of_a_round_are_plain_integers():
    assert {type(k) for k in Sampling(0, 10, 3, 1).holders_of(1)} == {int}  # streams are named so
