"""The list of runs, the comparison of two, and how runs are deleted."""

import json
import shutil
from pathlib import Path

import pytest
from command_line import call
from made_up import make_sweep
from small_runs import small

import fedchain
from fedchain.results import RunFolder


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("made")
    for seed in (0, 1):
        fedchain.run(small(rounds=3, seed=seed, **{"privacy.epsilon": 30.0 + seed}), out=folder)
    return folder


@pytest.fixture
def folder(made, tmp_path):
    shutil.copytree(made, tmp_path / "runs")
    return tmp_path / "runs"


def listed(folder: Path) -> list[dict]:
    return json.loads(call("runs", "--in", folder, "--format", "json").out)["runs"]


def test_each_run_is_a_row_with_what_its_summary_says(folder):
    rows = listed(folder)
    assert [row["name"] for row in rows] == sorted(path.name for path in folder.iterdir())
    told = fedchain.Run.open(folder / rows[0]["name"]).summary()
    assert rows[0]["status"] == "finished"
    assert rows[0]["rounds"] == "3/3"
    assert rows[0]["value"] == told["metrics"]["accuracy"]
    assert rows[0]["epsilon"] == told["epsilon"]["total"]
    assert (rows[0]["byzantine"], rows[0]["byzantine_used"]) == (
        2,
        told["messages"]["byzantine_used"],
    )
    assert rows[0]["bytes"] == sum(
        f.stat().st_size for f in (folder / rows[0]["name"]).rglob("*") if f.is_file()
    )
    printed = call("runs", "--in", folder, "--format", "plain").out
    assert "accuracy" in printed
    assert "2 folders in" in printed


def test_a_killed_run_says_how_far_it_came_and_a_damaged_one_what_is_wrong(folder):
    first, second = sorted(folder.iterdir())
    manifest = json.loads((first / "manifest.json").read_text())
    manifest |= {"status": "running", "height": 0, "ended": None}
    (first / "manifest.json").write_text(json.dumps(manifest))
    (second / "manifest.json").write_text("{}")
    (folder / "notes").mkdir()
    killed, damaged = listed(folder)
    assert (killed["status"], killed["rounds"]) == ("interrupted", "3/3")
    assert killed["epsilon"] > 0
    assert damaged["status"] == "unreadable"
    assert "format must be" in damaged["problem"]


def test_a_sweep_is_a_row_with_its_points(tmp_path):
    make_sweep(tmp_path / "mine")
    (row,) = listed(tmp_path)
    assert (row["kind"], row["status"], row["score"]) == ("sweep", "9 of 10 points", "accuracy")


def test_a_folder_that_is_no_folder_of_runs_is_refused(folder):
    for wrong in (folder / "none", next(folder.iterdir())):
        told = call("runs", "--in", wrong)
        assert told.code == 2
        assert len(told.err.splitlines()) == 1


def test_two_runs_are_compared_by_what_they_were_asked_and_what_came_out(folder):
    first, second = sorted(folder.iterdir())
    told = json.loads(call("runs", "compare", first, second, "--format", "json").out)
    seeds = sorted(told["asked"]["seed"])
    assert seeds == [0, 1]
    assert sorted(told["asked"]["privacy.epsilon"]) == [30.0, 31.0]
    assert len(told["asked"]) == 2
    metrics = [fedchain.Run.open(run).summary()["metrics"]["accuracy"] for run in (first, second)]
    assert told["found"]["accuracy"] == metrics
    assert "asked: the same" in call("runs", "compare", first, first).out


def test_nothing_is_deleted_without_an_answer(folder):
    run = next(folder.iterdir())
    told = call("runs", "delete", run)
    assert told.code == 2
    assert "nobody can be asked" in told.err
    assert run.is_dir()


def test_what_is_deleted_is_gone_and_nothing_else(folder):
    first, second = sorted(folder.iterdir())
    told = json.loads(call("runs", "delete", first, "--yes", "--format", "json").out)
    assert told["deleted"] == [str(first)]
    assert list(folder.iterdir()) == [second]


def test_a_run_in_use_a_link_and_another_folder_are_not_deleted(folder, tmp_path):
    run = next(folder.iterdir())
    (tmp_path / "link").symlink_to(run)
    (tmp_path / "notes").mkdir()
    lock = RunFolder(run)
    lock.lock()
    try:
        told = [
            call("runs", "delete", each, "--yes")
            for each in (run, tmp_path / "link", tmp_path / "notes")
        ]
    finally:
        lock.unlock()
    assert [each.code for each in told] == [2, 2, 2]
    words = ["another process is running it", "is a link", "is no run and no sweep"]
    assert all(word in each.err for word, each in zip(words, told, strict=True))
    assert run.is_dir()


def test_a_sweep_whose_run_goes_on_is_not_deleted(folder, tmp_path):
    make_sweep(tmp_path / "sweep")
    run = next((tmp_path / "sweep" / "runs").iterdir())
    lock = RunFolder(run)
    lock.lock()
    try:
        assert call("runs", "delete", tmp_path / "sweep", "--yes").code == 2
    finally:
        lock.unlock()
    assert call("runs", "delete", tmp_path / "sweep", "--yes").code == 0
    assert not (tmp_path / "sweep").exists()
