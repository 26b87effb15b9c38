from __future__ import annotations

import json
from pathlib import Path

import pytest
from command_line import call

from fedchain.privacy.mechanisms import gaussian

AUDIT = Path(__file__).parents[2] / "scenarios" / "audit.yaml"
FEW = ("--set", "task.each=60", "--set", "nodes.holders=10", "--set", "rounds=1")
"""In the first round the noise is that of any processor: its name has no hash of messages."""


def test_an_audit_is_one_json_object_with_its_files(tmp_path):
    told = call("audit", AUDIT, *FEW, "--out", tmp_path, "--attack", "canaries,one-run")
    found = call(
        "audit", AUDIT, *FEW, "--out", tmp_path, "--attack", "canaries", "--format", "json"
    )
    said = json.loads(found.out)
    assert (found.code, found.err, said["violated"], list(said["attacks"])) == (
        0,
        "",
        False,
        ["canaries"],
    )
    (folder,) = tmp_path.iterdir()
    kept = json.loads((folder / "audit.json").read_text())
    assert list(kept["attacks"]) == ["canaries", "one-run"]
    assert kept["attacks"]["canaries"] == said["attacks"]["canaries"]
    assert {Path(file).name for file in said["files"]} == {
        "audit.json",
        "claimed_and_measured.pdf",
        "claimed_and_measured.png",
    }
    assert all(Path(file).stat().st_size > 0 for file in said["files"])
    assert told.code == 0
    assert "ε measured, at least" in told.out
    assert "guesses" in told.out
    shown = " ".join(told.out.split())
    assert shown.count("cannot see an error smaller than the gap") == 2
    assert "no score for single rounds or holders" in shown


def test_a_bound_above_the_claim_is_exit_7(tmp_path, monkeypatch):
    module = __import__(gaussian.__module__, fromlist=["_"])
    true = module.normals
    monkeypatch.setattr(module, "normals", lambda *asked: true(*asked) / 20)
    told = call("audit", AUDIT, *FEW, "--out", tmp_path)
    assert told.code == 7
    assert "violated: epsilon 4 was claimed, and is at least" in told.err


def test_a_finished_run_is_audited_in_its_folder_and_no_option_changes_it(tmp_path):
    ran = call("run", AUDIT, *FEW, "--out", tmp_path, "--format", "json")
    folder = Path(json.loads(ran.out)["run"])
    found = call("audit", folder, "--attack", "one-run", "--format", "json")
    assert found.code == 0
    assert json.loads(found.out)["attacks"]["one-run"][0]["runs"] == [str(folder)]
    assert (folder / "audit.json").is_file()
    refused = call("audit", folder, *FEW)
    assert (refused.code, refused.err) == (
        2,
        f"{folder}: is a run; --set and --seed are for scenarios\n",
    )


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--attack", "guessing"), "--attack: no audit called 'guessing'; allowed: canaries"),
        (
            ("--epsilon", "1,two"),
            "--epsilon: must be numbers above 0 and below 1e6, or inf, got 1,two",
        ),
        (("--attack", ","), "--attack: no audit called ''; allowed: canaries"),
        (("--epsilon", "1,"), "--epsilon: must be numbers above 0 and below 1e6, or inf, got 1,"),
        (("--epsilon", ""), "--epsilon: must be numbers above 0 and below 1e6, or inf, got "),
        (("--set", "privacy.kind=none"), "privacy: promises no finite epsilon"),
        (("--attack", "membership", "--runs", "1"), "got 1; at least 2 are needed"),
        (("--attack", "inversion"), "canaries: its records are no pictures"),
    ],
)
def test_what_cannot_be_audited_is_exit_2_with_a_reason(options, words, tmp_path):
    refused = call("audit", AUDIT, *FEW, "--out", tmp_path, *options)
    assert refused.code == 2
    assert words in refused.err
