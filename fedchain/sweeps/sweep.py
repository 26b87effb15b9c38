"""Sweep: runs a scenario at many grid values and seeds, and writes a report."""

from __future__ import annotations

import contextlib
import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fedchain.errors import NothingYet, RunError
from fedchain.files import check_folder, write_whole
from fedchain.interruption import leave_if_unguarded
from fedchain.names import legible
from fedchain.reports.opening import read_run
from fedchain.reports.report import report
from fedchain.reports.study import (
    DONE,
    SWEEP_FORMAT,
    byzantine_share,
    capture,
    final,
    metric_names,
    summed_count,
    total_epsilon,
)
from fedchain.results import Run, RunFolder
from fedchain.results.finding import COUNTED
from fedchain.results.tables import columns_of, csv_lines
from fedchain.scenario import Scenario, ScenarioLike, as_scenario, resolved_yaml
from fedchain.scenario.writing import yaml_text
from fedchain.sweeps.checking import check_y
from fedchain.sweeps.execution import Execute, in_processes, in_turn
from fedchain.sweeps.plan import Plan, plan_of
from fedchain.sweeps.points import Point, points_of, sweep_name, with_seeds

PointRow = dict[str, Any]
"""One row of ``points.csv``."""
Watch = Callable[[Point, PointRow, bool], None]
"""A function that takes a point, its row, and whether the point ran now (True) or earlier."""


@dataclass(frozen=True)
class Swept:
    """The results of a sweep."""

    folder: Path
    """The sweep folder."""
    rows: tuple[PointRow, ...]
    """One row per point: grid values, seed, run, status, error, final metrics and total epsilon."""
    report: tuple[Path, ...]
    """Files of the report; empty if no point has a round."""

    @property
    def failed(self) -> tuple[PointRow, ...]:
        """The rows of all points without a result."""
        return tuple(row for row in self.rows if row["status"] not in DONE)


def sweep(
    scenario: ScenarioLike,
    out: str | Path = "sweeps",
    *,
    seeds: int | None = None,
    workers: int | None = 1,
    run: Execute | None = None,
    watch: Watch | None = None,
    tell: Callable[[Plan], None] | None = None,
) -> Swept:
    """Run every point of a scenario's grid at every seed, and write the report.

    Finished runs are not repeated, and interrupted runs are resumed. If a point fails, the other
    points still run.

    Args:
        scenario: a scenario; or its values as a mapping, the path of its file, or the name of a
            shipped one. It needs a ``sweep`` section unless ``seeds`` is given.
        out: folder of all sweeps.
        seeds: number of seeds, 1 or more; None: the number in the ``sweep`` section.
        workers: number of points that run at the same time, 1 or more; None: as many as there are
            cores if the points are small, else 1. No result depends on it.
        run: the function that runs one point; None: the simulation.
        watch: a function that is called for every point when it ends; None: no function.
        tell: a function that is called with the plan before the first point; None: no function.

    Raises:
        ScenarioError: there is neither a ``sweep`` section nor a number of seeds, a point is no
            valid scenario, or the runs have no metric ``sweep.y``.
        ValueError: ``workers`` or ``seeds`` is below 1.
        RunError: the folder cannot be written, or another process uses it.
        KeyboardInterrupt: Ctrl-C, after all runs were saved.
    """
    leave_if_unguarded()
    if workers is not None and workers < 1:
        raise ValueError(f"workers: must be at least 1, got {workers}")
    scenario = with_seeds(as_scenario(scenario), seeds)
    points, show = points_of(scenario, seeds), watch or (lambda *_: None)
    check_y(scenario)

    def planned(todo: Sequence[Point]) -> int:
        if workers is not None and tell is None:
            return workers
        plan = plan_of(todo, workers)
        if tell is not None:
            tell(plan)
        return plan.workers

    folder = Path(out) / sweep_name(scenario)
    check_folder(folder, own=True)
    _begin(folder, scenario, points)
    lock = RunFolder(folder)
    lock.lock()
    try:
        rows = _run_all(folder, points, run or _run_point, planned, show)
        files = list[Path]()
        with contextlib.suppress(NothingYet):
            files = report([folder])
    finally:
        lock.unlock()
    return Swept(folder, tuple(rows), tuple(files))


def _run_point(scenario: Scenario, runs: Path, threads: int | None) -> object:
    from fedchain.runs.running import run_or_resume

    return run_or_resume(scenario, runs, workers=threads)


def _begin(folder: Path, scenario: Scenario, points: tuple[Point, ...]) -> None:
    assert scenario.sweep is not None
    described = {
        "format": SWEEP_FORMAT,
        "name": scenario.name,
        "description": legible(scenario.description),
        "grid": {key: [value_text(v) for v in vs] for key, vs in scenario.sweep.grid.items()},
        "seeds": len({point.scenario.seed for point in points}),
        "x": scenario.sweep.x,
        "y": scenario.sweep.y,
        "target": scenario.sweep.target,
        "labels": {legible(key): legible(words) for key, words in scenario.labels.items()},
    }
    write_whole(folder / "sweep.json", json.dumps(described, indent=2) + "\n")
    write_whole(folder / "scenario.yaml", resolved_yaml(scenario))


def _run_all(
    folder: Path,
    points: tuple[Point, ...],
    run: Execute,
    planned: Callable[[Sequence[Point]], int],
    watch: Watch,
) -> list[PointRow]:
    runs = folder / "runs"
    rows = {point.run: _row(folder, point, "") for point in points}
    todo = {p.run: p for p in points if rows[p.run]["status"] not in DONE}
    for point in points:
        if point.run not in todo:
            watch(point, rows[point.run], False)
    _write(folder, points, rows)
    # Points with the same data follow each other, so that a process makes them once.
    listed = sorted(
        todo.values(), key=lambda point: repr((point.scenario.task, point.scenario.seed))
    )
    workers = planned(listed)
    beside = workers > 1 and len(listed) > 1
    ended = in_processes(listed, runs, run, workers) if beside else in_turn(listed, runs, run)
    try:
        with contextlib.closing(ended):  # ends the workers after any error
            for point, error in ended:
                rows[point.run] = _row(folder, point, error or _missing(runs / point.run))
                _write(folder, points, rows)
                watch(point, rows[point.run], True)
    except KeyboardInterrupt:
        rows = {p.run: _row(folder, p, str(rows[p.run]["error"])) for p in points}
        _write(folder, points, rows)
        raise
    return _listed(points, rows)


def waiting(folder: Path, points: Sequence[Point]) -> list[Point]:
    """Return the points that have no result yet in the sweep's folder."""
    return [point for point in points if _row(folder, point, "")["status"] not in DONE]


def _row(folder: Path, point: Point, error: str) -> PointRow:
    """Return the row of a point, read from its run folder."""
    place = {"seed": point.scenario.seed, "run": point.run}
    path = folder / "runs" / point.run
    run = None
    try:
        if (path / "manifest.json").is_file():
            Run.of(path, point.scenario)
            run = read_run(path)
    except RunError as damage:
        return {**place, "status": "failed", "error": error or str(damage)}
    status = str(run.manifest["status"]) if run is not None else "waiting"
    status = "failed" if error else status
    if run is None or status not in DONE:
        return {**place, "status": status, "error": error}
    values = {name: final(run, name) for name in metric_names(run)}
    total = total_epsilon(run)
    spent = math.inf if total is None else total
    odd = "; ".join(run.manifest.get("faults", [])[:1])  # losses that were no finite numbers
    told = {**place, "status": status, "error": odd, **values, "epsilon": spent}
    told |= {name: int(summed_count(run, name)) for name in COUNTED}
    captured = {"byzantine_share": byzantine_share(run), "capture": capture(run)}
    return told | {name: value for name, value in captured.items() if value is not None}


def _missing(run: Path) -> str:
    """Return why a point that ran without an error has no folder; empty if it has one."""
    words = "your own code or data were changed while the sweep ran; begin the sweep again"
    return "" if run.exists() else words


def _listed(points: tuple[Point, ...], rows: Mapping[str, PointRow]) -> list[PointRow]:
    texts = [{key: value_text(v) for key, v in point.values.items()} for point in points]
    return [{**own, **rows[p.run]} for p, own in zip(points, texts, strict=True)]


def _write(folder: Path, points: tuple[Point, ...], rows: Mapping[str, PointRow]) -> None:
    listed = _listed(points, rows)
    write_whole(folder / "points.csv", csv_lines(columns_of(listed), listed))


def value_text(value: object) -> str:
    """Return a grid value as text for ``points.csv``.

    >>> value_text(math.inf), value_text(0.5), value_text("krum"), value_text({"kind": "krum"})
    ('inf', '0.5', 'krum', '{kind: krum}')
    """
    if isinstance(value, float):
        return repr(value)
    return legible(value) if isinstance(value, str) else yaml_text(value)
