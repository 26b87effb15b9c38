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
MEND = (
    "mend the part, and run the scenario again: a run goes on (fedchain resume) only with the code "
    "with which it began"
)
"""What to do if a user-defined part has failed in a run."""
AGAIN = "; --force runs it again"
"""End of the note that a run had ended before."""
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

    # The page shows messages in flight.
    given = [*(set_ or []), *(["trace=true"] if page else [])]
    root, noted = merge_layers(scenario, set=parse_overrides(given), seed=seed, name=name)
    anew = dry_run or force or page or noted
    if not anew and (done := _finished(root, out, secret)) is not None:
        _show_over(done, form, strict, AGAIN)
        return
    with _loading(form):
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
            _show_over(found, form, strict, AGAIN)
            return
        source = located(scenario).read_text(encoding="utf-8")
        with _loading(form):
            from fedchain.runs.running import run as run_it

        act = partial(run_it, checked, out, engine=engine, workers=workers, force=force)
        _show(partial(act, source=source), folder, secret, form, strict, live)


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
    """Continue an interrupted run; the chain is the same as without the interruption.

    A run that a callback has stopped is continued to its last round.
    """
    from fedchain.results import STOPPED, Run

    found = Run.open(run)
    if found.manifest["status"] != STOPPED and _is_over(found, secret):
        _show_over(found, form, strict)
        return
    from fedchain.runs.running import resume as resume_it

    act = partial(resume_it, run, engine=engine, workers=workers, trust_user_parts=trust_user_parts)
    _show(act, run, secret, form, strict)


def _loading(form: Format) -> contextlib.AbstractContextManager[object]:
    """Show on a terminal that libraries are loaded, which takes seconds on a slow disk."""
    console = stderr()
    if form is Format.json or not console.is_terminal:
        return contextlib.nullcontext()
    return console.status("Loading torch and the parts of the scenario")


def _finished(root: Node, out: Path, secret: Path | None) -> Run | None:
    """Return the finished run of a scenario that was checked before, given its merged tree."""
    from fedchain.results import Run
    from fedchain.scenario.known import known_run

    known = known_run(root)
    if known is None or not (out / known.name).exists():
        return None
    found = Run.open(out / known.name)
    same = found.manifest["digest"] == known.digest
    return found if same and secret is None and _is_over(found, None) else None


def _is_over(found: Run, secret: Path | None) -> bool:
    """Return whether a run is over. If it is, check that it has this secret, or none."""
    from fedchain.results import OVER

    if found.manifest["status"] not in OVER:
        return False
    if secret is not None or found.manifest["secret"]:
        from fedchain.runs.genesis import check_secret

        check_secret(found, secret)
    return True


def _tell_prepared(folder: Path, made: Run | Prepared, form: Format) -> None:
    """Print what would run."""
    from fedchain.results import Run
    from fedchain.runs.privacy_statement import run_warnings

    if isinstance(made, Run):
        rounds, warned = made.manifest["rounds"], list[str]()
        line = f"{folder}: is over already; nothing would run"
    else:
        rounds, warned = made.setup.rules.rounds, run_warnings(made.setup)
        line = f"would run {rounds} rounds into {folder}"
    values = {"run": str(folder), "status": "dry run", "rounds": rounds, "warnings": warned}
    print_result(form, values, [*(f"warning   {each}" for each in warned), line])


def _show(
    act: Callable[..., Run],
    folder: Path,
    secret: Path | None,
    form: Format,
    strict: bool,
    live: LivePage | None = None,
) -> None:
    """Show a run's progress and results; after an interruption, print the command to continue.

    ``live`` shows the run too.
    """
    from fedchain.commands.terminal import Terminal
    from fedchain.runs.secret import resume_command

    def go_on() -> str:
        return f"go on with: {resume_command(folder, secret)}"

    terminal = None if form is Format.json else Terminal(stderr())
    try:
        with contextlib.closing(terminal) if terminal else contextlib.nullcontext():
            done = act(secret=secret, callbacks=[each for each in (live, terminal) if each])
    except KeyboardInterrupt:
        typer.echo(f"interrupted; {go_on() if folder.is_dir() else 'nothing was begun'}", err=True)
        raise typer.Exit(INTERRUPTED) from None
    except RunRefused:
        raise
    except (RunError, PartError) as error:
        further = go_on() if not isinstance(error, PartError) else MEND
        words = f"{error}\n{further}" if folder.is_dir() else str(error)
        raise type(error)(words) from error
    _show_results(done, form, strict)


def _show_over(done: Run, form: Format, strict: bool, anew: str = "") -> None:
    """Show the results of a run that had ended before, and say so."""
    from fedchain.results import found_again

    typer.echo(found_again(done) + anew, err=True)
    _show_results(done, form, strict)


def _show_results(done: Run, form: Format, strict: bool) -> None:
    from fedchain.commands.terminal import divergence_words, summary_lines
    from fedchain.nodes.holders.data_holder import BUDGET_SPENT
    from fedchain.results import silent_words

    summary = done.summary()
    print_result(form, summary, summary_lines(summary))
    for words in divergence_words(summary):
        typer.secho(f"WARNING   {legible(words)}", err=True, fg="red", bold=True)
    if strict and (summary["status"] == "budget_exhausted" or BUDGET_SPENT in summary["silent"]):
        raise typer.Exit(BUDGET_RAN_OUT)
    if summary["status"] == "stalled":
        why = silent_words(summary["silent"]) or "see run.log"
        typer.echo(f"{done.folder}: no quorum came together; {why}", err=True)
        raise typer.Exit(1)
