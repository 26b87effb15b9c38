"""Formats of results (rich text, plain text, one JSON object), and options of all commands."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from fedchain.names import legible

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.table import Table

USAGE, INTERRUPTED = 2, 130
"""Exit codes: USAGE for a wrong call; INTERRUPTED for Ctrl-C, when everything is saved."""


class Format(StrEnum):
    """How a result is shown on stdout."""

    rich = "rich"
    plain = "plain"
    json = "json"


FormatOption = Annotated[
    Format, typer.Option("--format", help="How results are shown: rich, plain or json.")
]
SetOption = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="PATH=VALUE",
        help="Override a value of the scenario: privacy.epsilon=2, attacks[0].holders=[1,2].",
    ),
]
SeedOption = Annotated[
    int | None, typer.Option("--seed", min=0, help="Seed instead of the scenario's.")
]
WorkersOption = Annotated[
    int | None, typer.Option("--workers", min=1, help="Workers of the engine; default: one a core.")
]
SecretOption = Annotated[
    Path | None,
    typer.Option(
        "--secret",
        metavar="FILE",
        help="File of your own with 256 bits from which noise and keys come; made if missing.",
    ),
]
RunArgument = Annotated[Path, typer.Argument(metavar="RUN", help="A run's folder.")]


def trust_option(what: str) -> Any:
    """Return the option that allows the import of user-defined code that a file names."""
    return typer.Option("--trust-user-parts", help=f"Import {what}.")


def refuse(text: str) -> NoReturn:
    """Print what is wrong with the call of a command, and exit."""
    typer.echo(text, err=True)
    raise typer.Exit(USAGE)


def stdout(form: Format) -> Console:
    """Return the console for results; ``plain``, NO_COLOR or no terminal turns colour off."""
    from rich.console import Console

    rich = form is Format.rich
    width = None if sys.stdout.isatty() else 120 if rich else 400
    return Console(highlight=False, emoji=False, width=width, color_system="auto" if rich else None)


def stderr() -> Console:
    """Return the console of logs and progress."""
    from rich.console import Console

    return Console(stderr=True, highlight=False)


def table(form: Format, *columns: str) -> Table:
    """Return an empty table: a light frame in rich, bare columns in plain."""
    from rich import box
    from rich.table import Table

    frame = box.SIMPLE_HEAD if form is Format.rich else None
    made = Table(box=frame, pad_edge=False, show_edge=False, header_style="bold")
    for column in columns:
        made.add_column(column, overflow="fold")
    return made


def print_result(form: Format, values: Mapping[str, Any], lines: Iterable[RenderableType]) -> None:
    """Print a result on stdout: its values as one JSON object, or else its lines and tables."""
    if form is Format.json:
        print_json(values)
        return
    console = stdout(form)
    for line in lines:
        if isinstance(line, str):
            typer.echo(line)
        else:
            console.print(line, markup=False)


@contextmanager
def progress_bar(what: str, wanted: bool = True) -> Iterator[Callable[..., None]]:
    """Show a progress bar on a terminal; yield the function that updates the bar.

    The function takes the number of steps done, the number of all steps, and the current work.
    """
    from rich.progress import MofNCompleteColumn, Progress

    console = stderr()
    columns = (*Progress.get_default_columns(), MofNCompleteColumn())
    hidden = not wanted or not console.is_terminal
    with Progress(*columns, console=console, transient=True, disable=hidden) as bar:
        task = bar.add_task(what, total=None)

        def show(done: int, total: int, now: str | None = None) -> None:
            bar.update(task, description=now, completed=done, total=total)

        yield show


def print_json(value: Mapping[str, Any]) -> None:
    """Print one JSON object on stdout.

    Infinite numbers and NaN become null, since JSON has neither. A byte of a file name that is no
    character becomes an escape. Non-ASCII letters do too if stdout's encoding is not UTF.
    """
    escapes = not (sys.stdout.encoding or "utf-8").lower().startswith("utf")
    typer.echo(json.dumps(jsonable(value), indent=2, ensure_ascii=escapes, allow_nan=False))


def jsonable(value: Any) -> Any:
    """Return a value converted to types that JSON has.

    >>> jsonable({"epsilon": math.inf, "holders": (1, 2)})
    {'epsilon': None, 'holders': [1, 2]}
    """
    if isinstance(value, Mapping):
        return {legible(str(key)): jsonable(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [jsonable(inner) for inner in value]
    if isinstance(value, str):
        return legible(value)
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
