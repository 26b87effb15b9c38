from __future__ import annotations

import json
import shutil
import sqlite3
import stat
from contextlib import closing
from pathlib import Path

import pytest
from ledger_world import World, make_world, names, step

from fedchain.errors import RunError
from fedchain.ledger.chain import validity
from fedchain.ledger.storage import database
from fedchain.ledger.storage.store import Store
from fedchain.ledger.tools import verification
from fedchain.ledger.tools.tampering import DAMAGEABLE, tamper
from fedchain.ledger.tools.verification import Verification, verify

WORLD = make_world()


def transition_of(rules):
    assert json.loads(rules.update)["kind"] == "momentum"
    return step


def check(folder: Path) -> Verification:
    return verify(folder, transition_of)


def write(folder: Path, world: World = WORLD, blocks: int = 3) -> list[bytes]:
    """Three blocks on the main chain and one stale one, stored second."""
    with Store.create(folder, world.rules, world.genesis, world.state) as store:
        chain = world.chain()
        first = world.grow(chain, 1, store)
        stale = world.block(chain, world.chain_id, miner=b"s", holders=[0, 1])
        chain.add(stale, 9000)
        store.append(stale, chain.state(stale.header.hash), 9000)
        return names(first + world.grow(chain, blocks - 1, store))


@pytest.fixture(scope="module")
def ledger(tmp_path_factory) -> tuple[Path, list[bytes]]:
    folder = tmp_path_factory.mktemp("verified") / "ledger"
    return folder, write(folder)


@pytest.fixture
def damaged(ledger, tmp_path) -> Path:
    shutil.copytree(ledger[0], tmp_path / "damaged")
    return tmp_path / "damaged"


def refused(folder: Path, block: bytes, height: int, reason: str = "") -> None:
    found = check(folder)
    assert not found.ok
    assert (found.block, found.height) == (block.hex(), height), found
    assert reason in found.reason
    assert found.reason
    assert f"block {block.hex()[:8]} (height {height}): " in str(found)


def test_a_good_ledger_passes_and_progress_is_told(ledger):
    folder, path = ledger
    told = []
    found = verify(folder, transition_of, lambda done, total: told.append((done, total)))
    rounds = WORLD.rules.rounds
    assert found == Verification(
        ok=True, blocks=4, height=3, block=path[-1].hex(), reason="", rounds=rounds
    )
    assert told == [(n, 5) for n in range(1, 6)]
    assert str(found) == f"4 blocks verified, head {path[-1].hex()[:8]} (height 3)"


@pytest.mark.parametrize("field", DAMAGEABLE)
def test_every_field_that_can_be_changed_is_noticed_and_the_source_is_left_alone(
    ledger, tmp_path, field
):
    folder, path = ledger
    tamper(folder, tmp_path / "copy", 3, field)
    found = check(tmp_path / "copy")
    assert not found.ok
    assert found.reason
    if field == "head":
        assert "head" in found.reason
    elif field not in {"column.hash", "column.height"}:
        assert (found.block, found.height) == (path[-1].hex(), 3), found
    assert check(folder).ok


@pytest.mark.parametrize("height", [1, 2, 3])
@pytest.mark.parametrize("field", DAMAGEABLE)
def test_the_verdict_is_the_same_with_any_number_of_threads(
    ledger, tmp_path, monkeypatch, height, field
):
    tamper(ledger[0], tmp_path / "copy", height, field)
    found = []
    for threads in (0, 1, 3):
        monkeypatch.setattr(verification, "_THREADS", threads)
        found.append(check(tmp_path / "copy"))
    assert found[0] == found[1] == found[2]
    assert not found[0].ok


def test_damage_is_told_of_the_first_damaged_block_though_the_next_is_read_before(damaged):
    with Store.open(damaged, writable=False) as store:
        rows = list(database.read_blocks(store.connection))
        for row in rows[1:]:
            store.blobs.path(row.messages).unlink()
    with closing(sqlite3.connect(damaged / database.LEDGER_FILE)) as connection, connection:
        connection.execute("UPDATE block SET height = 'two' WHERE sequence = 2")
    found = check(damaged)
    assert (found.block, found.blocks) == (rows[1].hash.hex(), 0)
    assert "cannot be read: No such file" in found.reason


@pytest.mark.parametrize("height", [0, 1])
@pytest.mark.parametrize(
    "field", [f for f in DAMAGEABLE if not f.startswith(("message.", "index."))]
)
def test_lower_blocks_and_genesis_are_covered_too(ledger, tmp_path, height, field):
    tamper(ledger[0], tmp_path / "copy", height, field)
    found = check(tmp_path / "copy")
    assert not found.ok
    assert found.reason


def test_every_flipped_byte_of_every_blob_is_noticed_and_the_block_named(ledger, damaged):
    folder, path = ledger
    with Store.open(folder, writable=False) as store:
        header = store.block(path[-1]).header
        row = database.find_row(store.connection, "hash = ?", path[-1])
        own = {header.weights_hash, header.memory_hash, row.messages}
        blobs = [store.blobs.path(address).relative_to(folder) for address in own]
    for blob in blobs:
        target = damaged / blob
        data = target.read_bytes()
        for place in range(0, len(data), 3 if len(data) < 400 else 97):
            target.write_bytes(data[:place] + bytes([data[place] ^ 0x10]) + data[place + 1 :])
            refused(damaged, path[-1], 3, "its bytes were changed")
        target.write_bytes(data)
    assert check(damaged).ok


def test_every_blob_on_disk_is_needed(ledger, damaged):
    for blob in [p for p in (damaged / "blobs").rglob("*") if p.is_file()]:
        data = blob.read_bytes()
        blob.unlink()
        found = check(damaged)
        assert not found.ok
        assert found.block
        assert "cannot be read: No such file" in found.reason
        blob.write_bytes(data[:-1])
        assert not check(damaged).ok
        blob.write_bytes(data)
    assert check(damaged).ok


def other_values(value: object) -> list[object]:
    if isinstance(value, int):
        return [value + 1, -value - 1, str(value).encode(), "text", float(value) + 0.5, 2**62]
    assert isinstance(value, bytes | str)
    if isinstance(value, str):
        return [value + "x", ""]
    flipped = [value[:i] + bytes([value[i] ^ 1]) + value[i + 1 :] for i in range(0, len(value), 7)]
    return [*flipped, b"", value + b"\x00", 5, "text", value.hex()]


@pytest.mark.parametrize("table", ["block", "message", "meta"])
def test_every_other_value_of_every_column_of_every_row_is_noticed(ledger, damaged, table):
    keys = {"block": ["sequence"], "message": ["sequence", "position"], "meta": ["key"]}[table]
    path = damaged / database.LEDGER_FILE
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        cursor = connection.execute(f"SELECT * FROM {table}")
        columns = [column[0] for column in cursor.description]
        rows = [dict(zip(columns, row, strict=True)) for row in cursor.fetchall()]
    whole, tried = path.read_bytes(), 0
    for row in [rows[0], rows[-1]] if table != "meta" else rows:
        where = " AND ".join(f"{key} = :{key}" for key in keys)
        for column, value in row.items():
            for other in [*other_values(value), None]:
                try:
                    with closing(sqlite3.connect(path)) as connection, connection:
                        connection.execute("PRAGMA synchronous = OFF")
                        query = f"UPDATE {table} SET {column} = :other WHERE {where}"
                        connection.execute(query, {**row, "other": other})
                except sqlite3.IntegrityError:
                    continue
                found = check(damaged)
                assert not found.ok, (table, column, row, other)
                assert found.reason
                path.write_bytes(whole)
                tried += 1
    assert tried > 20
    assert check(damaged).ok


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM block WHERE sequence = 2",
        "DELETE FROM block WHERE sequence = 0",
        "DELETE FROM block WHERE sequence = 4",
        "DELETE FROM block",
        "DELETE FROM message WHERE sequence = 2 AND position = 1",
        "DELETE FROM message WHERE sequence = 4",
        "DELETE FROM meta WHERE key = 'head'",
        "DELETE FROM meta",
        "INSERT INTO meta VALUES ('more', x'00')",
        "INSERT INTO message VALUES (9, 0, x'00', x'00', x'00')",
        "INSERT INTO message VALUES (3, 9, x'00', x'00', x'00')",
        "UPDATE meta SET value = (SELECT hash FROM block WHERE sequence = 1) WHERE key = 'head'",
        "UPDATE block SET sequence = 5 - sequence WHERE sequence IN (0, 5)",
        "INSERT INTO block SELECT 5, x'00', height, parent, address, work, header, messages,"
        " public_key, signature, arrived_ms, seal FROM block WHERE sequence = 4",
        "DROP INDEX message_of_identity",
        "DROP TABLE message",
        "CREATE TABLE more (a)",
    ],
)
def test_missing_and_added_rows_tables_and_heads_are_noticed(damaged, statement):
    with closing(sqlite3.connect(damaged / database.LEDGER_FILE)) as connection, connection:
        if connection.execute(statement).rowcount == 0:
            connection.execute("UPDATE block SET sequence = 9 WHERE sequence = 4")
    found = check(damaged)
    assert not found.ok
    assert found.reason


def test_a_head_that_is_no_block_is_noticed_even_under_a_fitting_seal(damaged):
    with closing(sqlite3.connect(damaged / database.LEDGER_FILE)) as connection, connection:
        (last,) = connection.execute("SELECT seal FROM block WHERE sequence = 4").fetchone()
        stray, keeping = b"h" * 32, database.read_meta(connection)["keeping"]
        seal = database.journal_seal(last, stray, keeping)
        database.write_meta(connection, head=stray, seal=seal)
    assert check(damaged).reason == "head: 68686868 is no block of this ledger"


def test_two_blocks_that_change_places_are_noticed(damaged):
    with closing(sqlite3.connect(damaged / database.LEDGER_FILE)) as connection, connection:
        for old, new in ((1, 99), (2, 1), (99, 2)):
            for table in ("block", "message"):
                query = f"UPDATE {table} SET sequence = ? WHERE sequence = ?"
                connection.execute(query, (new, old))
    found = check(damaged)
    assert (found.ok, found.reason.split(":")[0]) == (False, "seal")


def test_a_database_cut_at_any_page_or_filled_with_noise_is_a_failed_verification(damaged):
    path = damaged / database.LEDGER_FILE
    whole = path.read_bytes()
    for size in (*range(0, len(whole), 4096), 100, len(whole) - 1):
        path.write_bytes(whole[:size])
        found = check(damaged)
        assert not found.ok
        assert found.reason
    for start in range(0, len(whole), 4096):
        path.write_bytes(whole[:start] + b"\xa5" * 4096 + whole[start + 4096 :])
        assert not check(damaged).ok
    path.unlink()
    assert "has no ledger" in check(damaged).reason
    assert not path.exists()


def test_a_folder_that_may_not_be_written_is_verified_and_left_as_it_is(ledger, tmp_path):
    folder = tmp_path / "frozen"
    shutil.copytree(ledger[0], folder)
    everything = [folder, *folder.rglob("*")]
    before = {p: (p.stat().st_mtime_ns, p.is_file() and p.read_bytes()) for p in everything}
    for path in everything:
        path.chmod(stat.S_IRUSR | (stat.S_IXUSR if path.is_dir() else 0))
    assert check(folder).ok
    for path in everything:
        path.chmod(0o700)
    after = [folder, *folder.rglob("*")]
    assert {p: (p.stat().st_mtime_ns, p.is_file() and p.read_bytes()) for p in after} == before


def test_a_log_that_a_killed_process_left_is_read_and_left(tmp_path):
    with Store.create(tmp_path / "a", WORLD.rules, WORLD.genesis, WORLD.state) as store:
        chain = WORLD.chain()
        WORLD.grow(chain, 2, store)
        store.flush()
        shutil.copytree(tmp_path / "a", tmp_path / "b")
    (tmp_path / "b" / "ledger.sqlite-shm").unlink()
    names_before = sorted(p.name for p in (tmp_path / "b").iterdir())
    assert "ledger.sqlite-wal" in names_before
    found = check(tmp_path / "b")
    assert (found.ok, found.blocks) == (True, 2)
    assert sorted(p.name for p in (tmp_path / "b").iterdir()) == names_before


def test_wrong_weights_stored_with_fitting_hashes_are_recomputed_and_refused(tmp_path):
    def shifted(state, messages):
        after = step(state, messages)
        weights = after.weights.copy()
        weights[3] += 2.0**-52
        return type(after)(weights, after.memory)

    chain = WORLD.chain(transition=shifted)
    with Store.create(tmp_path / "ledger", WORLD.rules, WORLD.genesis, WORLD.state) as store:
        for _ in range(2):
            after = shifted(chain.state(chain.head), WORLD.messages(chain.head, chain.height + 1))
            block = WORLD.block(chain, after=after)
            chain.add(block, 9000)
            store.append(block, chain.state(chain.head), 9000)
    refused(tmp_path / "ledger", chain.path()[1], 1, "weights are not the aggregate of its messag")


def test_rules_that_no_step_can_be_made_of_fail_the_verification(ledger):
    def unknown(rules):
        raise ValueError("no aggregation called 'mean'")

    found = verify(ledger[0], unknown)
    assert (found.ok, found.reason) == (False, "no aggregation called 'mean'")


def test_a_ledger_of_another_genesis_state_is_refused(tmp_path):
    other = make_world(max_norm=50.0)
    with Store.create(tmp_path / "ledger", WORLD.rules, other.genesis, other.state):
        pass
    refused(tmp_path / "ledger", other.chain_id, 0, "genesis: is not the block that the rules")


def test_tampering_never_touches_what_is_there(ledger, tmp_path):
    (tmp_path / "there").mkdir()
    with pytest.raises(RunError, match="is there already"):
        tamper(ledger[0], tmp_path / "there", 1, "nonce")
    with pytest.raises(ValueError, match="there is no 'nonse'; did you mean nonce"):
        tamper(ledger[0], tmp_path / "new", 1, "nonse")
    with pytest.raises(ValueError, match="block: there is no block 9; allowed: 0 to"):
        tamper(ledger[0], tmp_path / "new", 9, "nonce")
    with pytest.raises(ValueError, match="block 0 has no messages"):
        tamper(ledger[0], tmp_path / "new", 0, "message.norm")
    with pytest.raises(RunError, match="has no ledger"):
        tamper(tmp_path, tmp_path / "new", 1, "nonce")
    assert not (tmp_path / "new").exists()


def test_verification_checks_each_signature_and_makes_each_step_once(tmp_path, monkeypatch):
    signatures, steps = [], []

    def signed(public_key, signature, message):
        signatures.append(signature)
        return signature_is_good(public_key, signature, message)

    def stepped(state, messages):
        steps.append(messages)
        return step(state, messages)

    signature_is_good = validity.is_signature
    monkeypatch.setattr(validity, "is_signature", signed)
    write(tmp_path / "ledger", blocks=29)
    signatures.clear()
    assert verify(tmp_path / "ledger", lambda _: stepped).blocks == 30
    assert len(steps) == 30
    assert len(signatures) == len(set(signatures)) == 29 * 4  # the stale block carries two of them


def test_a_head_with_less_work_than_another_block_is_refused(damaged):
    with Store.open(damaged) as store:
        store.set_head(next(store.blocks()).header.hash)
    found = check(damaged)
    assert not found.ok
    assert "less work than another block" in found.reason
