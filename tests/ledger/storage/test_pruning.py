from __future__ import annotations

from contextlib import closing

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ledger_world import make_world, step

from fedchain.errors import EncodingError, LedgerError
from fedchain.ledger.storage import database, pruning
from fedchain.ledger.storage.blobs import Blobs, bare_address
from fedchain.ledger.storage.connection import connect_to_read, connect_to_write
from fedchain.ledger.storage.recall import recorded_block
from fedchain.ledger.storage.store import Store
from fedchain.ledger.storage.writer import (
    EVERYTHING,
    RetentionPolicy,
)
from fedchain.ledger.tools import proof
from fedchain.ledger.tools.chain_file import exported
from fedchain.ledger.tools.verification import verify

WORLD = make_world()
BLOCKS = 14


def made(folder, keeping: RetentionPolicy, stale: bool = False):
    """Grow a chain in a ledger that keeps so much, and prune it as a run does at its end."""
    with Store.create(folder, WORLD.rules, WORLD.genesis, WORLD.state, keeping) as store:
        chain = WORLD.chain()
        WORLD.grow(chain, 3, store)
        if stale:
            rival = WORLD.block(chain, chain.path()[2], miner=b"\x02")
            chain.add(rival, 9000)
            store.append(rival, chain.state(rival.header.hash), 9000)
        WORLD.grow(chain, BLOCKS - 3, store)
        store.keep_state(chain.head, chain.state(chain.head))
        store.prune(chain.height, 0)
    return chain


def row_of(folder, height: int):
    with closing(connect_to_read(folder / database.LEDGER_FILE)) as connection:
        return next(row for row in database.read_blocks(connection) if row.height == height)


def found_by_verify(folder):
    return verify(folder, lambda _: step)


@settings(max_examples=200, deadline=None, derandomize=True)
@given(
    st.integers(0, 30),
    st.integers(0, 40),
    st.integers(0, 50),
    st.lists(st.integers(0, 200), max_size=8),
)
def test_what_is_pruned_leaves_a_state_to_start_from_and_enough_whole_blocks(
    every, last, depth, heads
):
    keeping = RetentionPolicy(every, last)
    for head in sorted(heads):
        below = keeping.prunable(head, depth)
        assert below >= keeping.below
        if below > keeping.below:
            assert keeping.keeps_state(below - 1)
            assert head - below + 1 >= max(last, depth)
        keeping = RetentionPolicy(every, last, below)
        assert RetentionPolicy.decode(keeping.encode()) == keeping


def test_a_choice_that_leaves_no_state_to_start_from_is_refused():
    with pytest.raises(LedgerError, match="so is the state"):
        RetentionPolicy.decode(RetentionPolicy(10, 5, 8).encode())
    with pytest.raises(EncodingError):
        RetentionPolicy.decode(EVERYTHING.encode() + b"\0")


@pytest.mark.parametrize("every", [0, 1, 3, 100])
def test_states_that_were_not_kept_are_computed_again(tmp_path, every):
    chain = made(tmp_path / "ledger", RetentionPolicy(every), stale=True)
    found = found_by_verify(tmp_path / "ledger")
    assert (found.ok, found.blocks, found.height, found.unchecked) == (True, BLOCKS + 1, BLOCKS, ())
    with Store.open(tmp_path / "ledger", writable=False) as store:
        for height, name in enumerate(chain.path()):
            if RetentionPolicy(every).keeps_state(height) or name == chain.head:
                assert store.state(name).weights_hash == chain.link(name).header.weights_hash
            else:
                with pytest.raises(KeyError, match="was not kept"):
                    store.state(name)


def test_a_kept_state_that_is_missing_is_damage(tmp_path):
    chain = made(tmp_path / "ledger", RetentionPolicy(3))
    with Store.open(tmp_path / "ledger", writable=False) as store:
        store.blobs.path(chain.link(chain.path()[6]).header.weights_hash).unlink()
    found = found_by_verify(tmp_path / "ledger")
    assert (found.ok, found.height) == (False, 6)


@pytest.mark.parametrize("stale", [False, True])
def test_of_pruned_blocks_everything_but_the_step_is_checked_and_verify_says_so(tmp_path, stale):
    chain = made(tmp_path / "ledger", RetentionPolicy(1, 5), stale)
    found = found_by_verify(tmp_path / "ledger")
    assert found.ok
    assert (found.blocks, found.block) == (BLOCKS + stale, chain.head.hex())
    assert found.unchecked == ("the steps below height 10, whose directions were not kept",)
    with Store.open(tmp_path / "ledger", writable=False) as store:
        for name in chain.path()[1:]:
            whole, left = chain.block(name), store.shown(name)
            assert [m.id for m in left.messages] == [m.id for m in whole.messages]
            assert [m.norm for m in left.messages] == [m.norm for m in whole.messages]
            gone = whole.header.height < 10
            assert all((len(m.direction) == 0) == gone for m in left.messages)
            if gone:
                with pytest.raises(KeyError, match="directions were not kept"):
                    store.block(name)
                message = whole.messages[0]
                assert recorded_block(store, whole.header.parent, whole.header.address) is None
                shown = proof.prove(store, proof.find(store, message.id.hex()))
                assert proof.verify_proof(shown).header == whole.header
            else:
                assert store.block(name) == left


@pytest.mark.parametrize("place", [0, 4, 40, 200, -70, -1])
def test_a_byte_of_what_is_left_of_a_pruned_block_is_noticed(tmp_path, place):
    made(tmp_path / "ledger", RetentionPolicy(1, 5))
    row = row_of(tmp_path / "ledger", 4)
    with Store.open(tmp_path / "ledger", writable=False) as store:
        path = store.blobs.path(bare_address(row.messages))
        assert not store.blobs.has(row.messages)
    data = bytearray(path.read_bytes())
    data[place] ^= 1
    path.write_bytes(data)
    found = found_by_verify(tmp_path / "ledger")
    assert (found.ok, found.height) == (False, 4)


def test_the_choice_itself_cannot_be_changed_unnoticed(tmp_path):
    made(tmp_path / "ledger", RetentionPolicy(1, 5))
    opened = connect_to_write(tmp_path / "ledger" / database.LEDGER_FILE)
    with closing(opened) as connection, database.transaction(connection):
        database.write_meta(connection, keeping=RetentionPolicy(1, 4, 10).encode())
    assert "keeping was changed" in found_by_verify(tmp_path / "ledger").reason


def test_a_ledger_goes_on_growing_after_it_was_pruned(tmp_path):
    with Store.create(
        tmp_path / "ledger", WORLD.rules, WORLD.genesis, WORLD.state, RetentionPolicy(4, 3)
    ) as store:
        chain = WORLD.chain()
        for _ in range(5):
            WORLD.grow(chain, 4, store)
            store.prune(chain.height, 2, step=4)
        assert store.keeping.below == 17
    assert found_by_verify(tmp_path / "ledger").ok
    with Store.open(tmp_path / "ledger") as store:
        WORLD.grow(chain, 2, store)
    found = found_by_verify(tmp_path / "ledger")
    assert (found.ok, found.blocks) == (True, 22)


def test_a_process_killed_while_it_prunes_leaves_a_whole_ledger(tmp_path, monkeypatch):
    folder = tmp_path / "ledger"
    for fails in ("put", "remove"):
        chain = made(folder / fails, RetentionPolicy(1))
        with Store.open(folder / fails) as store:
            store.keeping = RetentionPolicy(1, 5)

            def stop(*_):
                raise OSError(28, "No space left on device")

            with monkeypatch.context() as patched:
                patched.setattr(store.blobs, fails, stop)
                with pytest.raises(Exception, match="No space left"):
                    store.prune(chain.height, 0)
        assert found_by_verify(folder / fails).ok


def test_a_pruned_chain_is_not_exported_since_nobody_could_check_it(tmp_path):
    made(tmp_path / "ledger", RetentionPolicy(1, 5))
    with (
        Store.open(tmp_path / "ledger", writable=False) as store,
        pytest.raises(LedgerError, match="directions below height 10 were not kept"),
    ):
        list(exported(store))


def test_that_directions_are_gone_is_on_the_disk_before_they_go(tmp_path, monkeypatch):
    """A loss of power takes a transaction back that was not waited for, but deletes no less."""
    synced, remove = [], Blobs.remove

    def removed(self, addresses):
        synced.append(connections[-1].execute("PRAGMA synchronous").fetchone())
        remove(self, addresses)

    connections, prune = [], pruning.prune

    def pruned(connection, *rest):
        connections.append(connection)
        return prune(connection, *rest)

    monkeypatch.setattr(Blobs, "remove", removed)
    monkeypatch.setattr("fedchain.ledger.storage.store.prune", pruned)
    made(tmp_path / "ledger", RetentionPolicy(2, 2))
    assert set(synced) == {(2,)}  # 2: a commit is synced
