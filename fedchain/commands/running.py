"""fedchain run, fedchain resume: run a scenario, and continue after an interruption."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fedchain.commands.formats import (
    INTERRUPTED,
    Format,
    FormatOption,
    SecretOption,
    SeedOption,
    SetOption,
    WorkersOption,
    print_result,
    stderr,
)
from fedchain.commands.shipped import ScenarioArgument, announce
from fedchain.errors import PartError, RunError, RunRefused

if TYPE_CHECKING:
    from fedchain.results import Run
    from fedchain.runs.callbacks import RunCallback

app = typer.Typer()

BUDGET_RAN_OUT = 6
"""Exit code of ``--strict`` when a privacy budget ended before the last round."""
EngineOption = Annotated[
    str | None,
    typer.Option(
        "--engine", help="Where holders compute: threads, processes, ray; the result is the same."
    ),
]
StrictOption = Annotated[
    bool, typer.Option("--strict", help="Exit with 6 if a privacy budget ends before the rounds.")
]


@app.command(epilog="Example: fedchain run breast_cancer --set privacy.epsilon=2 --seed 1")
def run(
    scenario: ScenarioArgument,
    set_: SetOption = None,
    seed: SeedOption = None,
    out: Annotated[Path, typer.Option(help="Folder of all runs.")] = Path("runs"),
    name: Annotated[str | None, typer.Option(help="Name instead of the scenario's.")] = None,
    engine: EngineOption = None,
    workers: WorkersOption = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Check everything, say what would run, and stop.")
    ] = False,
    force: Annotated[
        bool, typer.Option("--force", help="Delete an earlier run of the same name.")
    ] = False,
    strict: StrictOption = False,
    secret: SecretOption = None,
    form: FormatOption = Format.rich,
) -> None:
    """Run one scenario into a folder of its own under runs/."""
    from fedchain.scenario import load, located, parse_overrides, run_name

    announce(scenario)
    checked = load(scenario, set=parse_overrides(set_ or []), seed=seed, name=name)
    if dry_run:
        folder = out / run_name(checked)
        values = {"run": str(folder), "status": "dry run", "rounds": checked.rounds}
        print_result(form, values, [f"would run {checked.rounds} rounds into {folder}"])
        return
    source = located(scenario).read_text(encoding="utf-8")
    from fedchain.runs.running import run as run_it

    with _show(form, out / run_name(checked), secret) as callback:
        done = run_it(
            checked,
            out,
            engine=engine,
            workers=workers,
            force=force,
            source=source,
            secret=secret,
            callback=callback,
        )
    _tell(done, form, strict)


@app.command(epilog="Example: fedchain resume runs/first-light-*")
def resume(
    run: Annotated[Path, typer.Argument(help="The run's folder.")],
    engine: EngineOption = None,
    workers: WorkersOption = None,
    strict: StrictOption = False,
    secret: SecretOption = None,
    form: FormatOption = Format.rich,
) -> None:
    """Continue an interrupted run; the chain is the same as without the interruption."""
    from fedchain.runs.running import resume as resume_it

    with _show(form, run, secret) as callback:
        done = resume_it(run, engine=engine, workers=workers, secret=secret, callback=callback)
    _tell(done, form, strict)


@contextmanager
def _show(form: Format, folder: Path, secret: Path | None) -> Iterator[RunCallback | None]:
    """Show a run while it goes on; if it stops early, print the command that continues it."""
    from fedchain.commands.terminal import Terminal
    from fedchain.runs.secret import resume_command

    go_on = f"go on with: {resume_command(folder, secret)}"
    terminal = None if form is Format.json else Terminal(stderr())
    try:
        with contextlib.closing(terminal) if terminal else contextlib.nullcontext():
            yield terminal
    except KeyboardInterrupt:
        typer.echo(f"interrupted; {go_on if folder.is_dir() else 'nothing was begun'}", err=True)
        raise typer.Exit(INTERRUPTED) from None
    except RunRefused:
        raise
    except (RunError, PartError) as error:
        raise type(error)(f"{error}\n{go_on}" if folder.is_dir() else str(error)) from error


def _tell(run: Run, form: Format, strict: bool) -> None:
    from fedchain.commands.terminal import summary_lines

    summary = run.summary()
    print_result(form, summary, summary_lines(form, summary))
    if strict and (summary["status"] == "budget_exhausted" or summary["silenced"]):
        raise typer.Exit(BUDGET_RAN_OUT)
    if summary["status"] == "stalled":
        typer.echo(f"{run.folder}: no quorum came together; see run.log", err=True)
        raise typer.Exit(1)
