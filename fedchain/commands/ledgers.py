"""Commands about one ledger: verify, inspect, tamper (with a copy), export, import."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

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
from fedchain.names import command

if TYPE_CHECKING:
    from fedchain.ledger.tools.verification import Verification

app = typer.Typer()

NOT_VERIFIED = 5
"""Exit code of a verification that failed."""


@app.command(epilog="Example: fedchain verify runs/first-light-*")
def verify(
    run: RunArgument,
    trust_user_parts: Annotated[
        bool, trust_option("a rule of your own (module:function) that the ledger names")
    ] = False,
    form: FormatOption = Format.rich,
) -> None:
    """Check a ledger from disk: hashes, links, work, signatures, identities, every model.

    In a run's folder the scenario is compared with what genesis says was agreed. RUN may also be
    a folder that fedchain import made, or a file of fedchain export.
    """
    from fedchain.ledger.tools.chain_file import verify_file
    from fedchain.results import Run
    from fedchain.results.agreed import ALONE
    from fedchain.transition import steps_of

    if not run.exists():
        refuse(f"{run}: no such folder; give a run's folder")
    with progress_bar("Verifying") as done:
        if run.is_file():
            found = verify_file(run, steps_of(trust_user_parts), done)
            found = replace(found, notes=(ALONE,))
        else:
            found = Run(run).verify(done, trust_user_parts)
    show_verdict(found, form)


def show_verdict(found: Verification, form: Format) -> None:
    """Print what a verification found; exit if it failed."""
    values: dict[str, Any] = {"ok": found.ok, "blocks": found.blocks}
    if not found.ok:
        values |= {"height": found.height, "block": found.block, "reason": found.reason}
    else:
        more = {"unchecked": list(found.unchecked), "notes": list(found.notes)}
        values |= {key: texts for key, texts in more.items() if texts}
    lines = [f"{'ok' if found.ok else 'FAILED'}: {found}", *(found.notes if found.ok else ())]
    print_result(form, values, lines)
    if not found.ok:
        raise typer.Exit(NOT_VERIFIED)


@app.command(epilog="Example: fedchain inspect runs/first-light-* block 12")
def inspect(
    run: RunArgument,
    what: Annotated[
        str | None,
        typer.Argument(metavar="[block|round|node|refusals]", help="Nothing: the whole chain."),
    ] = None,
    which: Annotated[
        str | None, typer.Argument(metavar="[N|ID]", help="Height, round, or holder: 12, h3, c0.")
    ] = None,
    form: FormatOption = Format.rich,
) -> None:
    """Look into a run: the chain, a block, a round's messages, a node's history, refusals."""
    from fedchain.commands.explorer import look

    try:
        values, lines = look(run, what, which, form)
    except ValueError as error:
        refuse(str(error))
    print_result(form, values, lines)


@app.command(
    epilog="Example: fedchain tamper runs/first-light-* --block 12 --field weights --out damaged"
)
def tamper(
    run: RunArgument,
    out: Annotated[
        Path | None, typer.Option(help="Folder of the damaged copy; must not exist.")
    ] = None,
    block: Annotated[int, typer.Option(min=0, help="Height of the block.")] = 1,
    field: Annotated[str, typer.Option(help="What is damaged; 'list' names all.")] = "weights",
    form: FormatOption = Format.rich,
) -> None:
    """Damage a copy of a run, to see that verify finds it; the run itself is not touched."""
    from fedchain.ledger.tools.tampering import DAMAGEABLE
    from fedchain.results import tampered_copy

    if field == "list":
        typer.echo("\n".join(DAMAGEABLE))
        return
    if out is None:
        refuse("--out: is missing; give a new folder for the damaged copy")
    try:
        tampered_copy(run, out, block, field)
    except (ValueError, KeyError) as error:
        refuse(str(error))
    lines = [f"damaged {field} of block {block} in the copy {out}"]
    lines.append(f"next      {command('verify', out)}")
    print_result(form, {"run": str(out), "block": block, "field": field}, lines)


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
