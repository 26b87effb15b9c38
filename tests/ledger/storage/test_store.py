from __future__ import annotations

import errno
import gc
import os
import re
import sqlite3
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest
from ledger_world import make_world, names, step

from fedchain.errors import OLD_FORMAT, LedgerError, RunError
from fedchain.ledger.chain.block import encode_block
from fedchain.ledger.chain.message import identity_of
from fedchain.ledger.chain.state import State
from fedchain.ledger.storage import connection as connections
from fedchain.ledger.storage import database, writer
from fedchain.ledger.storage.blobs import Blobs
from fedchain.ledger.storage.recall import recorded_block, recorded_message
from fedchain.ledger.storage.store import Store
from fedchain.ledger.storage.writer import MOST_WAITING, most_waiting
from fedchain.ledger.tools.verification import verify

WORLD = make_world()


def made(folder: Path, blocks: int = 3):
    store = Store.create(folder, WORLD.rules, WORLD.genesis, WORLD.state)
    chain = WORLD.chain()
    return store, chain, WORLD.grow(chain, blocks, store)


def test_what_is_appended_is_read_back_bit_for_bit(tmp_path):
    store, chain, blocks = made(tmp_path / "ledger")
    store.close()
    with Store.open(tmp_path / "ledger") as store:
        assert store.rules == WORLD.rules
        assert encode_block(store.genesis) == encode_block(WORLD.genesis)
        assert [encode_block(b) for b in store.blocks()] == [encode_block(b) for b in blocks]
        assert len(store) == 3
        assert store.head == chain.head
        for block in blocks:
            name, state = block.header.hash, store.state(block.header.hash)
            assert name in store
            assert name in store
            assert state.weights_hash == block.header.weights_hash
            assert state.memory_hash == block.header.memory_hash
            assert store.arrived_ms(name) == block.header.time_ms
        assert store.state(WORLD.chain_id).weights_hash == WORLD.state.weights_hash


def test_nothing_is_left_beside_the_database_after_closing(tmp_path):
    store, _, blocks = made(tmp_path / "ledger")
    store.close()
    assert sorted(p.name for p in (tmp_path / "ledger").iterdir()) == ["blobs", "ledger.sqlite"]
    files = [p for p in (tmp_path / "ledger" / "blobs").rglob("*") if p.is_file()]
    assert len(files) <= 3 * (len(blocks) + 1)


def test_a_block_appended_twice_is_there_once(tmp_path):
    store, chain, blocks = made(tmp_path / "ledger")
    store.append(blocks[1], chain.state(names(blocks)[1]), 99)
    store.flush()
    before = (tmp_path / "ledger" / "ledger.sqlite-wal").read_bytes()
    store.append(blocks[1], chain.state(names(blocks)[1]), 99)
    store.flush()
    assert (tmp_path / "ledger" / "ledger.sqlite-wal").read_bytes() == before
    assert len(store) == 3
    store.close()


def test_releases_and_blocks_are_found_by_who_made_them(tmp_path):
    store, _, blocks = made(tmp_path / "ledger")
    for block in blocks:
        parent = block.header.parent
        found = recorded_block(store, parent, block.header.address)
        assert found is not None
        assert found.header.hash == block.header.hash
        for message in block.messages:
            again = recorded_message(store, parent, identity_of(message.public_key))
            assert again is not None
            assert again.content == message.content
    assert recorded_block(store, parent, bytes(32)) is None
    assert recorded_block(store, bytes(32), block.header.address) is None
    assert recorded_message(store, bytes(32), identity_of(message.public_key)) is None
    assert recorded_message(store, parent, bytes(32)) is None
    with pytest.raises(KeyError):
        store.block(bytes(32))
    with pytest.raises(KeyError):
        store.state(bytes(32))
    store.close()


def test_the_look_ups_use_an_index(tmp_path):
    store, _, _ = made(tmp_path / "ledger", 1)
    for query in (
        "SELECT * FROM block WHERE hash = x'00'",
        "SELECT * FROM block WHERE parent = x'00' AND address = x'00'",
        "SELECT * FROM message WHERE parent = x'00' AND identity = x'00'",
    ):
        plan = store.connection.execute("EXPLAIN QUERY PLAN " + query).fetchall()
        assert "USING INDEX" in str(plan)
    store.close()


def test_the_head_is_the_first_block_with_the_most_work_until_it_is_moved(tmp_path):
    store, chain, blocks = made(tmp_path / "ledger", 1)
    rival = WORLD.block(chain, WORLD.chain_id, miner=b"r")
    chain.add(rival, 9000)
    name = rival.header.hash
    store.append(rival, chain.state(name), 9000)
    assert store.head == names(blocks)[0]
    store.set_head(name)
    assert store.head == name
    with pytest.raises(KeyError):
        store.set_head(bytes(32))
    heavier = WORLD.block(chain, names(blocks)[0])
    chain.add(heavier, 9000)
    store.append(heavier, chain.state(chain.head), 9000)
    assert store.head == chain.head
    store.close()
    assert verify(tmp_path / "ledger", lambda _: step).ok


def test_after_the_head_was_moved_the_next_block_is_compared_with_it(tmp_path):
    store, chain, blocks = made(tmp_path / "ledger")
    store.set_head(names(blocks)[0])
    rival = WORLD.block(chain, names(blocks)[0], miner=b"r")
    chain.add(rival, 9000)
    store.append(rival, chain.state(rival.header.hash), 9000)
    assert store.head == rival.header.hash
    store.close()


def test_a_block_without_its_parent_or_with_another_state_is_not_written(tmp_path):
    store = Store.create(tmp_path / "ledger", WORLD.rules, WORLD.genesis, WORLD.state)
    chain = WORLD.chain()
    blocks = WORLD.grow(chain, 2)
    with pytest.raises(KeyError):
        store.append(blocks[1], chain.state(chain.head), 0)
    with pytest.raises(ValueError, match="state: is not the one"):
        store.append(blocks[0], State(WORLD.state.weights + 1, WORLD.state.memory), 0)
    assert len(store) == 0
    store.close()


def test_a_ledger_is_neither_made_twice_nor_opened_where_there_is_none(tmp_path):
    store, _, _ = made(tmp_path / "ledger", 1)
    store.close()
    with pytest.raises(RunError, match="cannot make a ledger here"):
        Store.create(tmp_path / "ledger", WORLD.rules, WORLD.genesis, WORLD.state)
    with pytest.raises(RunError, match="has no ledger"):
        Store.open(tmp_path / "nothing")
    assert not (tmp_path / "nothing").exists()
    assert verify(tmp_path / "ledger", lambda _: step).ok


def test_a_damaged_blob_is_noticed_on_reading(tmp_path):
    store, _, blocks = made(tmp_path / "ledger")
    store.flush()
    path = store.blobs.path(blocks[2].header.weights_hash)
    data = path.read_bytes()
    path.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    with pytest.raises(LedgerError, match="its bytes were changed"):
        store.state(names(blocks)[2])
    path.write_bytes(data * 10_000)
    with pytest.raises(LedgerError, match="bytes; at most"):
        store.state(names(blocks)[2])
    path.unlink()
    with pytest.raises(LedgerError, match="cannot be read: No such file"):
        store.state(names(blocks)[2])
    store.close()


def test_a_damaged_blob_is_replaced_when_it_is_written_again(tmp_path):
    store, _, blocks = made(tmp_path / "ledger")
    store.flush()
    path = store.blobs.path(blocks[2].header.weights_hash)
    data = path.read_bytes()
    path.write_bytes(data[:-1])
    store.blobs.put({blocks[2].header.weights_hash: [data]})
    assert path.read_bytes() == data
    store.close()


FAILING = ["os.fsync", "pathlib.Path.replace", "pathlib.Path.open"]


def full(*arguments, **named):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.mark.parametrize("failing", FAILING)
@pytest.mark.parametrize("told_by", ["append", "flush", "close", "head", "set_head", "blocks"])
def test_a_full_disk_ends_with_a_message_and_whole_blocks(tmp_path, monkeypatch, failing, told_by):
    store, chain, blocks = made(tmp_path / "ledger", 2)
    store.flush()
    third, fourth = WORLD.grow(chain, 2)
    states = {block: chain.state(block.header.hash) for block in (third, fourth)}

    def ask():
        store.append(third, states[third], 0)
        wait_for_a_failure(store)
        if told_by == "append":
            for _ in range(MOST_WAITING):
                store.append(fourth, states[fourth], 0)
                store.append(blocks[0], states[fourth], 0)
        elif told_by == "set_head":
            store.set_head(names(blocks)[0])
        elif told_by == "head":
            assert store.head
        elif told_by == "blocks":
            list(store.blocks())
        else:
            getattr(store, told_by)()

    with monkeypatch.context() as patch:
        patch.setattr(failing, full)
        with pytest.raises(RunError, match=r"cannot write block 3: .*No space left.* be resumed"):
            ask()
    if told_by == "close":
        store = Store.open(tmp_path / "ledger")
    assert [name in store for name in names([*blocks, third, fourth])] == [True] * 2 + [False] * 2
    for block in (third, fourth):
        store.append(block, states[block], 0)
    store.close()
    assert verify(tmp_path / "ledger", lambda _: step).blocks == 4


def wait_for_a_failure(store: Store) -> None:
    until = time.monotonic() + 600
    while not store.writer._failed and time.monotonic() < until:
        time.sleep(0.001)


def test_a_transaction_that_failed_leaves_nothing_and_may_be_tried_again(tmp_path, monkeypatch):
    store, chain, _ = made(tmp_path / "ledger", 2)
    store.flush()
    (block,) = WORLD.grow(chain, 1)
    with monkeypatch.context() as patch:
        patch.setattr(database, "write_meta", full_database)
        store.append(block, chain.state(chain.head), 0)
        with pytest.raises(RunError, match="cannot write block 3: database or disk is full"):
            store.flush()
    assert len(store) == 2
    store.append(block, chain.state(chain.head), 0)
    store.close()
    assert verify(tmp_path / "ledger", lambda _: step).blocks == 3


def full_database(*arguments, **named):
    raise sqlite3.OperationalError("database or disk is full")


def test_blocks_behind_one_that_could_not_be_written_are_not_written_either(tmp_path, monkeypatch):
    store, chain, _ = made(tmp_path / "ledger", 2)
    store.flush()
    rivals = [WORLD.block(chain, miner=miner) for miner in (b"a", b"b")]
    for rival in rivals:
        chain.add(rival, 9000)
    gate = threading.Event()

    def fails_once(self, blobs):
        gate.wait()
        monkeypatch.undo()
        full()

    monkeypatch.setattr(Blobs, "put", fails_once)
    for rival in rivals:
        store.append(rival, chain.state(rival.header.hash), 9000)
    assert [name in store for name in names(rivals)] == [True, True]
    gate.set()
    with pytest.raises(RunError, match="cannot write block 3"):
        store.flush()
    assert [name in store for name in names(rivals)] == [False, False]
    assert len(store) == 2
    store.close()
    assert verify(tmp_path / "ledger", lambda _: step).blocks == 2


def test_a_full_database_leaves_the_last_whole_block(tmp_path, monkeypatch):
    store, chain, _ = made(tmp_path / "ledger", 2)
    store.close()

    def small(path):
        connection = connect(path)
        (pages,) = connection.execute("PRAGMA page_count").fetchone()
        connection.execute(f"PRAGMA max_page_count = {pages}")
        return connection

    connect = connections.connect_to_write
    monkeypatch.setattr(connections, "connect_to_write", small)
    store = Store.open(tmp_path / "ledger")

    def fill():
        WORLD.grow(chain, 24, store)
        store.flush()  # the writer works beside: its error comes with the next call

    with pytest.raises(RunError, match="database or disk is full"):
        fill()
    written = len(store)
    assert written >= 2
    store.close()
    with Store.open(tmp_path / "ledger") as store:
        assert len(store) == written
    assert verify(tmp_path / "ledger", lambda _: step).blocks == written


def held(store: Store, monkeypatch) -> threading.Event:
    """Let nothing come to the disk until the event is set."""
    gate, put = threading.Event(), Blobs.put

    def waits(self, blobs):
        gate.wait(60)
        put(self, blobs)

    monkeypatch.setattr(Blobs, "put", waits)
    return gate


def test_what_waits_for_the_disk_is_read_as_if_it_were_there(tmp_path, monkeypatch):
    store, chain, first = made(tmp_path / "ledger", 1)
    store.flush()
    gate = held(store, monkeypatch)
    block = WORLD.grow(chain, 1, store)[0]
    name, parent = block.header.hash, block.header.parent
    assert parent == names(first)[0]
    assert name in store
    assert store.block(name) is block
    assert store.state(name) is chain.state(name)
    assert store.arrived_ms(name) == block.header.time_ms
    assert recorded_block(store, parent, block.header.address) is block
    assert recorded_block(store, parent, bytes(32)) is None
    for message in block.messages:
        identity = identity_of(message.public_key)
        assert recorded_message(store, parent, identity) is message
    assert recorded_message(store, parent, bytes(32)) is None
    gate.set()
    assert store.head == name
    assert store.block(name) is not block
    assert encode_block(store.block(name)) == encode_block(block)
    store.close()


def test_blocks_that_come_fast_are_written_together_unless_somebody_waits(tmp_path, monkeypatch):
    store, chain, _ = made(tmp_path / "ledger", 1)
    store.flush()
    monkeypatch.setattr(writer, "GATHERING_S", 60.0)
    written, appended = [], database.append

    def counted(connection, rows, head, keeping):
        written.append(len(rows))
        appended(connection, rows, head, keeping)

    monkeypatch.setattr(database, "append", counted)
    blocks = WORLD.grow(chain, 3, store)
    assert not written  # a minute is not over
    store.flush()
    assert written == [3]
    assert all(name in store for name in names(blocks))
    store.close()


def test_of_large_blocks_two_wait_for_the_disk_and_of_small_ones_many():
    large, small = replace(WORLD.rules, dimension=10**6), replace(WORLD.rules, dimension=0)
    assert (most_waiting(large), most_waiting(small)) == (2, MOST_WAITING)


def test_who_appends_waits_once_enough_blocks_wait(tmp_path, monkeypatch):
    store, chain, _ = made(tmp_path / "ledger", 1)
    store.flush()
    gate = held(store, monkeypatch)
    store.writer.most_waiting = 2
    WORLD.grow(chain, 2, store)
    assert len(store.writer.waiting) == 2
    appended = threading.Event()

    def more():
        WORLD.grow(chain, 1, store)
        appended.set()

    thread = threading.Thread(target=more)
    thread.start()
    assert not appended.wait(0.1)
    gate.set()
    thread.join(60)
    assert appended.is_set()
    store.close()
    assert verify(tmp_path / "ledger", lambda _: step).blocks == 4


def test_a_store_written_in_the_background_has_the_bytes_of_one_that_is_waited_for(tmp_path):
    chain = WORLD.chain()
    blocks = WORLD.grow(chain, 12)
    rival = WORLD.block(chain, names(blocks)[4], miner=b"r")
    chain.add(rival, 20_000)
    order = [*blocks[:6], rival, *blocks[6:]]
    found = []
    for number in range(6):
        folder = tmp_path / str(number)
        with Store.create(folder, WORLD.rules, WORLD.genesis, WORLD.state) as store:
            for block in order:
                store.append(block, chain.state(block.header.hash), block.header.time_ms)
                if number == 0:
                    store.flush()
            assert [b.header.hash for b in store.blocks()] == names(order)
            assert store.head == chain.head
        with sqlite3.connect(folder / "ledger.sqlite") as connection:
            rows = [list(connection.execute(f"SELECT * FROM {t}")) for t in ("block", "message")]
            rows.append(sorted(connection.execute("SELECT * FROM meta")))
        connection.close()
        blobs = {p.name: p.read_bytes() for p in (folder / "blobs").rglob("*") if p.is_file()}
        found.append((rows, blobs))
    assert all(each == found[0] for each in found)


def test_an_error_of_the_caller_is_told_before_one_of_the_disk(tmp_path, monkeypatch):
    store, chain, _ = made(tmp_path / "ledger", 1)
    store.flush()
    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(ZeroDivisionError), store:  # noqa: PT012
        WORLD.grow(chain, 1, store)
        raise ZeroDivisionError
    monkeypatch.undo()
    assert verify(tmp_path / "ledger", lambda _: step).blocks == 1


def test_the_highest_block_is_that_of_the_opening(tmp_path):
    store, chain, _ = made(tmp_path / "ledger")
    assert store.highest == 0
    store.close()
    with Store.open(tmp_path / "ledger") as store:
        WORLD.grow(chain, 1, store)
        assert store.highest == 3


def test_who_stops_reading_and_closes_the_ledger_hears_nothing_more(tmp_path):
    store, _, _ = made(tmp_path / "ledger", 2)
    blocks = store.blocks()
    next(blocks)
    store.close()
    del blocks
    gc.collect()  # an error in it would be a warning, and so a failure


WRITER = """
import sys
from dataclasses import replace
from pathlib import Path
from ledger_world import make_world
from fedchain.ledger.storage.recall import recorded_block, recorded_message
from fedchain.ledger.storage.store import Store
world = make_world()
store = Store.create(Path(sys.argv[1]), world.rules, world.genesis, world.state)
chain = world.chain()
print("ready", flush=True)
for number in range(29):
    world.grow(chain, 1, store)
    store.flush()
    print(number + 1, flush=True)
store.close()
"""


@pytest.mark.parametrize("delay_ms", [0, 7, 19, 38, 61])
def test_killed_at_any_moment_it_opens_with_the_last_whole_block(tmp_path, delay_ms):
    folder = tmp_path / "ledger"
    paths = os.pathsep.join(str(Path(__file__).parents[up]) for up in (1, 3))
    environment = {**os.environ, "PYTHONPATH": paths}
    command = [sys.executable, "-c", WRITER, str(folder)]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout is not None
        assert writer.stdout.readline() == "ready\n"
        time.sleep(delay_ms / 1000)
        writer.kill()
        said = writer.stdout.read().splitlines()
    (folder / "blobs" / ".new-torn").write_bytes(b"half")
    before = verify(folder, lambda _: step)
    assert before.ok, before.reason
    assert before.blocks >= len(said)
    with Store.open(folder) as store:
        assert len(store) == before.blocks
        assert store.head.hex() == before.block
        chain = WORLD.chain()
        for block in store.blocks():
            chain.add(block, block.header.time_ms)
        WORLD.grow(chain, 1, store)
    assert not (folder / "blobs" / ".new-torn").exists()
    uninterrupted = WORLD.chain()
    WORLD.grow(uninterrupted, before.blocks + 1)
    after = verify(folder, lambda _: step)
    assert (after.ok, after.block) == (True, uninterrupted.head.hex())


def test_a_database_of_other_bytes_is_an_error_with_words(tmp_path):
    store, _, _ = made(tmp_path / "ledger", 1)
    store.close()
    path = tmp_path / "ledger" / "ledger.sqlite"
    path.write_bytes(b"no database" * 500)
    for writable in (True, False):
        with pytest.raises((RunError, LedgerError), match="not a database"):
            Store.open(tmp_path / "ledger", writable)


@pytest.mark.parametrize("writable", [True, False, None])
def test_whatever_fails_while_a_ledger_is_opened_its_database_is_closed(
    tmp_path, monkeypatch, writable
):
    if writable is not None:
        made(tmp_path / "ledger", 1)[0].close()
    monkeypatch.setattr(database, "highest", lambda _: 1 // 0)
    opens = (tmp_path / "ledger", writable)
    makes = (tmp_path / "ledger", WORLD.rules, WORLD.genesis, WORLD.state)
    with pytest.raises(ZeroDivisionError):
        Store.create(*makes) if writable is None else Store.open(*opens)
    # Every test ends with the question whether a connection is open: see conftest.py.


@pytest.mark.parametrize(
    ("number", "words"),
    [("33", "meta: format is b'3'; must be b'2'"), ("31", f"ledger: {OLD_FORMAT}")],
    ids=["newer", "older"],
)
def test_another_format_is_refused_in_one_line(tmp_path, number, words):
    store, _, _ = made(tmp_path / "ledger", 1)
    store.close()
    with sqlite3.connect(tmp_path / "ledger" / "ledger.sqlite") as connection:
        connection.execute(f"UPDATE meta SET value = x'{number}' WHERE key = 'format'")
    connection.close()
    with pytest.raises(LedgerError, match=re.escape(words)):
        Store.open(tmp_path / "ledger")
