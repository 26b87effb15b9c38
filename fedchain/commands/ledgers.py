"""fedchain verify, inspect, tamper: check a ledger, look into it, damage a copy of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from fedchain.commands.formats import USAGE, Format, FormatOption, print_json, stderr, stdout
from fedchain.names import command

if TYPE_CHECKING:
    from fedchain.ledger.tools.verification import Verification

app = typer.Typer()

NOT_VERIFIED = 5
"""Exit code of a verification that failed."""
RunArgument = Annotated[Path, typer.Argument(metavar="RUN", help="A run's folder.")]


@app.command(epilog="Example: fedchain verify runs/first-light-*")
def verify(
    run: RunArgument,
    trust_user_parts: Annotated[
        bool,
        typer.Option(
            "--trust-user-parts",
            help="Import a rule of your own (module:function) that the ledger names.",
        ),
    ] = False,
    form: FormatOption = Format.rich,
) -> None:
    """Check a ledger from disk: hashes, links, work, signatures, identities, every model.

    RUN may also be a folder that fedchain import made, or a file of fedchain export.
    """
    from fedchain.ledger.tools.chain_file import verify_file
    from fedchain.results import Run
    from fedchain.transition import steps_of

    if not run.exists():
        refuse(f"{run}: no such folder; give a run's folder")
    with blocks_done("Verifying") as done:
        if run.is_file():
            found = verify_file(run, steps_of(trust_user_parts), done)
        else:
            found = Run(run).verify(done, trust_user_parts)
    show_verdict(found, form)


def show_verdict(found: Verification, form: Format) -> None:
    """Print what a verification found; exit if it failed."""
    if form is Format.json:
        failure = {"height": found.height, "block": found.block, "reason": found.reason}
        open_ = {"unchecked": list(found.unchecked)} if found.unchecked else {}
        shown = open_ if found.ok else failure
        print_json({"ok": found.ok, "blocks": found.blocks, **shown})
    else:
        stdout(form).print(f"{'ok' if found.ok else 'FAILED'}: {found}", markup=False)
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
        seen = look(run, what, which)
    except ValueError as error:
        refuse(str(error))
    if form is Format.json:
        print_json(seen.values)
    else:
        for part in seen.shown(form):
            stdout(form).print(part)


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
        stdout(form).print("\n".join(DAMAGEABLE))
        return
    if out is None:
        refuse("--out: is missing; give a new folder for the damaged copy")
    try:
        tampered_copy(run, out, block, field)
    except (ValueError, KeyError) as error:
        refuse(str(error))
    if form is Format.json:
        print_json({"run": str(out), "block": block, "field": field})
    else:
        stdout(form).print(f"damaged {field} of block {block} in the copy {out}", markup=False)
        stdout(form).print(f"next      {command('verify', out)}", markup=False)


@contextmanager
def blocks_done(what: str) -> Iterator[Callable[[int, int], None]]:
    """Show a bar on a terminal; yield a function that takes (blocks done, blocks in all)."""
    from rich.progress import Progress

    console = stderr()
    with Progress(console=console, transient=True, disable=not console.is_terminal) as bar:
        blocks = bar.add_task(what, total=None)
        yield lambda done, total: bar.update(blocks, completed=done, total=total)


def refuse(text: str) -> NoReturn:
    """Print what is wrong with the call of a command, and exit."""
    typer.echo(text, err=True)
    raise typer.Exit(USAGE)
