"""--secret FILE, and what verify says of the seed."""

from __future__ import annotations

import json
from types import SimpleNamespace

import pytest
from command_line import call

SCENARIO = """
version: 1
name: tiny
rounds: 2
task: {kind: breast_cancer}
nodes: {holders: 5, compute: 2}
privacy: {kind: gaussian, epsilon: 8.0, delta: 1e-4, clip: 1.0}
aggregation: {kind: mean}
ledger: {work: {kind: hashcash, difficulty_bits: 4}}
"""


@pytest.fixture(scope="module")
def done(tmp_path_factory) -> SimpleNamespace:
    place = tmp_path_factory.mktemp("secret")
    scenario = place / "tiny.yaml"
    scenario.write_text(SCENARIO)
    told = call("run", scenario, "--out", place, "--secret", place / "file", "--format", "json")
    assert told.code == 0, told.err
    return SimpleNamespace(scenario=scenario, place=place, folder=next(place.glob("tiny-*")))


def test_a_dry_run_makes_no_secret(done, tmp_path):
    file = tmp_path / "file"
    assert call("run", done.scenario, "--dry-run", "--secret", file).code == 0
    assert not file.exists()


@pytest.mark.parametrize("command", ["resume", "audit"])
def test_resume_and_audit_ask_for_the_secret_in_one_line(done, command):
    told = call(command, done.folder)
    assert told.code == 2
    assert told.err.strip().splitlines() == [
        f"{done.folder}: was begun with --secret; give the same file: --secret FILE"
    ]


def test_the_right_file_is_taken_and_a_wrong_one_named(done, tmp_path):
    assert call("resume", done.folder, "--secret", done.place / "file").code == 0
    wrong = tmp_path / "wrong"
    wrong.write_text("0" * 64 + "\n")
    wrong.chmod(0o600)
    told = call("resume", done.folder, "--secret", wrong)
    assert told.code == 2
    assert f"{wrong}: is not the secret of {done.folder}" in told.err
    assert "0" * 64 not in told.err


def test_an_interrupted_run_is_continued_by_the_command_that_is_shown(done, tmp_path, monkeypatch):
    from fedchain.runs import rounds

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(rounds, "stop_if_asked", interrupted)
    file = tmp_path / "file"
    told = call("run", done.scenario, "--out", tmp_path, "--secret", file, "--format", "json")
    assert told.code == 130
    assert f"--secret {file}" in told.err
    again = call("run", done.scenario, "--out", tmp_path, "--secret", file)
    assert again.code == 2
    assert f"--secret {file}" in again.err


def test_verify_says_whether_the_seed_is_secret(done, tmp_path):
    told = call("verify", done.folder)
    assert told.code == 0
    assert "the seed is secret (--secret)" in told.out
    assert call("run", done.scenario, "--out", tmp_path, "--format", "json").code == 0
    (folder,) = tmp_path.glob("tiny-*")
    assert "the seed stands in this folder" in call("verify", folder).out
    values = json.loads(call("verify", folder, "--format", "json").out)
    assert values["ok"]
    assert "make and sign another chain" in values["notes"][0]
    file = tmp_path / "chain.fedchain"
    assert call("export", folder, "--out", file).code == 0
    assert "does not tell whether its seed is secret" in call("verify", file).out


def test_verify_names_the_key_that_differs(done, tmp_path):
    assert call("run", done.scenario, "--out", tmp_path, "--format", "json").code == 0
    (folder,) = tmp_path.glob("tiny-*")
    resolved = folder / "resolved.yaml"
    resolved.write_text(
        resolved.read_text("utf-8").replace("epsilon: 8.0", "epsilon: 4.0"), "utf-8"
    )
    told = call("verify", folder)
    assert told.code == 5
    assert "genesis: privacy.epsilon: is 8; the scenario says 4" in told.out
