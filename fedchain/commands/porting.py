"""fedchain export, import: a chain as one file, for another machine or another program."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from fedchain.commands.formats import (
    Format,
    FormatOption,
    RunArgument,
    print_result,
    progress_bar,
    refuse,
    trust_option,
)
from fedchain.commands.ledgers import show_verdict
from fedchain.names import command

app = typer.Typer()


@app.command(epilog="Example: fedchain export runs/first-light-* -o first_light.fedchain")
def export(
    run: RunArgument,
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="File of the chain; default: RUN.fedchain, here."),
    ] = None,
    form: FormatOption = Format.rich,
) -> None:
    """Write the chain of a run as one file: rules, first weights, every block, stale ones too."""
    from fedchain.results import exported_to

    if not run.is_dir():
        refuse(f"{run}: no such folder; give a run's folder")
    file = out or Path(f"{run.resolve().name}.fedchain")
    if file.exists():
        refuse(f"{file}: is there already; give another file with --out")
    with progress_bar("Exporting") as done:
        blocks = exported_to(run, file, done)
    size = file.stat().st_size
    lines = [
        f"{blocks} blocks, {size / 1e6:.3g} MB in {file}",
        f"next      {command('verify', file)}   ·   {command('import', file)} --out FOLDER",
    ]
    print_result(form, {"file": str(file), "blocks": blocks, "bytes": size}, lines)


@app.command("import", epilog="Example: fedchain import first_light.fedchain --out imported")
def import_(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Written by fedchain export.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="New folder of the ledger.")],
    trust_user_parts: Annotated[
        bool, trust_option("a rule of your own (module:function) that the chain names")
    ] = False,
    form: FormatOption = Format.rich,
) -> None:
    """Check a chain while it is read, and keep it if every block is valid; else keep nothing."""
    from fedchain.results import imported_from

    if out.exists():
        refuse(f"{out}: is there already; give a new folder")
    with progress_bar("Importing") as done:
        found = imported_from(file, out, trust_user_parts, done)
    show_verdict(found, form)
