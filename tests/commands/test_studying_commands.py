import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from command_line import call
from made_up import make_run
from typer.testing import CliRunner

from fedchain.commands.studying import app

SCENARIO = """
version: 1
name: tiny
rounds: 2
task: {kind: breast_cancer}
nodes: {holders: 3, compute: 1}
privacy: {kind: gaussian, epsilon: 4.0, delta: 1e-4, clip: 1.0}
aggregation: {kind: l_nearest, keep: 2}
ledger: {work: {kind: hashcash, difficulty_bits: 4}}
sweep: {grid: {privacy.epsilon: [1, .inf]}, seeds: 2}
"""


@pytest.fixture
def scenario(tmp_path: Path) -> Path:
    file = tmp_path / "tiny.yaml"
    file.write_text(SCENARIO)
    return file


def test_a_dry_run_lists_the_points_and_leaves_nothing(scenario: Path, tmp_path: Path) -> None:
    out = tmp_path / "sweeps"
    arguments = ["sweep", str(scenario), "--out", str(out), "--dry-run", "--format", "json"]
    told = json.loads(CliRunner().invoke(app, arguments).stdout)
    assert [(p["privacy.epsilon"], p["seed"]) for p in told["points"]] == [
        ("1", 0),
        ("1", 1),
        ("inf", 0),
        ("inf", 1),
    ]
    assert not out.exists()
    assert told["finished"] == 0
    assert told["estimates"]["seconds"] > 0
    assert told["estimates"]["disk_mb"] > 0
    printed = CliRunner().invoke(app, arguments[:-2]).stdout.splitlines()
    assert printed[-1].startswith("about ")
    assert printed[-1].endswith(" on disk")


def test_what_a_sweep_found_is_in_its_json(scenario: Path, tmp_path: Path) -> None:
    arguments = ["sweep", scenario, "--out", tmp_path / "s", "--seeds", 1]
    told = json.loads(call(*arguments, "--format", "json").out)
    assert [row["privacy.epsilon"] for row in told["results"]] == ["1", "inf"]
    assert all(row["status"] == "finished" for row in told["results"])
    assert all(0 <= row["accuracy"] <= 1 for row in told["results"])
    assert "2 of them finished" in call(*arguments, "--dry-run").out


def test_several_values_make_an_axis_and_one_value_an_override(scenario: Path) -> None:
    arguments = ["--set", "rounds=3,4,5", "--set", "nodes.holders=4", "--seeds", "1"]
    printed = CliRunner().invoke(app, ["sweep", str(scenario), "--dry-run", *arguments]).stdout
    assert "6 points in" in printed
    assert "privacy.epsilon inf  rounds 5  seed 0" in printed
    without = CliRunner().invoke(
        app, ["sweep", str(scenario), "--dry-run", "--set", "privacy.epsilon=1,2,3"]
    )
    assert "6 points in" in without.stdout


def test_a_folder_that_is_no_study_ends_with_exit_code_2(tmp_path: Path) -> None:
    told = call("report", tmp_path)
    assert told.code == 2
    assert "a run folder or a sweep folder is expected" in told.err


def test_an_unknown_kind_of_figure_ends_with_exit_code_2(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["report", str(tmp_path), "--figures", "gif"])
    assert result.exit_code == 2
    assert "no files of kind 'gif'; allowed: pdf, svg, png" in result.output


def test_report_prints_the_files_that_it_wrote(tmp_path: Path) -> None:
    make_run(tmp_path / "run")
    options = ["--figures", "png", "--tables", "md", "--format", "json"]
    result = CliRunner().invoke(app, ["report", str(tmp_path / "run"), *options])
    assert result.exit_code == 0
    files = [Path(file) for file in json.loads(result.stdout)["files"]]
    assert files[-1].name == "report.html"
    assert all(file.is_file() for file in files)


def test_report_lists_runs_without_results_and_reports_the_others(tmp_path: Path) -> None:
    make_run(tmp_path / "begun", rounds=0, status="interrupted")
    begun, done = str(tmp_path / "begun"), str(tmp_path / "done")
    make_run(tmp_path / "done")
    options = ["--figures", "png", "--tables", "md", "--format", "json"]
    told = call("report", begun, done, *options)
    said = json.loads(told.out)
    assert told.code == 0
    assert said["left_out"] == [f"{begun}: no round is recorded yet; let the run go on first"]
    assert (tmp_path / "done" / "report.html").is_file()
    assert not (tmp_path / "begun" / "report.html").exists()
    alone = call("report", begun)
    assert (alone.code, alone.out) == (2, "")
    assert "no round is recorded yet" in alone.err
    wrong = call("report", done, begun, tmp_path)
    assert wrong.code == 2
    assert "holds neither a manifest.json nor a sweep.json" in wrong.err


def test_seeds_alone_are_a_sweep_of_the_scenario(scenario: Path, tmp_path: Path) -> None:
    scenario.write_text(SCENARIO.rpartition("sweep:")[0])
    told = call("sweep", scenario, "--out", tmp_path, "--seeds", "3", "--dry-run")
    assert told.code == 0
    assert "3 points in" in told.out
    assert "sweep: is missing" in call("sweep", scenario, "--dry-run").err


def test_a_sweep_of_the_simulation_ends_with_a_curve_and_a_failed_point_with_exit_code_4(
    scenario: Path, tmp_path: Path
) -> None:
    arguments = ["sweep", str(scenario), "--out", str(tmp_path / "sweeps"), "--seeds", "1"]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    (folder,) = (tmp_path / "sweeps").iterdir()
    assert (folder / "figures" / "accuracy_against_epsilon.pdf").is_file()
    damaged = next((folder / "runs").iterdir()) / "manifest.json"
    damaged.write_text("{")
    told = call(*arguments)
    assert told.code == 4
    assert "manifest.json" in told.err
    assert "1 of 2 points finished" in told.out


@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
def test_ctrl_c_ends_with_exit_code_130_and_the_sweep_goes_on(
    scenario: Path, tmp_path: Path
) -> None:
    out = tmp_path / "sweeps"
    # Started from a background shell a child would inherit that Ctrl-C is ignored.
    begin = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); "
    begin += "from fedchain.commands import main; main()"
    command = [sys.executable, "-c", begin, "sweep"]
    command += [str(scenario), "--out", str(out), "--seeds", "1", "--set", "rounds=3000"]
    command += ["--workers", "1"]  # side by side, the second point may begin first
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, start_new_session=True)
    until = time.monotonic() + 600
    while not list(out.glob("*/runs/*/events.ndjson")) and time.monotonic() < until:
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGINT)
    _, told = process.communicate(timeout=600)
    assert process.returncode == 130
    assert "everything is saved: the same command goes on" in told
    (points,) = out.glob("*/points.csv")
    assert [line.split(",")[3] for line in points.read_text().splitlines()[1:]] == [
        "interrupted",
        "waiting",
    ]
