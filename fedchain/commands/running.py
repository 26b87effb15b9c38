"""fedchain run, fedchain resume: run a scenario, and continue after an interruption."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fedchain.commands import options
from fedchain.commands.formats import INTERRUPTED, Format, print_result, stderr
from fedchain.commands.serving import LivePage, NoOpen, Port, live_page
from fedchain.errors import PartError, RunError, RunRefused
from fedchain.names import legible

if TYPE_CHECKING:
    from fedchain.results import Run
    from fedchain.runs.preparation import Prepared
    from fedchain.scenario.tree import Node

app = typer.Typer()

BUDGET_RAN_OUT = 6
"""Exit code of ``--strict`` if a privacy budget ended before the last round."""
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
    page: Annotated[
        bool, typer.Option("--page", help="Show the run on a page of this machine, until Ctrl-C.")
    ] = False,
    port: Port = 0,
    no_open: NoOpen = False,
    form: options.Form = Format.rich,
) -> None:
    """Run one scenario into a new folder under runs/."""
    from fedchain.scenario import located, parse_overrides, run_name
    from fedchain.scenario.checking import check_scenario
    from fedchain.scenario.known import remember_run
    from fedchain.scenario.loading import merge_layers

    again = "; --force runs it again"
    # The page shows messages in flight.
    given = [*(set_ or []), *(["trace=true"] if page else [])]
    root, noted = merge_layers(scenario, set=parse_overrides(given), seed=seed, name=name)
    anew = dry_run or force or page or noted
    if not anew and (done := _finished(root, out, secret)) is not None:
        _show(lambda **_: done, done.folder, None, form, strict, again)
        return
    checked = check_scenario(root, noted)
    folder = out / run_name(checked)
    if dry_run:
        from fedchain.runs.preparation import prepare_run

        made = prepare_run(checked, out, engine=engine, workers=workers, force=force, secret=secret)
        _tell_prepared(folder, made, form)
        return
    from fedchain.results import Run

    remember_run(root, checked)
    with live_page(page, folder, port, not no_open) as live:
        if folder.exists() and not force and _is_over(found := Run.of(folder, checked), secret):
            _show(lambda **_: found, folder, None, form, strict, again)
            return
        source = located(scenario).read_text(encoding="utf-8")
        from fedchain.runs.running import run as run_it

        act = partial(run_it, checked, out, engine=engine, workers=workers, force=force)
        _show(partial(act, source=source), folder, secret, form, strict, again, live)


@app.command(epilog="Example: fedchain resume runs/first-light-*")
def resume(
    run: options.OwnRunPath,
    engine: EngineName = None,
    workers: options.WorkerCount = None,
    strict: Strict = False,
    secret: options.SecretFile = None,
    trust_user_parts: Annotated[
        bool, options.trust("code of your own (module:function) that the folder's scenario names")
    ] = False,
    form: options.Form = Format.rich,
) -> None:
    """Continue an interrupted run; the chain is the same as without the interruption."""
    from fedchain.results import Run

    if _is_over(found := Run.open(run), secret):
        _show(lambda **_: found, run, None, form, strict)
        return
    from fedchain.runs.running import resume as resume_it

    act = partial(resume_it, run, engine=engine, workers=workers, trust_user_parts=trust_user_parts)
    _show(act, run, secret, form, strict)


def _finished(root: Node, out: Path, secret: Path | None) -> Run | None:
    """Return the finished run of a scenario that was checked before, given its merged tree."""
    from fedchain.results import Run
    from fedchain.scenario.known import known_run

    known = known_run(root)
    if known is None or not (out / known.name).exists():
        return None
    found = Run.open(out / known.name)
    same = found.manifest["digest"] == known.digest
    return found if same and _is_over(found, secret) else None


def _is_over(found: Run, secret: Path | None) -> bool:
    """Return whether a run is over and has no secret to check.

    Then nothing is to be done, and nothing that a run needs has to be loaded.
    """
    from fedchain.results import OVER

    return found.manifest["status"] in OVER and secret is None and not found.manifest["secret"]


def _tell_prepared(folder: Path, made: Run | Prepared, form: Format) -> None:
    """Print what would run."""
    from fedchain.results import Run
    from fedchain.runs.privacy_statement import warnings_of

    if isinstance(made, Run):
        rounds, warned = made.manifest["rounds"], list[str]()
        line = f"{folder}: is over already; nothing would run"
    else:
        rounds, warned = made.setup.rules.rounds, warnings_of(made.setup)
        line = f"would run {rounds} rounds into {folder}"
    values = {"run": str(folder), "status": "dry run", "rounds": rounds, "warnings": warned}
    print_result(form, values, [*(f"warning   {each}" for each in warned), line])


def _show(
    act: Callable[..., Run],
    folder: Path,
    secret: Path | None,
    form: Format,
    strict: bool,
    anew: str = "",
    live: LivePage | None = None,
) -> None:
    """Show a run's progress and results; after an interruption, print the command to continue.

    ``anew`` is appended to the note that the run had ended before. ``live`` shows the run too.
    """
    from fedchain.commands.terminal import Terminal, divergence_words, summary_lines
    from fedchain.nodes.holders.data_holder import BUDGET_SPENT
    from fedchain.results import silent_words
    from fedchain.runs.secret import resume_command

    def go_on() -> str:
        return f"go on with: {resume_command(folder, secret)}"

    terminal = None if form is Format.json else Terminal(stderr())
    try:
        with contextlib.closing(terminal) if terminal else contextlib.nullcontext():
            done = act(secret=secret, callback=live.beside(terminal) if live else terminal)
    except KeyboardInterrupt:
        typer.echo(f"interrupted; {go_on() if folder.is_dir() else 'nothing was begun'}", err=True)
        raise typer.Exit(INTERRUPTED) from None
    except RunRefused:
        raise
    except (RunError, PartError) as error:
        # Rounds that a mended part has not computed must not stand beside those that it has.
        mend = "mend the part, then begin anew with --force"
        after = mend if isinstance(error, PartError) else go_on()
        raise type(error)(f"{error}\n{after}" if folder.is_dir() else str(error)) from error
    summary = done.summary()
    if terminal and not terminal.begun:
        ended = f"{summary['status'].replace('_', ' ')} on {done.manifest['ended']}"
        typer.echo(f"{done.folder}: {ended}, nothing was run{anew}", err=True)
    print_result(form, summary, summary_lines(summary))
    for words in divergence_words(summary):
        typer.secho(f"WARNING   {legible(words)}", err=True, fg="red", bold=True)
    if strict and (summary["status"] == "budget_exhausted" or BUDGET_SPENT in summary["silent"]):
        raise typer.Exit(BUDGET_RAN_OUT)
    if summary["status"] == "stalled":
        why = silent_words(summary["silent"]) or "see run.log"
        typer.echo(f"{done.folder}: no quorum came together; {why}", err=True)
        raise typer.Exit(1)
