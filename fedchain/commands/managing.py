"""Commands about run folders: runs, runs compare, runs delete."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from fedchain.cache import size_words
from fedchain.commands import options
from fedchain.commands.formats import Format, print_result, refuse, table
from fedchain.names import counted_words

if TYPE_CHECKING:
    from fedchain.reports.overview import RunRow

app = typer.Typer()
runs = typer.Typer()
app.add_typer(runs, name="runs", invoke_without_command=True)

PLACE = Path("runs")
"""Folder of runs that is listed unless another one is given."""


@runs.callback(epilog="Example: fedchain runs --in runs")
def list_runs(
    context: typer.Context,
    folder: Annotated[
        Path, typer.Option("--in", metavar="DIR", help="Folder of runs, or of sweeps.")
    ] = PLACE,
    form: options.Form = Format.rich,
) -> None:
    """List the runs in a folder: status, rounds, score, epsilon, messages of attackers.

    The score stands beside that of the best baseline, and epsilon is that of the holder with the
    most releases. A sweep is one row; --in sweeps/NAME/runs lists its runs.
    """
    if context.invoked_subcommand is not None:
        context.default_map = {name: {"form": form.value} for name in ("compare", "delete")}
        return
    from fedchain.reports.overview import overview

    rows = list(overview(folder))
    heads = ("run", "status", "rounds", "score", "baseline", "epsilon", "attackers")
    lines: list[Any] = [table(heads, map(_cells, rows))] if rows else []
    taken = sum(row.bytes for row in rows)
    lines.append(f"{counted_words(len(rows), 'folder')} in {folder}, {size_words(taken)}")
    lines += [f"warning   {row.name}: {row.problem}" for row in rows if row.problem]
    values = {"folder": str(folder), "runs": [asdict(row) for row in rows]}
    print_result(form, values, lines)


def _cells(row: RunRow) -> tuple[str, ...]:
    from fedchain.commands.fates import short_number

    score = f"{row.score} {short_number(row.value)}" if row.value is not None else row.score or "-"
    used = f"{row.byzantine_used}/{row.byzantine} used" if row.byzantine else "-"
    numbers = (
        short_number(each) if each is not None else "-" for each in (row.baseline, row.epsilon)
    )
    return row.name, row.status.replace("_", " "), row.rounds or "-", score, *numbers, used


@runs.command(
    "compare", epilog="Example: fedchain runs compare runs/first-light-* runs/first-light-*"
)
def compare_runs(
    first: options.RunPath, second: options.RunPath, form: options.Form = Format.rich
) -> None:
    """Compare two runs: what their scenarios ask differently, and what came out."""
    from fedchain.reports.overview import paired_figures, scenario_differences
    from fedchain.results import Run

    pair = Run.open(first), Run.open(second)
    asked, found = scenario_differences(*pair), paired_figures(*pair)
    heads = ("", first.name, second.name)
    lines = [
        "asked" if asked else "asked: the same",
        *([table(heads, _rows(asked))] if asked else []),
        "found",
        table(heads, _rows(found)),
    ]
    values = {
        "runs": [str(first), str(second)],
        **{name: {key: list(both) for key, both in each.items()}
           for name, each in (("asked", asked), ("found", found))},
    }  # fmt: skip
    print_result(form, values, lines)


def _rows(pairs: Mapping[str, tuple[Any, Any]]) -> list[tuple[str, str, str]]:
    return [(key, _word(one), _word(other)) for key, (one, other) in pairs.items()]


def _word(value: object) -> str:
    from fedchain.commands.fates import short_number
    from fedchain.scenario.writing import yaml_text

    if isinstance(value, float):
        return short_number(value)
    if value is None:
        return "-"
    return value[:16] if isinstance(value, str) else yaml_text(value)


@runs.command("delete", epilog="Example: fedchain runs delete runs/first-light-* --yes")
def delete_runs(
    paths: Annotated[
        list[Path],
        typer.Argument(
            metavar="RUN/SWEEP..",
            help="Folders of runs or of sweeps.",
            callback=options.there("the folder of a run or of a sweep"),
        ),
    ],
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Delete without a question.")] = False,
    form: options.Form = Format.rich,
) -> None:
    """Delete the folders of runs or sweeps, with everything in them, after a question.

    A run that goes on is not deleted, and no folder that is neither a run nor a sweep.
    """
    from fedchain.results.removal import bytes_of, is_removable, remove

    for path in paths:
        if not is_removable(path):
            refuse(f"{path}: is no run and no sweep; nothing was deleted")
    sizes = {str(path): bytes_of(path) for path in paths}
    if not yes:
        _ask(sizes)
    for path in paths:
        remove(path)
    lines = [f"deleted {path}, {size_words(size)}" for path, size in sizes.items()]
    print_result(form, {"deleted": list(sizes), "bytes": sum(sizes.values())}, lines)


def _ask(sizes: Mapping[str, int]) -> None:
    """Ask whether folders shall be deleted; end the command unless the answer is yes."""
    words = f"delete {counted_words(len(sizes), 'folder')}, {size_words(sum(sizes.values()))}"
    if not sys.stdin.isatty():
        refuse(f"runs delete: nobody can be asked whether to {words}; add --yes")
    for path in sizes:
        typer.echo(path, err=True)
    if not typer.confirm(f"{words}?", err=True):
        typer.echo("nothing was deleted", err=True)
        raise typer.Exit(1)
