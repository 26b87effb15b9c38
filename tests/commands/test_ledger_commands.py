from __future__ import annotations

import contextlib
import errno
import json
import os
import re
import shutil
import sqlite3
import sys
from pathlib import Path

import pytest
from command_line import call
from ledger_world import make_world

from fedchain.commands.formats import jsonable
from fedchain.ledger.storage import store
from fedchain.ledger.storage.store import Store
from fedchain.ledger.tools.tampering import DAMAGEABLE
from fedchain.results import LEDGER, Run, RunFolder, tables
from fedchain.results.agreed import OPEN

SCENARIO = """
version: 1
name: small
rounds: 3
task: {kind: breast_cancer}
nodes: {holders: 4, compute: [{hash_share: 1}, {hash_share: 1e-6}]}
privacy: {kind: gaussian, epsilon: 8.0, delta: 1e-4, clip: 1.0}
aggregation: {kind: l_nearest, keep: 3}
update: {kind: momentum, learning_rate: 0.1}
ledger: {work: {kind: hashcash, difficulty_bits: 4}}
attacks: [{kind: sign_flip, holders: [3]}]
"""

"""One of the two compute nodes makes all blocks, so that no block is ever stale."""


def begin(folder: Path, *arguments: str) -> Run:
    file = folder / "small.yaml"
    file.write_text(SCENARIO)
    told = call("run", file, "--out", folder / "runs", "--format", "json", *arguments)
    return Run.open(json.loads(told.out)["run"])


@pytest.fixture(scope="module")
def done(tmp_path_factory) -> Run:
    return begin(tmp_path_factory.mktemp("done"))


def in_json(*arguments: object) -> dict[str, object]:
    told = call(*arguments, "--format", "json")
    assert (told.code, told.err) == (0, "")
    return json.loads(told.out)


def unfinished(done: Run, folder: Path) -> Path:
    """A copy whose process was killed after its first round."""
    copy = folder / "copy"
    shutil.copytree(done.folder, copy)
    run_folder = RunFolder(copy)
    run_folder.write_manifest({**run_folder.manifest, "status": "running", "head": None})
    lines = (copy / "events.ndjson").read_bytes().splitlines(keepends=True)
    (copy / "events.ndjson").write_bytes(b"".join(lines[:6]) + b'{"event": "mess')
    return copy


def test_a_good_run_verifies_in_json_and_in_words(done):
    told = call("verify", done.folder, "--format", "json")
    assert (told.code, told.err) == (0, "")
    found = json.loads(told.out)
    assert (found.pop("ok"), found.pop("blocks")) == (True, 3)
    head = done.manifest["head"]
    assert (found.pop("height"), found.pop("head"), found.pop("notes")) == (3, head, [OPEN])
    checks = found.pop("checks")
    assert {each["result"] for each in checks} == {"ok", "not checked"}
    asked = [f"{c['what']}: {c['words']}" for c in checks if c["result"] == "not checked"]
    assert found == {"unchecked": asked}
    assert [each.split(":")[0] for each in asked] == ["messages", "measured", "other files"]
    told = call("verify", done.folder, "--format", "plain")
    assert (told.code, told.out.split(",")[0]) == (0, "ok: 3 blocks verified")
    assert f"\nhead {head}\n" in told.out


@pytest.mark.parametrize("field", DAMAGEABLE)
def test_whatever_is_damaged_verify_is_exit_5_and_names_block_and_reason(done, tmp_path, field):
    copy = tmp_path / "copy"
    told = call("tamper", done.folder, "--block", 2, "--field", field, "--out", copy)
    assert told.code == 0
    told = call("verify", copy, "--format", "json")
    assert (told.code, told.err) == (5, "")
    found = json.loads(told.out)
    assert found.keys() >= {"ok", "blocks", "height", "block", "reason", "checks"}
    assert not found["ok"]
    assert found["reason"]
    if field not in {"head", "column.sequence"}:  # those damage the order of the blocks
        assert re.fullmatch("[0-9a-f]{64}", found["block"])
        named = {"height": {2, 3}, "column.height": {2, 3}}.get(field, {2})
        assert found["height"] in named
        assert found["blocks"] == 1
    assert call("verify", done.folder).code == 0


def test_a_failure_is_told_in_words_too(done, tmp_path):
    copy = tmp_path / "copy"
    call("tamper", done.folder, "--block", 2, "--field", "weights", "--out", copy)
    told = call("verify", copy, "--format", "plain")
    assert told.code == 5
    assert re.match(r"FAILED: block [0-9a-f]{8} \(height 2\): blob", told.out)


def test_a_manifest_that_names_another_head_is_exit_5(done, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(done.folder, copy)
    folder = RunFolder(copy)
    folder.write_manifest({**folder.manifest, "head": "ab" * 32})
    told = call("verify", copy, "--format", "json")
    assert told.code == 5
    assert "manifest.json names abababab" in json.loads(told.out)["reason"]


def test_an_unfinished_run_verifies_and_can_be_looked_into(done, tmp_path):
    copy = unfinished(done, tmp_path)
    before = {file: file.read_bytes() for file in copy.rglob("*") if file.is_file()}
    assert in_json("verify", copy)["ok"]
    seen = in_json("inspect", copy)
    assert (seen["status"], len(seen["rounds"])) == ("running", 1)
    assert len(in_json("inspect", copy, "block", 1)["messages"]) == 4
    assert {file: file.read_bytes() for file in copy.rglob("*") if file.is_file()} == before


def test_after_a_kill_the_rounds_are_those_of_the_ledger_not_of_the_events(done, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(done.folder, copy)
    run_folder = RunFolder(copy)
    run_folder.write_manifest({**run_folder.manifest, "status": "running", "head": None})
    with contextlib.closing(sqlite3.connect(copy / LEDGER / "ledger.sqlite")) as ledger, ledger:
        last = "(SELECT max(sequence) FROM block)"
        ledger.execute(f"DELETE FROM message WHERE sequence = {last}")
        ledger.execute(f"DELETE FROM block WHERE sequence = {last}")
    assert len(Run.open(copy).metrics) == 3
    assert [row["height"] for row in in_json("inspect", copy)["rounds"]] == [1, 2]
    assert "running, 2 rounds" in call("inspect", copy, "--format", "plain").out


def test_a_block_is_shown_without_the_messages_and_blobs_of_others(done, monkeypatch):
    parsed, read = list[str](), list[int]()
    event_of, read_block = tables.event_of, store.read_block
    monkeypatch.setattr(
        tables, "event_of", lambda line, *at: parsed.append(line[:19]) or event_of(line, *at)
    )
    monkeypatch.setattr(
        store, "read_block", lambda *asked: read.append(asked[2].height) or read_block(*asked)
    )
    seen = in_json("inspect", done.folder, "block", 2)
    assert [message["holder"] for message in seen["messages"]].count(None) == 0
    assert parsed.count(b'{"event": "message"') == len(seen["messages"]) == 4
    assert read == [2]


def test_a_finished_run_is_told_without_loading_what_a_run_needs(done, monkeypatch):
    monkeypatch.setitem(sys.modules, "fedchain.runs.running", None)
    monkeypatch.setitem(sys.modules, "fedchain.runs.manifest", None)
    told = call("resume", done.folder, "--format", "json")
    assert (told.code, json.loads(told.out)) == (0, jsonable(done.summary()))


def test_verifying_what_is_no_run_is_exit_2_and_a_run_without_its_ledger_fails(done, tmp_path):
    for folder in (tmp_path / "nowhere", tmp_path):
        told = call("verify", folder)
        assert (told.code, told.out, len(told.err.splitlines())) == (2, "", 1)
    copy = tmp_path / "copy"
    shutil.copytree(done.folder, copy)
    shutil.rmtree(copy / LEDGER)
    told = call("verify", copy, "--format", "json")
    assert told.code == 5
    assert "has no ledger" in json.loads(told.out)["reason"]


def test_a_copy_is_damaged_and_the_run_is_not(done, tmp_path):
    before = {file: file.read_bytes() for file in done.folder.rglob("*") if file.is_file()}
    copy = tmp_path / "copy"
    assert in_json("tamper", done.folder, "--field", "nonce", "--out", copy)
    assert {file: file.read_bytes() for file in done.folder.rglob("*") if file.is_file()} == before
    assert (copy / "manifest.json").read_bytes() == before[done.folder / "manifest.json"]


def test_the_fields_that_can_be_damaged_are_listed(done, tmp_path):
    told = call("tamper", done.folder, "--field", "list", "--out", tmp_path / "copy")
    assert told.out.split() == list(DAMAGEABLE)
    assert not (tmp_path / "copy").exists()


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["--field", "weigts"], "weights"),
        (["--block", "9"], "there is no block 9"),
        (["--block", "0", "--field", "message.norm"], "block 0 has no messages"),
    ],
)
def test_what_cannot_be_damaged_is_exit_2_and_leaves_no_copy(done, tmp_path, arguments, text):
    told = call("tamper", done.folder, *arguments, "--out", tmp_path / "copy")
    assert told.code == 2
    assert text in told.err
    assert not (tmp_path / "copy").exists()
    told = call("tamper", done.folder, "--out", tmp_path)
    assert (told.code, "is there already" in told.err) == (2, True)


def test_a_copy_that_finds_no_room_ends_with_words(done, tmp_path, monkeypatch):
    copied = shutil.copyfileobj

    def full(source, target):
        if Path(source.name).name == "events.ndjson":
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return copied(source, target)

    monkeypatch.setattr(shutil, "copyfileobj", full)
    told = call("tamper", done.folder, "--out", tmp_path / "copy")
    assert told.code == 1
    assert "cannot be written: No space left" in told.err
    assert not (tmp_path / "copy").exists()


def test_the_chain_has_a_row_a_round(done):
    seen = in_json("inspect", done.folder)
    assert (seen["status"], seen["run"]) == ("finished", str(done.folder))
    assert [row["height"] for row in seen["rounds"]] == [1, 2, 3]
    told = call("inspect", done.folder, "--format", "plain")
    assert [row["block"][:8] in told.out for row in seen["rounds"]] == [True] * 3


def test_a_block_is_found_by_height_and_by_the_start_of_its_hash(done):
    name = done.metrics[1]["block"]
    by_height = in_json("inspect", done.folder, "block", 2)
    assert by_height["hash"] == name
    assert in_json("inspect", done.folder, "block", name[:8]) == by_height
    with Store.open(done.folder / LEDGER, writable=False) as store:
        block = store.block(bytes.fromhex(name))
    assert by_height["header"]["weights_hash"] == block.header.weights_hash.hex()
    assert [m["norm"] for m in by_height["messages"]] == [m.norm for m in block.messages]
    assert {m["holder"] for m in by_height["messages"]} == {0, 1, 2, 3}
    assert in_json("inspect", done.folder, "block", 0)["messages"] == []
    assert name in call("inspect", done.folder, "block", 2, "--format", "plain").out


def test_a_round_shows_what_became_of_every_message(done):
    seen = in_json("inspect", done.folder, "round", 3)
    assert (seen["round"], len(seen["told"])) == (3, 4)
    assert {row["attack"] for row in seen["told"] if row["holder"] == 3} == {"sign_flip"}
    head, columns, *rows = call(
        "inspect", done.folder, "round", 3, "--format", "plain"
    ).out.splitlines()
    captured = sum(row["share"] for row in seen["told"] if row["attack"])
    assert seen["byzantine_share"] == pytest.approx(captured, abs=1e-8)
    assert f"attackers sent 1 (25.0%) and had {captured:.1%} of the gradient" in head
    assert seen["judged_by"] == "cosine with the sum"
    assert columns.split()[4:8] == ["cosine", "with", "the", "sum"]
    used = [row.split() for row in rows if row.strip() and "unused" not in row]
    of_holder = {f"h{row['holder']}": row for row in seen["told"]}
    for _, who, *_, share, score, _, _ in used:
        assert float(share) == pytest.approx(of_holder[who]["share"], abs=5e-4)
        assert float(score) == pytest.approx(of_holder[who]["score"], rel=1e-3)


def test_a_node_shows_its_history(done):
    seen = in_json("inspect", done.folder, "node", "h3")
    assert [row["round"] for row in seen["messages"]] == [1, 2, 3]
    mined = [in_json("inspect", done.folder, "node", f"c{node}")["blocks"] for node in (0, 1)]
    assert mined == [[1, 2, 3], []]
    spent = f"epsilon {done.manifest['epsilon']['total']:.2f}"
    assert spent in call("inspect", done.folder, "node", "h3", "--format", "plain").out


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["blok", "1"], "block"),
        (["block"], "which one?"),
        (["block", "9"], "from 0 to 3"),
        (["block", "ffffffffffff"], "there is no block"),
        (["round", "9"], "1 to 3"),
        (["node", "x1"], "h3 for holder 3"),
        (["node", "c2"], "c0 to c1"),
        (["node", "h4"], "h0 to h3"),
        (["node", "h"], "h3 for holder 3"),
        (["node", "root"], "root has sent nothing"),
    ],
)
def test_what_is_not_in_a_run_is_exit_2_and_says_what_is(done, arguments, text):
    told = call("inspect", done.folder, *arguments)
    assert (told.code, told.out) == (2, "")
    assert text in told.err


def test_where_nothing_is_promised_no_epsilon_is_shown(tmp_path):
    plain = begin(tmp_path, "--set", "privacy={kind: none}")
    told = call("inspect", plain.folder, "node", "h0", "--format", "plain")
    assert "epsilon -" in told.out
    again = call(
        "run", tmp_path / "small.yaml", "--out", tmp_path / "runs", "--set", "privacy={kind: none}"
    )
    assert "privacy   none was asked for" in again.out


def proof_of(done: Run, folder: Path) -> Path:
    message = in_json("inspect", done.folder, "block", 2)["messages"][1]["id"]
    told = call("prove", done.folder, "--message", message[:8], "-o", folder / "proof.json")
    assert (told.code, told.err) == (0, "")
    assert f"message {message} is in block {done.metrics[1]['block']}" in told.out
    return folder / "proof.json"


def test_a_proof_is_checked_without_the_run(done, tmp_path):
    file, block = proof_of(done, tmp_path), done.metrics[1]["block"]
    shown = in_json("check-proof", file, "--header", block)
    assert (shown["ok"], shown["block"], shown["height"]) == (True, block, 2)
    assert shown["checked"] == ["path", "id", "rules", "signature", "identity", "work"]
    said = in_json("inspect", done.folder, "block", 2)["messages"][1]
    assert (shown["message"], shown["norm"]) == (said["id"], said["norm"])
    told = call("check-proof", file, "--format", "plain")
    assert (told.code, told.out.splitlines()[1]) == (0, f"is in block {block} (height 2)")
    assert "compare the block's hash with one that you trust" in told.out
    told = call("prove", done.folder, "--message", said["id"])
    assert told.out == file.read_text()


def test_a_proof_that_fails_is_exit_5_and_one_line(done, tmp_path):
    file, block = proof_of(done, tmp_path), done.metrics[0]["block"]
    told = call("check-proof", file, "--header", block, "--format", "plain")
    assert (told.code, len(told.out.splitlines()), told.err) == (5, 1, "")
    assert told.out.startswith("FAILED: header: the proof is of block")
    proof = json.loads(file.read_text())
    proof["id"] = "00" * 32
    file.write_text(json.dumps(proof, indent=2) + "\n")
    told = call("check-proof", file, "--format", "json")
    assert told.code == 5
    assert "id: is 00000000; the message's is" in json.loads(told.out)["reason"]
    file.write_text("{}")
    assert call("check-proof", file).code == 5


def test_what_cannot_be_proved_or_read_says_so(done, tmp_path):
    file = proof_of(done, tmp_path)
    told = call("prove", done.folder, "--message", "0" * 64)
    assert (told.code, "no block of this ledger has 0000" in told.err) == (2, True)
    told = call("prove", done.folder, "--message", "h3")
    assert (told.code, "'h3' is no id; give 8 to 64" in told.err) == (2, True)
    told = call("prove", tmp_path, "--message", "0" * 64)
    assert (told.code, "has no ledger" in told.err) == (2, True)
    told = call("check-proof", file, "--header", "abc")
    assert (told.code, "give 64 hexadecimal digits" in told.err) == (2, True)
    for unreadable in (tmp_path / "nowhere.json", tmp_path):
        told = call("check-proof", unreadable)
        assert (told.code, len(told.err.splitlines())) == (2, 1)
    name = json.loads(file.read_text())["id"]
    told = call("prove", done.folder, "--message", name, "-o", tmp_path)
    assert (told.code, "cannot be written" in told.err) == (2, True)
    assert "Example: fedchain prove" in call("prove", "--help").out


def test_a_proof_from_a_stale_block_says_so_on_stderr(tmp_path):
    world = make_world()
    chain = world.chain()
    lost, kept = world.block(chain), world.block(chain, holders=range(3))
    with Store.create(tmp_path / LEDGER, world.rules, world.genesis, world.state) as store:
        for block in (kept, lost):
            chain.add(block, block.header.time_ms)
            name = block.header.hash
            store.append(block, chain.state(name), block.header.time_ms)
    (only,) = {m.id for m in lost.messages} - {m.id for m in kept.messages}
    told = call("prove", tmp_path, "--message", only.hex())
    assert (told.code, json.loads(told.out)["block"]) == (0, lost.header.hash.hex())
    stale = lost.header.hash.hex()[:8]
    assert told.err == f"block {stale} is stale: the main chain has not this message\n"
    both = kept.messages[0].id
    told = call("prove", tmp_path, "--message", both.hex())
    assert (told.err, json.loads(told.out)["block"]) == ("", kept.header.hash.hex())
