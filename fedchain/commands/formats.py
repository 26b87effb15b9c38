"""Formats of results: rich text, plain text, or one JSON object."""

from __future__ import annotations

import itertools
import json
import math
import re
import shutil
import sys
import textwrap
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Literal, NoReturn

import typer

from fedchain.names import legible

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.table import Table

COLUMN_GAP = 3
"""Number of letters between two columns of a table."""
LONGEST_WORD = 24
"""Number of letters up to which a word in a table is never broken."""
USAGE, REFUSED_CHAIN, INTERRUPTED = 2, 5, 130
"""Exit codes: USAGE for wrong arguments; REFUSED_CHAIN for a ledger, chain file or proof that is
damaged or wrong; INTERRUPTED for Ctrl-C, when everything is saved."""


class Format(StrEnum):
    """How a result is shown on stdout."""

    rich = "rich"
    plain = "plain"
    json = "json"


def refuse(text: str) -> NoReturn:
    """Print what is wrong with a command's arguments, and exit."""
    raise typer.Exit(tell_error(text, USAGE))


def asks_for_json() -> bool:
    """Return whether the command line asks for JSON, even if other arguments are wrong."""
    words = sys.argv[1:]
    return "--format=json" in words or ("--format", "json") in itertools.pairwise(words)


def tell_error(text: str, code: int) -> int:
    """Print an error on stderr, as a JSON object if JSON was asked for; return the exit code."""
    if asks_for_json():
        text = json.dumps({"error": legible(text), "code": code}, ensure_ascii=False)
    typer.echo(text, err=True)
    return code


@contextmanager
def repeatable() -> Iterator[None]:
    """Within this context, let Ctrl-C end the command with a note that it can be repeated."""
    try:
        yield
    except KeyboardInterrupt:
        typer.echo("interrupted; everything is saved: the same command goes on", err=True)
        raise typer.Exit(INTERRUPTED) from None


def stderr() -> Console:
    """Return the console for logs and progress."""
    from rich.console import Console

    return Console(stderr=True, highlight=False, markup=False, emoji=False)


def table(columns: Sequence[str], rows: Iterable[Iterable[str]]) -> Table:
    """Return a table of texts under a header; a column is no narrower than its words.

    Words of more than ``LONGEST_WORD`` letters, such as paths and hashes, may be broken.
    """
    from rich import box
    from rich.table import Table

    made = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, header_style="bold")
    texts = [list(row) for row in rows]
    for place, column in enumerate(columns):
        longest = _longest_word([column, *(row[place] for row in texts)])
        made.add_column(column, overflow="fold", min_width=longest)
    for row in texts:
        made.add_row(*row)
    return made


def tables_that_fit(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> list[Table]:
    """Return a table; or several with the first column again, if one breaks words on a terminal.

    Cells have one word, headings may have several.
    """
    listed, width = list(rows), _width(rich=True) or shutil.get_terminal_size().columns
    # rich narrows wide headings below their longest words, so that each word gets a line of its own
    narrow = sum(map(len, columns)) + COLUMN_GAP * len(columns) > width
    heads = [column.replace(" ", "\n") if narrow else column for column in columns]
    parts: list[list[int]] = [[0]]
    for place in range(1, len(columns)):
        texts = ([heads[each], *(row[each] for row in listed)] for each in [*parts[-1], place])
        if (
            sum(_longest_word(each) + COLUMN_GAP for each in texts) - COLUMN_GAP > width
            and len(parts[-1]) > 1
        ):
            parts.append([0])
        parts[-1].append(place)
    return [
        table([heads[i] for i in part], ([row[i] for i in part] for row in listed))
        for part in parts
    ]


def _longest_word(texts: Iterable[str]) -> int:
    """Return the length of the longest word that is not broken."""
    words = " ".join(texts).split()
    return max((len(word) for word in words if len(word) <= LONGEST_WORD), default=1)


def filled_table(heads: str, cells: str, rows: Iterable[Mapping[str, Any]]) -> Table:
    """Return a table with a line for each row.

    ``heads`` and ``cells`` have the heading and the format of each column, separated by " | ".
    """
    forms = cells.split(" | ")
    return table(heads.split(" | "), ([form.format_map(row) for form in forms] for row in rows))


def print_result(
    form: Format,
    values: Mapping[str, Any],
    lines: Iterable[RenderableType],
    errors: Iterable[str] = (),
    code: int = 0,
) -> None:
    """Print a result on stdout: its values as one JSON object, or else its lines and tables.

    ``errors`` are printed on stderr, unless the format is ``json``. An exit code other than 0 then
    ends the command.
    """
    if form is Format.json:
        print_json(values)
    else:
        _print_lines(lines, rich=form is Format.rich)
        for error in errors:
            typer.echo(error, err=True)
    if code:
        raise typer.Exit(code)


def _width(*, rich: bool) -> int | None:
    """Return the width of tables in letters; None on a terminal, which has a width of its own."""
    return None if sys.stdout.isatty() else 120 if rich else 400


def _print_lines(lines: Iterable[RenderableType], *, rich: bool) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    wide = _width(rich=rich)
    system: Literal["auto"] | None = "auto" if rich else None
    console = Console(highlight=False, markup=False, emoji=False, width=wide, color_system=system)
    for line in lines:
        if isinstance(line, Table) and not rich:
            line.box = None
        if isinstance(line, str):
            typer.echo(in_lines(line, console.width) if sys.stdout.isatty() else line)
        else:
            # A terminal would break a text inside words; in a file it keeps its lines.
            console.print(line, soft_wrap=isinstance(line, Text) and not sys.stdout.isatty())


def in_lines(text: str, width: int) -> str:
    """Break a text between words for a terminal; what follows its label is indented as a block."""
    label = re.match(r"[a-z]+ {2,}", text)
    indent = " " * len(label[0]) if label else ""
    return "\n".join(
        textwrap.fill(
            line, width, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False,
            replace_whitespace=False, drop_whitespace=True,
        )
        for line in text.split("\n")
    )  # fmt: skip


@contextmanager
def progress_bar(what: str, wanted: bool = True) -> Iterator[Callable[..., None]]:
    """Show a progress bar on a terminal; yield the function that updates the bar.

    The function takes the number of steps done, the number of all steps, and the current work.
    """
    from rich.progress import MofNCompleteColumn, Progress, TextColumn

    console = stderr()
    _, *usual = Progress.get_default_columns()
    columns = (TextColumn("{task.description}", markup=False), *usual, MofNCompleteColumn())
    hidden = not wanted or not console.is_terminal
    with Progress(*columns, console=console, transient=True, disable=hidden) as bar:
        task = bar.add_task(what, total=None)

        def show(done: int, total: int, now: str | None = None) -> None:
            bar.update(task, description=now, completed=done, total=total)

        yield show


def print_json(value: Mapping[str, Any]) -> None:
    """Print one JSON object on stdout.

    Infinite numbers and NaN become null. Bytes of a file name that are not characters become
    escapes, and so do non-ASCII letters if stdout's encoding is not UTF.
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
    return None if isinstance(value, float) and not math.isfinite(value) else value
