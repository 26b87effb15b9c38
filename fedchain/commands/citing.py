"""Command cite: what to cite for fedchain, and for what a run used."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fedchain.commands import options
from fedchain.commands.formats import Format, print_json, print_result

if TYPE_CHECKING:
    from fedchain.reports.citations import Citation

app = typer.Typer()


class CiteFormat(StrEnum):
    """How citations are printed."""

    text = "text"
    bibtex = "bibtex"
    json = "json"


@app.command(epilog="Example: fedchain cite runs/first-light-* --format bibtex")
def cite(
    run: Annotated[
        Path | None,
        typer.Argument(
            metavar="[RUN]",
            help="A run's folder; without it, fedchain and its protocol alone.",
            callback=lambda run: run and options.tell_owner(run),
        ),
    ] = None,
    form: Annotated[
        CiteFormat, typer.Option("--format", help="text, bibtex, or json with both.")
    ] = CiteFormat.text,
) -> None:
    """Say what to cite: fedchain, and for a run exactly the papers of what it used."""
    from fedchain.reports.citations import citations

    found, own = citations(run)
    if form is CiteFormat.json:
        print_json(
            {"run": run and str(run), "citations": [_values(each) for each in found], "own": own}
        )
    elif form is CiteFormat.bibtex:
        typer.echo("\n\n".join(each.source.bibtex for each in found))
    else:
        print_result(Format.plain, {}, _lines(found))
    if own and form is not CiteFormat.json:
        typer.echo(f"of your own, whose sources are not known: {', '.join(own)}", err=True)


def _values(citation: Citation) -> dict[str, object]:
    source = citation.source
    return {
        "key": source.key, "kind": source.kind, "uses": citation.uses, "text": source.text,
        "fields": source.fields, "bibtex": source.bibtex,
    }  # fmt: skip


def _lines(found: Sequence[Citation]) -> list[str]:
    return [f"{each.source.text}\n    for {', '.join(each.uses)}" for each in found]
