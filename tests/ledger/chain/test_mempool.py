from __future__ import annotations

import contextlib
import hashlib
from dataclasses import replace

import pytest
from ledger_world import hear, make_world, name

from fedchain.errors import InvalidMessage
from fedchain.ledger.chain import mempool
from fedchain.ledger.chain.crypto import public_key_of
from fedchain.ledger.chain.mempool import MOST_KNOWN, MOST_UNKNOWN
from fedchain.ledger.chain.message import sign_message
from fedchain.ledger.chain.verdict_cache import VerdictCache

WORLD = make_world()
OPEN = make_world(identity="open", identity_root=bytes(32))


def test_messages_come_out_by_id_whatever_the_order_of_arrival():
    chain = WORLD.chain()
    made = WORLD.messages(chain.head, 1)
    for order in (made, made[::-1]):
        pool = WORLD.pool(chain)
        assert all(pool.add(message) for message in order)
        assert pool.messages(chain.head) == made
        assert len(pool) == 4


def test_a_message_that_comes_again_is_known():
    chain = WORLD.chain()
    pool, message = WORLD.pool(chain), WORLD.message(0, chain.head, 1)
    assert pool.add(message)
    assert not pool.add(message)
    assert not pool.add(WORLD.message(0, chain.head, 1))
    assert len(pool) == 1


def test_two_messages_of_one_identity_are_both_dropped_and_kept_as_evidence():
    chain = WORLD.chain()
    first, second, third = (WORLD.message(0, chain.head, 1, salt=s) for s in range(3))
    kept = WORLD.message(1, chain.head, 1)
    for order in ((first, second), (second, first)):
        pool = WORLD.pool(chain)
        pool.add(kept)
        pool.add(order[0])
        with pytest.raises(InvalidMessage, match=r"identity: has sent message .* both are dropped"):
            pool.add(order[1])
        with pytest.raises(InvalidMessage, match="has sent two messages already"):
            pool.add(third)
        assert pool.messages(chain.head) == (kept,)
        (pair,) = pool.evidence(chain.head)
        assert {pair.first.id, pair.second.id} == {m.id for m in order}
        assert len(pair.first.direction) == len(pair.second.direction) == 0


def test_a_copied_payload_is_dropped():
    chain = WORLD.chain()
    pool, message = WORLD.pool(chain), WORLD.message(0, chain.head, 1)
    pool.add(message)
    same = {"direction": message.direction, "exponent": message.exponent, "norm": 1.0}
    with pytest.raises(InvalidMessage, match="direction: repeats the payload of message"):
        pool.add(WORLD.message(1, chain.head, 1, **same))
    assert pool.messages(chain.head) == (message,)


def test_invalid_messages_are_dropped_at_the_door():
    chain = WORLD.chain()
    pool = WORLD.pool(chain)
    for changes in ({"norm": float("nan")}, {"norm": 1e12}, {"dimension": 11}):
        with pytest.raises(InvalidMessage):
            pool.add(WORLD.message(0, chain.head, 1, **changes))
    with pytest.raises(InvalidMessage, match="round: is 2; must be 1"):
        pool.add(WORLD.message(0, chain.head, 2))
    assert len(pool) == 0


def test_messages_of_two_forks_do_not_mix():
    # genesis - a      holder 0 answers a
    #    |
    #    +- b          and b as well, once it has changed over to it
    chain = WORLD.chain()
    a, b = (WORLD.block(chain, miner=miner) for miner in (b"a", b"b"))
    hear(chain, a, b)
    pool = WORLD.pool(chain)
    to_a, to_b = WORLD.message(0, name(a), 2), WORLD.message(0, name(b), 2)
    assert pool.add(to_a)
    assert pool.add(to_b)
    assert pool.messages(name(a)) == (to_a,)
    assert pool.messages(name(b)) == (to_b,)


def test_messages_may_come_before_the_block_that_they_name():
    # genesis - block - ..     source has the block; the chain of the pool has genesis alone
    source, chain = WORLD.chain(), WORLD.chain()
    (block,) = WORLD.grow(source, 1)
    pool = WORLD.pool(chain)
    made = WORLD.messages(source.head, 2)
    for message in made:
        assert pool.add(message)
    wrong_round = WORLD.message(3, source.head, 5)
    assert pool.add(wrong_round)
    assert pool.messages(source.head) == ()
    chain.add(block, 10_000)
    assert pool.messages(source.head) == made


def test_old_rounds_are_forgotten_and_stay_so():
    chain = WORLD.chain()
    pool, old = WORLD.pool(chain), WORLD.message(0, chain.head, 1)
    pool.add(old)
    pool.forget_below(1)
    assert not pool.add(old)
    assert pool.add(WORLD.message(1, chain.head, 1))
    pool.forget_below(2)
    assert len(pool) == 0
    with pytest.raises(InvalidMessage, match="round: is 1; must be at least 2"):
        pool.add(old)


def test_a_flood_of_made_up_parents_leaves_room_for_the_real_one():
    source, chain = WORLD.chain(), WORLD.chain()
    (block,) = WORLD.grow(source, 1)
    pool, verdict_cache = WORLD.pool(chain), VerdictCache()
    made = WORLD.messages(source.head, 2)
    for message in made:
        pool.add(message)
    for number in range(5 * MOST_UNKNOWN):
        pool.add(WORLD.message(0, number.to_bytes(32), 1 + number % 30))
    assert len(pool) <= 4 * MOST_UNKNOWN
    chain.add(block, 10_000)
    assert pool.messages(source.head) == made
    assert len(verdict_cache.states) == 0


def test_a_pool_is_bounded_by_the_number_of_messages_of_a_block():
    world = make_world(holders=2)
    chain = world.chain()
    pool = world.pool(chain)
    for holder in range(2):
        pool.add(world.message(holder, chain.head, 1))
    with pytest.raises(InvalidMessage, match="parent: 2 identities have spoken for it"):
        pool.add(world.message(2, chain.head, 1))


def stranger(number: int, world, salt: int = 0):
    """Return a message for the first round under a key that nobody has given out."""
    key = hashlib.sha256(b"stranger %d" % number).digest()
    message = world.message(0, world.chain_id, 1, salt=100 * salt + number)
    return sign_message(replace(message, public_key=public_key_of(key), signature=b""), key)


@pytest.mark.parametrize(("kept", "room"), [(2 * 12 * 7, 7), (1, 4)])
def test_open_identities_are_bounded_by_their_bytes_but_never_below_the_holders(
    monkeypatch, kept, room
):
    monkeypatch.setattr(mempool, "MOST_OPEN_BYTES", kept)
    chain = OPEN.chain()
    pool = OPEN.pool(chain)
    for number in range(room):
        pool.add(stranger(number, OPEN))
    with pytest.raises(InvalidMessage, match=f"parent: {room} identities have spoken for it"):
        pool.add(stranger(room, OPEN))


def test_equivocating_strangers_fill_a_pool_no_further_than_honest_ones(monkeypatch):
    monkeypatch.setattr(mempool, "MOST_OPEN_BYTES", 1)
    chain = OPEN.chain()
    pool = OPEN.pool(chain)
    for number in range(9):
        for salt in range(2):
            with contextlib.suppress(InvalidMessage):
                pool.add(stranger(number, OPEN, 1 + salt))
    assert (len(pool), len(pool.evidence(chain.head))) == (0, 4)


def test_known_parents_are_bounded():
    chain = OPEN.chain()
    parents = [i.to_bytes(32) for i in range(MOST_KNOWN + 9)]
    heights = {parent: number % 30 for number, parent in enumerate(parents)}
    pool = OPEN.pool(chain)
    pool._height_of = heights.get
    for parent, height in heights.items():
        pool.add(OPEN.message(0, parent, height + 1))
    assert len(pool) == MOST_KNOWN
    assert pool.messages(parents[29])
    assert not pool.messages(parents[0])


def test_a_message_is_checked_once_for_all_nodes(monkeypatch):
    chain, verdict_cache, calls = WORLD.chain(), VerdictCache(), []
    check_message = "fedchain.ledger.chain.verdict_cache.check_message"
    monkeypatch.setattr(check_message, lambda *arguments: calls.append(arguments))
    message = WORLD.message(0, chain.head, 1)
    for _ in range(4):
        WORLD.pool(chain, verdict_cache).add(message)
    assert len(calls) == 1
