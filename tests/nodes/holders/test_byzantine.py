from __future__ import annotations

import numpy as np
import pytest
from ledger_world import make_world

from fedchain.nodes.holders.byzantine import under_names

OPEN = make_world(identity="open", identity_root=bytes(32))


def test_one_name_is_the_message_itself():
    message = OPEN.message(0, OPEN.chain_id, 1)
    assert list(under_names(message, 1, bytes(32), 7)) == [message]


@pytest.mark.parametrize("storage", ["int8", "int16", "int32"])
def test_every_name_says_nearly_the_same_and_counts_where_identities_are_open(storage):
    world = make_world(identity="open", identity_root=bytes(32), storage=storage)
    chain = world.chain()
    pool = world.pool(chain)
    first, *others = said = list(under_names(world.message(0, chain.head, 1), 1000, bytes(32), 7))
    for message in said:
        assert pool.add(message)
    assert len({message.public_key for message in said}) == 1000
    assert len({message.payload for message in said}) == 1000
    largest = max(
        np.abs(other.direction.astype(np.int64) - first.direction).max() for other in others
    )
    assert largest == 1


def test_names_follow_from_secret_holder_and_round_alone():
    message = OPEN.message(0, OPEN.chain_id, 1)
    ids = [
        [each.id for each in under_names(message, 3, *who)]
        for who in ((b"a", 7), (b"a", 7), (b"b", 7), (b"a", 8))
    ]
    assert ids[0] == ids[1]
    assert not set(ids[0][1:]) & {*ids[2][1:], *ids[3][1:]}
