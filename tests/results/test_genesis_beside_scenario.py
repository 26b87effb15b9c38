"""verify compares the scenario in a run folder with what genesis says was agreed."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from small_runs import small

from fedchain.results import Run
from fedchain.results.agreed import FOREIGN, UNREAD
from fedchain.runs.running import run


@pytest.fixture(scope="module")
def done(tmp_path_factory) -> Run:
    return run(small(2), tmp_path_factory.mktemp("agreed"))


def edited(done: Run, folder: Path, old: str, new: str) -> Run:
    """Return a copy of a run in whose scenario a text is replaced."""
    shutil.copytree(done.folder, folder)
    file = folder / "resolved.yaml"
    text = file.read_text("utf-8")
    assert old in text
    file.write_text(text.replace(old, new, 1), "utf-8")
    return Run.open(folder)


def test_a_folder_whose_scenario_is_that_of_genesis_verifies(done):
    found = done.verify()
    assert found.ok
    assert UNREAD in found.unchecked
    assert "the seed stands in this folder" in found.notes[0]


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("epsilon: 30.0", "epsilon: 4.0", "genesis: privacy.epsilon: is 30; the scenario says 4"),
        ("keep: 7", "keep: 6", "genesis: aggregation.keep: is 7; the scenario says 6"),
        (
            "held_out: 0.25",
            "held_out: 0.5",
            "genesis: task.held_out: is 0.25; the scenario says 0.5",
        ),
        ("rounds: 2", "rounds: 3", "genesis: ledger.rounds: is 2; the scenario says 3"),
        ("clip: 1.0", "clip: [", "resolved.yaml"),
        ("version: 1", "extends: other.yaml\nversion: 1", "must hold every value itself"),
    ],
)
def test_a_folder_with_another_scenario_is_refused_with_each_key_that_differs(
    done, tmp_path, old, new, words
):
    found = edited(done, tmp_path / "copy", old, new).verify()
    assert not found.ok
    assert words in found.reason


def test_every_key_that_differs_is_named(done, tmp_path):
    found = edited(done, tmp_path / "copy", "epsilon: 30.0", "epsilon: 4.0").verify()
    assert "privacy.epsilon" in found.reason
    assert "privacy.noise[0]" in found.reason


def test_what_is_not_agreed_may_change(done, tmp_path):
    assert edited(done, tmp_path / "copy", "every: 1", "every: 2").verify().ok


def test_a_scenario_that_names_somebodys_code_is_not_read_unless_it_is_trusted(
    done, tmp_path, monkeypatch
):
    (tmp_path / "my_evil_lab.py").write_text("raise SystemExit('it ran')\n")
    monkeypatch.syspath_prepend(tmp_path)
    other = edited(done, tmp_path / "copy", "kind: breast_cancer", 'kind: "my_evil_lab:task"')
    found = other.verify()
    assert found.ok
    assert FOREIGN in found.unchecked
    assert "names code of somebody's own" in str(found)


def test_a_lost_scenario_is_a_failed_verification(done, tmp_path):
    copy = edited(done, tmp_path / "copy", "every: 1", "every: 1")
    (copy.folder / "resolved.yaml").unlink()
    found = copy.verify()
    assert not found.ok
    assert "resolved.yaml" in found.reason
