"""fedchain run, fedchain resume: run a scenario, and continue after an interruption."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from fedchain.commands import options
from fedchain.commands.formats import INTERRUPTED, Format, print_result, stderr
from fedchain.errors import PartError, RunError, RunRefused

if TYPE_CHECKING:
    from fedchain.results import Run
    from fedchain.runs.preparation import Prepared

app = typer.Typer()

BUDGET_RAN_OUT = 6
"""Exit code of ``--strict`` when a privacy budget ended before the last round."""
EngineName = Annotated[
    str | None,
    typer.Option(help="Where holders compute: threads, processes, ray; the result is the same."),
]
Strict = Annotated[
    bool, typer.Option("--strict", help="Exit with 6 if a privacy budget ends before the rounds.")
]


@app.command(epilog="Example: fedchain run breast_cancer --set privacy.epsilon=2 --seed 1")
def run(
    scenario: options.ScenarioName,
    set_: options.Set = None,
    seed: options.SeedNumber = None,
    out: Annotated[Path, typer.Option(help="Folder of all runs.")] = Path("runs"),
    name: Annotated[str | None, typer.Option(help="Name instead of the scenario's.")] = None,
    engine: EngineName = None,
    workers: options.WorkerCount = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Check everything, say what would run, and stop.")
    ] = False,
    force: Annotated[
        bool, typer.Option("--force", help="Delete an earlier run of the same name.")
    ] = False,
    strict: Strict = False,
    secret: options.SecretFile = None,
    form: options.Form = Format.rich,
) -> None:
    """Run one scenario into a folder of its own under runs/."""
    from fedchain.scenario import load, located, parse_overrides, run_name

    checked = load(scenario, set=parse_overrides(set_ or []), seed=seed, name=name)
    folder = out / run_name(checked)
    given: dict[str, Any] = {"engine": engine, "workers": workers, "force": force}
    if dry_run:
        from fedchain.runs.preparation import prepare_run

        _tell_prepared(folder, prepare_run(checked, out, secret=secret, **given), form)
        return
    source = located(scenario).read_text(encoding="utf-8")
    from fedchain.runs.running import run as run_it

    _show(partial(run_it, checked, out, source=source, **given), folder, secret, form, strict)


@app.command(epilog="Example: fedchain resume runs/first-light-*")
def resume(
    run: Annotated[Path, typer.Argument(help="The run's folder.")],
    engine: EngineName = None,
    workers: options.WorkerCount = None,
    strict: Strict = False,
    secret: options.SecretFile = None,
    form: options.Form = Format.rich,
) -> None:
    """Continue an interrupted run; the chain is the same as without the interruption."""
    from fedchain.runs.running import resume as resume_it

    _show(partial(resume_it, run, engine=engine, workers=workers), run, secret, form, strict)


def _tell_prepared(folder: Path, made: Run | Prepared, form: Format) -> None:
    """Say what would run: every check has passed, and nothing was written."""
    from fedchain.results import Run
    from fedchain.runs.manifest import warnings_of

    if isinstance(made, Run):
        rounds, warned = made.manifest["rounds"], list[str]()
        line = f"{folder}: is over already; nothing would run"
    else:
        rounds, warned = made.setup.rules.rounds, warnings_of(made.setup)
        line = f"would run {rounds} rounds into {folder}"
    values = {"run": str(folder), "status": "dry run", "rounds": rounds, "warnings": warned}
    print_result(form, values, [*(f"warning   {each}" for each in warned), line])


def _show(
    act: Callable[..., Run], folder: Path, secret: Path | None, form: Format, strict: bool
) -> None:
    """Show a run while it goes on and its results, or the command that continues it."""
    from fedchain.commands.terminal import Terminal, summary_lines
    from fedchain.runs.secret import resume_command

    go_on = f"go on with: {resume_command(folder, secret)}"
    terminal = None if form is Format.json else Terminal(stderr())
    try:
        with contextlib.closing(terminal) if terminal else contextlib.nullcontext():
            done = act(secret=secret, callback=terminal)
    except KeyboardInterrupt:
        typer.echo(f"interrupted; {go_on if folder.is_dir() else 'nothing was begun'}", err=True)
        raise typer.Exit(INTERRUPTED) from None
    except RunRefused:
        raise
    except (RunError, PartError) as error:
        raise type(error)(f"{error}\n{go_on}" if folder.is_dir() else str(error)) from error
    summary = done.summary()
    print_result(form, summary, summary_lines(summary))
    if strict and (summary["status"] == "budget_exhausted" or summary["silenced"]):
        raise typer.Exit(BUDGET_RAN_OUT)
    if summary["status"] == "stalled":
        typer.echo(f"{done.folder}: no quorum came together; see run.log", err=True)
        raise typer.Exit(1)
