"""What an older fedchain has written, made by hand: one line names the version and what to do."""

from __future__ import annotations

import hashlib
import json
import sqlite3
import sys
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace

import pytest
from command_line import call

from fedchain.results import Run
from fedchain.scenario import load, run_name

SCENARIO = """
version: 1
name: old
rounds: 1
task: {kind: breast_cancer}
nodes: {holders: 4, compute: 1}
privacy: {kind: gaussian, epsilon: 8.0, delta: 1e-4, clip: 1.0}
aggregation: {kind: l_nearest, keep: 3, scale: restore}
ledger: {work: {kind: hashcash, difficulty_bits: 4}}
attacks: [{kind: sign_flip, holders: [3], names: 1, from_round: 1, to_round: null}]
"""
"""With the keys that a scenario has in a folder of format 1."""
RULES = b"fedchain:r\0\0\0\x0f" + b'{"kind":"mean"}'
DO = "written by an older fedchain (format 1); this version reads format 2: run the scenario again"
COMMANDS = {
    "verify": lambda old: ("verify", old.folder),
    "verify as JSON": lambda old: ("verify", old.folder, "--format", "json"),
    "resume": lambda old: ("resume", old.folder),
    "inspect": lambda old: ("inspect", old.folder),
    "report": lambda old: ("report", old.folder),
    "audit": lambda old: ("audit", old.folder),
    "tamper": lambda old: ("tamper", old.folder, "--out", old.place / "damaged"),
    "export": lambda old: ("export", old.folder, "--out", old.place / "exported"),
    "prove": lambda old: ("prove", old.folder, "--message", "1:0"),
    "run into the folder": lambda old: ("run", old.scenario, "--out", old.folder.parent),
    "verify an imported chain": lambda old: ("verify", old.imported),
    "verify a chain file": lambda old: ("verify", old.chain),
    "import": lambda old: ("import", old.chain, "--out", old.place / "new"),
    "check-proof": lambda old: ("check-proof", old.proof),
}


@pytest.fixture
def old(tmp_path) -> SimpleNamespace:
    """A run folder, an imported chain, a chain file, a proof and a scenario, all of format 1."""
    scenario = tmp_path / "old.yaml"
    scenario.write_text(SCENARIO, "utf-8")
    folder, imported = tmp_path / "runs" / run_name(load(scenario)), tmp_path / "imported"
    for each in (folder, imported):
        write_ledger(each / "ledger")
    manifest = {"format": 1, "status": "finished", "name": "old", "seed": 0, "head": "ab" * 32}
    (folder / "manifest.json").write_text(json.dumps(manifest), "utf-8")
    (folder / "resolved.yaml").write_text(SCENARIO, "utf-8")
    (folder / "events.ndjson").write_text("", "utf-8")
    chain, proof = tmp_path / "old.fedchain", tmp_path / "proof.json"
    start = b"fedchain:x\0\1" + len(RULES).to_bytes(4) + RULES
    chain.write_bytes(start + hashlib.sha256(start).digest())
    said = {"format": "fedchain-proof-1", "block": "ab" * 32, "header": "", "rules": RULES.hex()}
    proof.write_text(json.dumps({**said, "id": "", "message": "", "path": []}, indent=2) + "\n")
    return SimpleNamespace(
        place=tmp_path,
        scenario=scenario,
        folder=folder,
        imported=imported,
        chain=chain,
        proof=proof,
    )


def write_ledger(folder: Path) -> None:
    folder.mkdir(parents=True)
    values = {"format": b"1", "head": bytes(32), "keeping": b"", "rules": RULES, "seal": bytes(32)}
    with closing(sqlite3.connect(folder / "ledger.sqlite")) as made, made:
        made.execute("CREATE TABLE meta (key TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID")
        made.executemany("INSERT INTO meta VALUES (?, ?)", values.items())


def files_below(place: Path) -> dict[Path, bytes]:
    return {file: file.read_bytes() for file in place.rglob("*") if file.is_file()}


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_says_the_version_and_what_to_do_in_one_line(old, name):
    before = files_below(old.place)
    told = call(*COMMANDS[name](old))
    assert told.code in (1, 2, 5)
    (line,) = (told.out + told.err).splitlines()
    assert DO in line
    assert "Traceback" not in line
    left = files_below(old.place)
    assert {file: left[file] for file in before} == before


@pytest.mark.parametrize("name", ["verify a chain file", "verify an imported chain", "check-proof"])
def test_in_json_the_line_is_the_reason(old, name):
    told = call(*COMMANDS[name](old), "--format", "json")
    assert (told.code, told.err) == (5, "")
    found = json.loads(told.out)
    assert (found["ok"], found["reason"].endswith(DO)) == (False, True)


def test_the_scenario_in_an_old_folder_is_run_again_as_it_stands(old):
    told = call("run", old.folder / "resolved.yaml", "--out", old.place / "again")
    assert told.code == 0, told.err
    told = call("run", old.scenario, "--out", old.folder.parent, "--force")
    assert told.code == 0, told.err
    assert Run.open(old.folder).verify().ok


@pytest.mark.parametrize(
    ("line", "code", "form"),
    [
        (
            'aggregation: {kind: "old_parts:rule"}',
            "def rule(directions, norms): return directions",
            "def rule(received, *, ..) -> Aggregate",
        ),
        (
            'attacks: [{kind: "old_parts:attack", holders: [3]}]',
            "def attack(release, generator): return -release",
            "def attack(view, *, ..)",
        ),
    ],
)
def test_a_scenario_with_a_part_of_the_old_form_is_refused_with_the_new_one(
    old, line, code, form, monkeypatch
):
    (old.place / "old_parts.py").write_text(code + "\n", "utf-8")
    monkeypatch.syspath_prepend(old.place)
    monkeypatch.delitem(sys.modules, "old_parts", raising=False)
    key = line.partition(":")[0]
    lines = [each for each in SCENARIO.splitlines() if not each.startswith(key)]
    old.scenario.write_text("\n".join([*lines, line]) + "\n", "utf-8")
    told = call("run", old.scenario, "--out", old.place / "again")
    assert told.code == 2
    assert form in told.err
    assert "Traceback" not in told.err


@pytest.mark.parametrize("version", ["0", "2", '"1"', "null"])
def test_a_scenario_of_another_version_says_which_one_is_read(old, version):
    text = SCENARIO.replace("version: 1", f"version: {version}")
    old.scenario.write_text(text, "utf-8")
    told = call("run", old.scenario, "--out", old.place / "again")
    assert told.code == 2
    assert "version: must be one of 1, got" in told.err
    assert "Traceback" not in told.err
