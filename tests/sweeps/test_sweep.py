import csv
import json
import multiprocessing
import os
import subprocess
import sys
import time
from collections.abc import Callable
from multiprocessing.process import BaseProcess
from pathlib import Path
from types import SimpleNamespace
from typing import NoReturn

import psutil
import pytest
from sweep_runs import (
    beginning_a_process,
    calls,
    dying_at_seed_8,
    failing_at_seed_8,
    going_on_until_interrupted,
    interrupted_at_seed_8,
    leaving_a_ring,
    made,
    quick,
)
from test_points import scenario

from fedchain.errors import RunError, ScenarioError
from fedchain.interruption import GUARD, UNGUARDED
from fedchain.learning.gradients import cohort
from fedchain.results import RunFolder
from fedchain.runs.running import run_or_resume
from fedchain.scenario import Scenario
from fedchain.simulation import setup
from fedchain.sweeps import execution
from fedchain.sweeps.points import points_of, sweep_name
from fedchain.sweeps.sweep import sweep

INF = float("inf")


def small(values: tuple[float, ...] = (1.0, INF), seeds: int = 2) -> Scenario:
    return scenario(sweep={"grid": {"privacy.epsilon": list(values)}, "seeds": seeds})


@pytest.fixture
def unreported(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave out the report, which takes seconds."""
    monkeypatch.setattr(f"{sweep.__module__}.report", lambda folders: list(folders))


def rows_of(folder: Path) -> list[dict[str, str]]:
    with (folder / "points.csv").open() as file:
        return list(csv.DictReader(file))


def test_a_sweep_records_every_point_and_writes_its_report(tmp_path: Path) -> None:
    swept = sweep(small(), tmp_path, run=quick)
    rows = rows_of(swept.folder)
    assert [(r["privacy.epsilon"], r["seed"], r["status"]) for r in rows] == [
        ("1.0", "7", "finished"),
        ("1.0", "8", "finished"),
        ("inf", "7", "finished"),
        ("inf", "8", "finished"),
    ]
    assert float(rows[0]["epsilon"]) == 1.0
    assert rows[3]["epsilon"] == "inf"
    assert 0 < float(rows[0]["accuracy"]) < float(rows[2]["accuracy"])
    assert [r["run"] for r in rows] == [p.run for p in points_of(small())]
    assert not swept.failed
    for name in ("figures/accuracy_against_epsilon.pdf", "tables/points.tex", "report.html"):
        assert swept.folder / name in swept.report
        assert (swept.folder / name).stat().st_size > 100


@pytest.mark.usefixtures("unreported")
def test_a_sweep_of_attackers_starts_at_nobody_and_records_the_capture(
    tmp_path: Path, unreported: None
) -> None:
    asked = scenario(
        aggregation={"kind": "mean"},
        attacks=[{"kind": "sign_flip", "count": 1}],
        sweep={"grid": {"attacks[0].count": [0, 1]}},
    )
    nobody, one = rows_of(sweep(asked, tmp_path).folder)
    assert (nobody["status"], nobody["capture"]) == ("finished", "")
    assert (one["status"], float(one["capture"])) == ("finished", 1.0)  # a mean is always captured
    assert (nobody["byzantine"], nobody["byzantine_used"]) == ("0", "0")
    assert one["byzantine_used"] == one["byzantine"] != "0"  # a mean uses every message


def test_what_is_finished_is_not_run_again(tmp_path: Path) -> None:
    first = sweep(small(seeds=1), tmp_path, run=quick)
    seen: list[tuple[int, bool]] = []

    def watch(point: object, row: dict[str, object], fresh: bool) -> None:
        seen.append((int(str(row["seed"])), fresh))

    again = sweep(small(), tmp_path, run=quick, watch=watch)
    assert again.folder == first.folder
    assert len(calls(again.folder)) == 4
    assert sorted(seen) == [(7, False), (7, False), (8, True), (8, True)]


@pytest.mark.usefixtures("unreported")
def test_a_finished_run_of_another_scenario_is_no_result_of_a_point(tmp_path: Path) -> None:
    first = sweep(small(seeds=1), tmp_path, run=quick)
    one, other = points_of(small(seeds=1))
    made(first.folder / "runs" / one.run, other.scenario, rounds=2)
    with pytest.raises(RunError, match="another scenario"):
        run_or_resume(one.scenario, first.folder / "runs")
    again = sweep(small(seeds=1), tmp_path, run=quick)
    assert len(calls(again.folder)) == 3  # one was run again
    assert not again.failed


@pytest.mark.usefixtures("unreported")
def test_a_failed_point_is_recorded_tried_again_and_the_others_go_on(tmp_path: Path) -> None:
    swept = sweep(small(), tmp_path, run=failing_at_seed_8)
    assert [row["status"] for row in rows_of(swept.folder)] == ["finished", "failed"] * 2
    assert rows_of(swept.folder)[1]["error"] == "RunError: disk: full, got 0 bytes"
    assert len(swept.failed) == 2
    assert swept.report == (swept.folder,)
    mended = sweep(small(), tmp_path, run=quick)
    assert not mended.failed
    assert len(calls(mended.folder)) == 4


def test_a_sweep_in_which_all_fails_writes_no_report(tmp_path: Path) -> None:
    swept = sweep(scenario(seed=8, sweep=plain_sweep()), tmp_path, run=failing_at_seed_8)
    assert swept.report == ()
    assert len(swept.failed) == 1


def plain_sweep() -> dict[str, object]:
    return {"grid": {"privacy.epsilon": [1.0]}, "seeds": 1}


@pytest.mark.usefixtures("unreported")
def test_an_interruption_leaves_points_that_say_so(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        sweep(small(), tmp_path, run=interrupted_at_seed_8)
    folder = tmp_path / sweep_name(small())
    found = [row["status"] for row in rows_of(folder)]
    # The points with the same data follow each other: both of seed 7, then those of seed 8.
    assert found == ["finished", "interrupted", "finished", "waiting"]
    assert not sweep(small(), tmp_path, run=quick).failed


@pytest.mark.usefixtures("unreported")
def test_processes_side_by_side_leave_the_same_points(tmp_path: Path) -> None:
    alone = sweep(small(), tmp_path / "one", run=quick)
    beside = sweep(small(), tmp_path / "two", run=quick, workers=2)
    assert (beside.folder / "points.csv").read_bytes() == (alone.folder / "points.csv").read_bytes()
    assert sorted(call.split()[0] for call in calls(beside.folder)) == sorted(
        call.split()[0] for call in calls(alone.folder)
    )
    assert {call.split()[1] for call in calls(beside.folder)} == {"1"}


@pytest.mark.usefixtures("unreported")
@pytest.mark.parametrize("workers", [1, pytest.param(2, marks=pytest.mark.long)])
def test_a_run_that_has_ended_is_out_of_memory_before_the_next(
    tmp_path: Path, workers: int
) -> None:
    assert not sweep(small(), tmp_path, run=leaving_a_ring, workers=workers).failed


@pytest.mark.usefixtures("unreported")
def test_a_run_beside_others_may_begin_processes_of_its_own(tmp_path: Path) -> None:
    assert not sweep(small((1.0,)), tmp_path, run=beginning_a_process, workers=2).failed


@pytest.mark.usefixtures("unreported")
def test_a_worker_that_dies_takes_no_other_point_with_it(tmp_path: Path) -> None:
    swept = sweep(small((1.0,), seeds=3), tmp_path, run=dying_at_seed_8, workers=2)
    rows = rows_of(swept.folder)
    assert [row["status"] for row in rows] == ["finished", "failed", "finished"]
    assert rows[1]["error"] == "the worker process ended with exit code 3"


@pytest.mark.usefixtures("unreported")
def test_workers_save_their_runs_on_a_system_that_has_no_signal_to_ask_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / sweep_name(small())

    def interrupted_when_all_run(_: object) -> NoReturn:
        assert waited_for(lambda: len(list(folder.glob("runs/*/manifest.json"))) == 2)
        raise KeyboardInterrupt

    monkeypatch.setattr(execution, "wait", interrupted_when_all_run)
    monkeypatch.setattr(BaseProcess, "terminate", BaseProcess.kill)
    with pytest.raises(KeyboardInterrupt):
        sweep(small(), tmp_path, run=going_on_until_interrupted, workers=2)
    found = [row["status"] for row in rows_of(folder)]
    assert found == ["interrupted", "waiting", "interrupted", "waiting"]


SWEEP = """
import sys
from pathlib import Path
from sweep_runs import going_on_until_interrupted
from test_sweep import small
from fedchain.sweeps.sweep import sweep
if __name__ == "__main__":
    sweep(small(), Path(sys.argv[1]), run=going_on_until_interrupted, workers=2)
"""


def test_workers_of_a_sweep_that_is_killed_save_their_runs_and_end(tmp_path: Path) -> None:
    script = tmp_path / "begun.py"
    script.write_text(SWEEP, encoding="utf-8")
    places = [str(Path(__file__).parent), *sys.path]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, places))}
    manifests = f"{sweep_name(small())}/runs/*/manifest.json"
    with subprocess.Popen([sys.executable, str(script), str(tmp_path)], env=environment) as killed:
        try:
            assert waited_for(lambda: len(list(tmp_path.glob(manifests))) == 2)
            workers = psutil.Process(killed.pid).children(recursive=True)
        finally:
            killed.kill()
    gone, _ = psutil.wait_procs(workers, timeout=PATIENCE_S)
    assert len(gone) == len(workers) > 1
    found = [json.loads(file.read_bytes())["status"] for file in tmp_path.glob(manifests)]
    assert found == ["interrupted", "interrupted"]


PATIENCE_S = 600
"""Seconds after which a test gives up. They are many, so that a busy machine passes, too."""


def waited_for(happens: Callable[[], bool]) -> bool:
    until = time.monotonic() + PATIENCE_S
    while not happens() and time.monotonic() < until:
        time.sleep(0.05)
    return happens()


@pytest.mark.usefixtures("unreported")
def test_one_sweep_at_a_time_holds_a_folder(tmp_path: Path) -> None:
    folder = tmp_path / sweep_name(small())
    folder.mkdir(parents=True)
    lock = RunFolder(folder)
    lock.lock()
    with pytest.raises(RunError, match="another process"):
        sweep(small(), tmp_path, run=quick)
    lock.unlock()


@pytest.mark.usefixtures("unreported")
def test_a_metric_that_no_run_has_ends_the_sweep_before_its_first_run(tmp_path: Path) -> None:
    asked = scenario(sweep={"grid": {"privacy.epsilon": [1.0, 2.0]}, "y": "acc"})
    with pytest.raises(ScenarioError, match=r"sweep\.y: no metric 'acc'; .*accuracy"):
        sweep(asked, tmp_path, run=quick)
    assert not list(tmp_path.iterdir())


def test_a_script_without_a_guard_is_told_what_to_write(tmp_path: Path) -> None:
    pipe, other = multiprocessing.Pipe()
    other.close()
    ended = SimpleNamespace(exitcode=UNGUARDED, join=lambda: None)
    with pytest.raises(RunError, match='if __name__ == "__main__":'):
        execution._answer(execution.Worker(ended, pipe))


@pytest.mark.long
@pytest.mark.parametrize(
    "call", ["fedchain.sweep(scenario, workers=2)", "fedchain.run(scenario, engine='processes')"]
)
def test_a_whole_script_without_a_guard_is_told_what_to_write(call: str, tmp_path: Path) -> None:
    (tmp_path / "script.py").write_text(
        "import fedchain\n"
        "grid = {'grid': {'privacy.epsilon': [20, 30]}}\n"
        "scenario = fedchain.load('breast_cancer', set={'rounds': 1, 'sweep': grid})\n"
        f"{call}\n"
    )
    script = [sys.executable, "script.py"]
    told = subprocess.run(script, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert told.returncode == 1
    assert told.stderr.splitlines()[-1].endswith(GUARD)


def test_no_workers_at_all_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="workers: must be at least 1, got 0"):
        sweep(small(), tmp_path, workers=0)


@pytest.mark.usefixtures("unreported")
def test_points_that_share_the_task_read_and_try_it_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    built: list[object] = []
    tried: list[object] = []
    build, method = setup.tasks.build, cohort.method_for
    counted = SimpleNamespace(build=lambda *given: built.append(given) or build(*given))
    monkeypatch.setattr(setup, "tasks", counted)
    monkeypatch.setattr(cohort, "method_for", lambda *a, **k: tried.append(a) or method(*a, **k))
    swept = sweep(small(), tmp_path)
    assert [row["status"] for row in swept.rows] == ["finished"] * 4
    assert (len(built), len(tried)) == (2, 2)  # one for each seed


@pytest.mark.usefixtures("unreported")
def test_a_point_gives_the_same_block_alone_and_after_others(tmp_path: Path) -> None:
    together = sweep(small(), tmp_path / "together")
    alone = run_or_resume(points_of(small())[3].scenario, tmp_path)
    (last,) = [row["run"] for row in together.rows if row["run"] == alone.folder.name]
    after = RunFolder(together.folder / "runs" / last).manifest
    assert after["head"] == alone.manifest["head"]
