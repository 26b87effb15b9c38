"""Databases that a stranger has made, and logs: read within limits, and without SQLite."""

from __future__ import annotations

import os
import shutil
import sqlite3
import sys
from contextlib import closing
from pathlib import Path

import pytest
from ledger_world import make_world

from fedchain.errors import LedgerError, RunRefused
from fedchain.ledger.storage import log, tables
from fedchain.ledger.storage.connection import connect_to_read, connect_to_write
from fedchain.ledger.storage.log import read_with_log
from fedchain.ledger.storage.store import Store
from fedchain.system import peak_memory

ROWS = "SELECT number, text FROM t ORDER BY number"


def logged(folder: Path, page: int = 4096, transactions: int = 5) -> tuple[Path, list[object]]:
    """Return a database whose newest transactions are in its log alone, and its rows."""
    folder.mkdir()
    first = folder / "first.sqlite"
    with closing(sqlite3.connect(first)) as connection:
        connection.execute(f"PRAGMA page_size = {page}")
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("CREATE TABLE t (number INTEGER PRIMARY KEY, text TEXT)")
        connection.commit()
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        for start in range(transactions):
            rows = [(100 * start + n, "x" * (n * 7 % 500)) for n in range(100)]
            connection.executemany("INSERT INTO t VALUES (?, ?)", rows)
            connection.execute("DELETE FROM t WHERE number % 3 = 1")
            connection.commit()
        connection.execute("INSERT INTO t VALUES (-1, 'not committed')")
        expected = connection.execute(ROWS + " LIMIT -1 OFFSET 1").fetchall()
        for file in list(folder.iterdir()):
            shutil.copyfile(file, folder / file.name.replace("first", "copy"))
        connection.rollback()
    return folder / "copy.sqlite", expected


def rows_of(data: bytearray) -> list[object]:
    with closing(sqlite3.connect(":memory:")) as memory:
        memory.deserialize(data)
        assert memory.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        return memory.execute(ROWS).fetchall()


@pytest.mark.parametrize("page", [512, 4096, 65536])
def test_a_database_with_its_log_has_the_rows_that_sqlite_finds(tmp_path, page):
    path, expected = logged(tmp_path / "made", page)
    wal = path.with_name("copy.sqlite-wal")
    assert wal.stat().st_size > 5 * page
    before = {file: file.read_bytes() for file in path.parent.iterdir()}
    assert rows_of(read_with_log(path, wal)) == expected
    assert {file: file.read_bytes() for file in path.parent.iterdir()} == before


def test_a_log_counts_up_to_its_last_whole_transaction(tmp_path):
    path, expected = logged(tmp_path / "made")
    wal = path.with_name("copy.sqlite-wal")
    whole, found = wal.read_bytes(), []
    for size in range(len(whole), 0, -4001):
        wal.write_bytes(whole[:size])
        with closing(sqlite3.connect(shutil.copyfile(path, tmp_path / "s.sqlite"))) as judge:
            shutil.copyfile(wal, tmp_path / "s.sqlite-wal")
            known = rows(judge)
        assert rows_of(read_with_log(path, wal)) == known, size
        found.append(known)
    assert found[0] == expected
    assert len({str(each) for each in found}) >= 5, "a transaction after the other is cut off"


def rows(connection: sqlite3.Connection) -> list[object]:
    return connection.execute(ROWS).fetchall()


@pytest.mark.parametrize("place", [0, 5, 9, 17, 25, 31, 40, 50, 60, 5000])
def test_a_damaged_log_is_read_as_sqlite_reads_it(tmp_path, place):
    path, _ = logged(tmp_path / "made")
    wal = path.with_name("copy.sqlite-wal")
    data = bytearray(wal.read_bytes())
    data[place] ^= 1
    wal.write_bytes(data)
    found = rows_of(read_with_log(path, wal))
    with closing(sqlite3.connect(path)) as judge:
        assert found == rows(judge)


def test_a_log_that_begins_anew_meanwhile_is_read_again(tmp_path, monkeypatch):
    path, expected = logged(tmp_path / "made")
    other, others = logged(tmp_path / "other", transactions=2)
    wal, times = path.with_name("copy.sqlite-wal"), []

    def read_bytes(file: Path, most: int) -> bytes:
        data = file.read_bytes()
        if not times:  # another process begins another log
            shutil.copyfile(other, path)
            shutil.copyfile(other.with_name("copy.sqlite-wal"), wal)
        times.append(most)
        return data

    monkeypatch.setattr(log, "read_bytes", read_bytes)
    assert rows_of(read_with_log(path, wal)) == others != expected
    assert len(times) == 2


@pytest.mark.skipif(sys.platform == "win32", reason="files have holes only if they are told to")
def test_no_log_makes_a_database_larger_than_the_bound(tmp_path, monkeypatch):
    path, _ = logged(tmp_path / "made")
    wal, before = path.with_name("copy.sqlite-wal"), peak_memory()
    monkeypatch.setattr(log, "MOST_IN_MEMORY", 40_000)
    with pytest.raises((LedgerError, OSError), match="40000"):
        read_with_log(path, wal)
    monkeypatch.undo()
    os.truncate(wal, 10 * 2**30)
    read_with_log(path, wal)
    os.truncate(path, 10 * 2**30)
    with pytest.raises(OSError, match="bytes; at most"):
        read_with_log(path, wal)
    assert peak_memory() - before < 2**28


def test_a_query_takes_no_more_steps_than_its_database_allows(tmp_path, monkeypatch):
    path = ledger_in(tmp_path)
    monkeypatch.setattr(tables, "STEPS_FREE", 0)
    monkeypatch.setattr(tables, "STEPS_COUNTED", 10)
    endless = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT max(x) FROM n"
    for connect in (connect_to_read, connect_to_write):
        with closing(connect(path)) as connection:
            with pytest.raises(LedgerError, match="a query takes too many steps"):
                list(tables.ask(connection, endless))
            assert len(list(tables.ask(connection, "SELECT * FROM block"))) == 4


def test_every_query_of_a_whole_ledger_is_far_below_its_steps(tmp_path, monkeypatch):
    from fedchain.ledger.storage import database

    path = ledger_in(tmp_path)
    monkeypatch.setattr(tables, "STEPS_FREE", 0)
    monkeypatch.setattr(tables, "STEPS_A_BYTE", 1)
    monkeypatch.setattr(tables, "STEPS_COUNTED", 10)
    with closing(connect_to_read(path)) as connection:
        assert database.damage(connection) is None
        assert database.count_blocks(connection) == 4
        assert database.highest(connection) == 3
        assert len(list(database.read_blocks(connection))) == 4


def ledger_in(folder: Path) -> Path:
    world = make_world()
    with Store.create(folder / "ledger", world.rules, world.genesis, world.state) as store:
        world.grow(world.chain(), 3, store)
    return folder / "ledger" / "ledger.sqlite"


def test_a_table_that_shows_the_same_rows_again_is_not_read_for_ever(tmp_path):
    path = ledger_in(tmp_path)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("UPDATE block SET sequence = sequence + 1 WHERE sequence = 3")
        connection.commit()
    with (
        Store.open(path.parent, writable=False) as store,
        pytest.raises(LedgerError, match="block number 3 was removed"),
    ):
        list(store.blocks())


@pytest.mark.skipif(os.name == "nt", reason="a link needs a right there")
def test_a_store_opens_no_ledger_with_a_link_in_it(tmp_path):
    path = ledger_in(tmp_path)
    blob = next(each for each in path.parent.rglob("*") if len(each.name) == 64)
    shutil.move(blob, tmp_path / "blob")
    blob.symlink_to(tmp_path / "blob")
    for writable in (False, True):
        with pytest.raises(RunRefused, match="is a link, a pipe or a device"):
            Store.open(path.parent, writable=writable)
