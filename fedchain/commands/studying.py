"""Commands about many runs: sweep, report."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from fedchain.cache import size_words
from fedchain.commands import completing, options
from fedchain.commands.formats import Format, print_result, refuse, repeatable, stderr
from fedchain.timing import duration_words

if TYPE_CHECKING:
    from fedchain.scenario import Scenario
    from fedchain.sweeps.plan import Plan
    from fedchain.sweeps.points import Point
    from fedchain.sweeps.sweep import PointRow, Swept, Watch

app = typer.Typer()

FAILED_POINTS = 4
"""Exit code if some points of a sweep failed."""


@app.command(epilog="Example: fedchain sweep breast_cancer --set privacy.epsilon=1,4 --seeds 2")
def sweep(
    scenario: options.ScenarioName,
    set_: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="PATH=A,B",
            autocompletion=completing.scenario_paths,
            help="Values of a grid axis: privacy.epsilon=1,2,.inf; one value overrides: rounds=20.",
        ),
    ] = None,
    seeds: Annotated[
        int | None, typer.Option(min=1, max=1000, help="Seeds of every point.")
    ] = None,
    out: Annotated[Path, typer.Option(help="Folder of sweeps.")] = Path("sweeps"),
    workers: Annotated[
        int | None,
        typer.Option(
            min=1, help="Points that run at the same time.", show_default="as many as fit"
        ),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="List the points, their time and disk; run none.")
    ] = False,
    form: options.Form = Format.rich,
) -> None:
    """Run every point of a grid with every seed, skip finished runs, and write the report.

    If a run fails, the others continue. The grid is the scenario's sweep section plus what --set
    adds. With --seeds alone, only the seed changes.
    """
    from fedchain.sweeps.points import points_of, with_seeds
    from fedchain.sweeps.sweep import sweep as sweep_points

    with repeatable():
        checked = with_seeds(_with_choices(scenario, set_ or []), seeds)
        if dry_run:
            _list_points(checked, seeds, out, workers, form)
            return
        with _progress(len(points_of(checked, seeds)), form) as (watch, tell):
            swept = sweep_points(checked, out, seeds=seeds, workers=workers, watch=watch, tell=tell)
    _tell_swept(swept, form)


@app.command(
    epilog="Example: fedchain report sweeps/* --figures pdf --tables tex --width ieee1 --serif"
)
def report(
    paths: Annotated[
        list[Path],
        typer.Argument(
            metavar="RUN/SWEEP..",
            help="Run folders and sweep folders.",
            callback=options.there("the folder of a run or of a sweep"),
        ),
    ],
    figures: Annotated[
        str, typer.Option(help="Kinds of figure files: pdf, svg, png, eps.")
    ] = "pdf,svg,png",
    tables: Annotated[
        str,
        typer.Option(help="Kinds of table files: csv, md, tex, parquet (rounds of a sweep)."),
    ] = "csv,md,tex",
    html: Annotated[
        Path | None, typer.Option(help="One page for all, instead of one in each folder.")
    ] = None,
    width: Annotated[
        str,
        typer.Option(
            metavar="ieee1|ieee2|INCHES",
            help="Width of every figure: one or two columns of the IEEE, or inches.",
            show_default="3.35 inches, and cells as wide as their numbers",
        ),
    ] = "",
    serif: Annotated[
        bool, typer.Option("--serif", help="Write figures in letters with serifs.")
    ] = False,
    replay: Annotated[
        bool,
        typer.Option("--replay", help="Also write the page of each run as replay.html beside it."),
    ] = False,
    trust_user_parts: Annotated[
        bool, options.trust("audits of your own (module:object) that an audit.json names")
    ] = False,
    form: options.Form = Format.rich,
) -> None:
    """Write figures, tables and one self-contained page for runs and sweeps.

    Runs without a round yet are only listed. Files of an earlier report that this one does not
    write are removed.
    """
    from fedchain.reports.figures.paper import Paper, paper_width
    from fedchain.reports.report import report as write

    early: list[str] = []
    kinds = _listed(figures), _listed(tables)
    try:
        paper = Paper(paper_width(width) if width else None, serif)
    except ValueError as error:
        refuse(f"--{error}")
    replays = [_write_replay(path, early.append) for path in paths] if replay else []
    try:
        written = write(paths, *kinds, html, trust_user_parts, early.append, paper)
    except ValueError as error:
        refuse(str(error))
    files = [str(file) for file in (*written, *filter(None, replays))]
    print_result(form, {"files": files, "left_out": early}, files, early)


def _write_replay(folder: Path, left_out: Callable[[str], None]) -> Path | None:
    """Write the page of a run that has ended as one file, and return its path.

    ``left_out`` is called with a message on what is not in the file. A folder that is no run gets
    none.
    """
    from fedchain.files import check_folder, write_whole
    from fedchain.reports.page import REPLAY
    from fedchain.results import OVER, Run
    from fedchain.results.folder import MANIFEST

    if not (folder / MANIFEST).is_file():
        left_out(f"{folder}: is no run; a page is of one run alone")
        return None
    check_folder(folder, own=True)
    run = Run.open(folder)
    if run.manifest["status"] not in OVER:
        return None  # the report says so
    from fedchain.page.single_file import replay

    made = replay(run)
    write_whole(folder / REPLAY, made.html)
    if made.left_out:
        left_out(f"{folder / REPLAY}: lacks {made.left_out}; fedchain serve shows all")
    return folder / REPLAY


def _with_choices(path: str, options: Sequence[str]) -> Scenario:
    """Load a scenario; options with several values become grid axes, the others override values."""
    from fedchain.scenario import load, parse_choices, plain_values

    choices = parse_choices(options)
    single = {key: values[0] for key, values in choices.items() if len(values) == 1}
    axes = {key: values for key, values in choices.items() if len(values) > 1}
    if not axes:
        return load(path, set=single)
    section = plain_values(load(path, set=single))["sweep"] or {}
    grid = {**section.get("grid", {}), **axes}
    return load(path, set={**single, "sweep": {**section, "grid": grid}})


@contextmanager
def _progress(total: int, form: Format) -> Iterator[tuple[Watch, Callable[[Plan], None]]]:
    """Show on stderr how long the sweep takes, each point when it ends, and the time left."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    console, started, ended = stderr(), time.monotonic(), Counter[bool]()
    left = TextColumn("{task.fields[left]}")
    live = form is Format.rich and console.is_terminal
    columns = TextColumn("Points"), BarColumn(), MofNCompleteColumn(), left
    with Progress(*columns, console=console, disable=not live) as shown:
        task = shown.add_task("points", total=total, left="")

        def watch(point: Point, row: PointRow, ran: bool) -> None:
            ended[ran] += 1
            words = ""
            if ended[True]:
                rest = total - ended.total()
                left_s = rest * (time.monotonic() - started) / ended[True]
                words = f"about {duration_words(left_s)} left"
            if form is not Format.json:
                console.print(_point_line(point, row, ran), soft_wrap=True)
            shown.update(task, advance=1, left=words)

        def tell(plan: Plan) -> None:
            if form is not Format.json and plan.seconds:
                console.print(_plan_words(plan), soft_wrap=True)

        yield watch, tell


def _plan_words(plan: Plan) -> str:
    beside = "one point after the other"
    if plan.workers > 1:
        beside = f"{plan.workers} points at a time"
    return f"about {duration_words(plan.seconds or 0.0)}, {beside}"


def _point_line(point: Point, row: Mapping[str, Any], ran: bool) -> str:
    from fedchain.sweeps.sweep import value_text

    values = "  ".join(f"{key} {value_text(value)}" for key, value in point.values.items())
    known = list(row).index("error") + 1 if "error" in row else 0
    score = next(((k, v) for k, v in list(row.items())[known:] if k != "epsilon"), None)
    ending = f"{score[0]} {score[1]:.3f}" if score and isinstance(score[1], float) else row["error"]
    if score and row["error"]:
        ending += f"  WARNING {row['error']}"
    state = row["status"] if ran else f"{row['status']} before"
    return f"{values}  seed {point.scenario.seed}  {state}  {ending}".rstrip()


def _list_points(
    scenario: Scenario, seeds: int | None, out: Path, workers: int | None, form: Format
) -> None:
    """Print every point, and what the points without a result will take in time and disk."""
    from fedchain.sweeps.checking import check_parts
    from fedchain.sweeps.plan import plan_of
    from fedchain.sweeps.points import points_of, sweep_name
    from fedchain.sweeps.sweep import value_text, waiting

    check_parts(scenario)
    points = points_of(scenario, seeds)
    folder = out / sweep_name(scenario)
    left = waiting(folder, points)
    plan = plan_of(left, workers)
    rows = [
        {**{k: value_text(v) for k, v in p.values.items()}, "seed": p.scenario.seed, "run": p.run}
        for p in points
    ]
    lines = ["  ".join(f"{key} {value}" for key, value in row.items()) for row in rows]
    done = len(points) - len(left)
    lines.append(f"{len(rows)} points in {folder}{f', {done} of them finished' if done else ''}")
    if left and plan.seconds is not None and plan.disk_mb is not None:
        lines.append(f"{_plan_words(plan)}, about {size_words(round(plan.disk_mb * 1e6))} on disk")
    values = {"sweep": str(folder), "points": rows, "finished": done, "workers": plan.workers}
    estimates = {"seconds": plan.seconds, "disk_mb": plan.disk_mb}
    print_result(form, {**values, "estimates": estimates}, lines)


def _tell_swept(swept: Swept, form: Format) -> None:
    from fedchain.files import read_utf8

    values = {
        "sweep": str(swept.folder),
        "points": len(swept.rows),
        "results": list(swept.rows),
        "failed": [row["run"] for row in swept.failed],
        "report": [str(file) for file in swept.report],
    }
    done = len(swept.rows) - len(swept.failed)
    lines = [read_utf8(file) for file in swept.report if file.suffix == ".md"][:1]
    lines.append(f"{done} of {len(swept.rows)} points finished; {swept.folder / 'points.csv'}")
    if swept.report:
        lines.append(f"report: {swept.report[-1]}")
    failed = [f"{row['run']}: {row['status']}: {row['error']}" for row in swept.failed]
    print_result(form, values, lines, failed, FAILED_POINTS if failed else 0)


def _listed(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())
