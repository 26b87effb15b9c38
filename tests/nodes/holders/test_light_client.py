from __future__ import annotations

import itertools
from dataclasses import replace

import pytest

from fedchain.ledger.chain.block import Header
from fedchain.ledger.chain.rules import ZERO
from fedchain.ledger.chain.work import compact_from_target
from fedchain.nodes.holders.data_holder import KEPT_HEADERS, MOST_OF_A_HEIGHT, LightClient

EASY = compact_from_target(2**255)
HARD = compact_from_target(2**252)
IMPOSSIBLE = compact_from_target(1)


def header(
    parent: bytes, height: int, name: int, bits: int = EASY, chain: bytes | None = None
) -> Header:
    """Return a header whose work is done, on the chain of ``GENESIS`` if no other is given."""
    for nonce in itertools.count():
        own = chain or (GENESIS.hash if height else ZERO)
        made = Header(1, own, height, parent, name, bits, ZERO, ZERO, ZERO, ZERO, ZERO, nonce)
        if bits == IMPOSSIBLE or int.from_bytes(made.hash, "big") < 2**252:
            return made
    raise AssertionError


GENESIS = header(ZERO, 0, 0)
A1 = header(GENESIS.hash, 1, 1)
B1 = header(GENESIS.hash, 1, 2)
A2 = header(A1.hash, 2, 3)
B2 = header(B1.hash, 2, 4)
B1_HARD = header(GENESIS.hash, 1, 5, HARD)


def test_the_head_is_the_tip_with_the_most_work_and_not_the_highest():
    client = LightClient(GENESIS)
    client.add(A1)
    client.add(A2)
    assert client.add(B1_HARD)
    assert client.head == B1_HARD.hash
    assert client.height == 1


def test_equal_work_goes_to_the_smaller_hash_in_any_order():
    smaller = min(A1.hash, B1.hash)
    for order in itertools.permutations([A1, B1]):
        client = LightClient(GENESIS)
        for each in order:
            client.add(each)
        assert client.head == smaller


def test_any_order_of_arrival_gives_one_head():
    heads = set()
    for order in itertools.permutations([A1, A2, B1, B2]):
        client = LightClient(GENESIS)
        for each in order:
            client.add(each)
        heads.add(client.head)
    assert heads == {min(A2.hash, B2.hash)}


@pytest.mark.parametrize("field", ["version", "chain_id", "rules_hash"])
def test_a_header_of_another_chain_is_ignored(field):
    client = LightClient(GENESIS)
    other = 3 if field == "version" else b"o" * 32
    foreign = (replace(A1, nonce=nonce, **{field: other}) for nonce in itertools.count())
    paid = next(each for each in foreign if int.from_bytes(each.hash, "big") < 2**252)
    assert not client.add(paid)
    assert client.head == GENESIS.hash
    assert client.add(A1)


def test_a_header_without_its_work_is_ignored():
    client = LightClient(GENESIS)
    assert not client.add(header(GENESIS.hash, 1, 9, IMPOSSIBLE))
    assert client.head == GENESIS.hash


def test_a_header_seen_before_changes_nothing():
    client = LightClient(GENESIS)
    assert client.add(A1)
    assert not client.add(A1)


def test_old_headers_are_forgotten():
    client, parent = LightClient(GENESIS), GENESIS
    for height in range(1, 3 * KEPT_HEADERS):
        parent = header(parent.hash, height, height)
        client.add(parent)
    assert client.height == 3 * KEPT_HEADERS - 1
    assert len(client._work) <= KEPT_HEADERS + 1


def test_a_head_that_costs_less_than_any_block_is_ignored():
    client = LightClient(header(ZERO, 0, 0, HARD))
    assert not client.add(header(client.head, 1, 1, EASY, client.head))
    assert not client.add(header(client.head, 1, 1, 0x00000000, client.head))
    assert not client.add(header(client.head, 1, 1, 0xFF7FFFFF, client.head))
    assert client.add(header(client.head, 1, 1, HARD, client.head))


def test_a_header_of_another_height_is_ignored():
    client = LightClient(GENESIS)
    assert not client.add(header(GENESIS.hash, 2, 1))
    assert not client.add(header(A1.hash, 3, 1))
    assert client.add(A1)
    assert client.head == A1.hash


def test_a_header_that_comes_again_while_it_waits_waits_once():
    client = LightClient(GENESIS)
    for _ in range(5):
        client.add(A2)
    assert len(client._waiting) == 1
    assert client.add(A1)
    assert client.head == A2.hash


def test_headers_that_wait_for_one_parent_or_many_are_bounded_and_the_oldest_makes_room():
    for parents in (1, 40):
        client = LightClient(GENESIS, keep=8)
        client.add(A2)
        flood = [header((n % parents).to_bytes(32), 2, n) for n in range(40)]
        for made in flood[:7]:
            client.add(made)
        assert client.add(A1)
        assert client.head == A2.hash
        for made in flood:
            client.add(made)
        assert len(client._waiting) == 8


def test_branches_without_end_do_not_grow_the_memory_nor_push_out_the_head():
    client = LightClient(GENESIS, keep=2)
    for made in (A1, A2, B1_HARD):
        client.add(made)
    head = client.head
    for name in range(10, 60):
        client.add(header(GENESIS.hash, 1, name))
    assert len(client._work) == 2 * MOST_OF_A_HEIGHT
    assert client.head == head
    above = header(head, client.height + 1, 100)
    assert client.add(above)
    assert client.head == above.hash


def test_a_refused_header_and_all_above_it_are_forgotten_and_never_taken_again():
    client = LightClient(GENESIS)
    for each in (A1, A2, B1):
        client.add(each)
    assert client.refuse(A1.hash)
    assert (client.head, client.height) == (B1.hash, 1)
    assert not client.add(A1)
    assert not client.add(A2)
    assert client.add(B2)


def test_refusing_what_is_not_followed_changes_nothing():
    client = LightClient(GENESIS)
    client.add(A1)
    client.add(A2)
    client.add(B1)
    assert not client.refuse(B1.hash)
    assert not client.refuse(bytes(32))
    assert client.head == A2.hash


def test_a_header_that_was_refused_before_it_came_is_not_followed():
    client = LightClient(GENESIS)
    client.refuse(A1.hash)
    assert not client.add(A2)
    assert not client.add(A1)
    assert client.head == GENESIS.hash


def test_only_so_many_refusals_are_remembered():
    client = LightClient(GENESIS)
    for number in range(2 * KEPT_HEADERS):
        client.refuse(b"%032d" % number)
    assert len(client._refused) == KEPT_HEADERS
