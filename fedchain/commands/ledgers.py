"""Commands about one ledger: verify, inspect, tamper, export, import, prove, check-proof."""

from __future__ import annotations

import re
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fedchain.commands import options
from fedchain.commands.formats import (
    REFUSED_CHAIN,
    Format,
    print_result,
    progress_bar,
    refuse,
    table,
)
from fedchain.names import command

if TYPE_CHECKING:
    from rich.console import RenderableType

    from fedchain.checks import RunVerdict

app = typer.Typer()


@app.command(epilog="Example: fedchain verify runs/first-light-* --replay")
def verify(
    run: options.RunPath,
    replay: Annotated[
        bool,
        typer.Option("--replay", help="Compute every message again from scenario, data and seed."),
    ] = False,
    metrics: Annotated[
        bool,
        typer.Option("--metrics/--no-metrics", help="Measure the model of every round again."),
    ] = True,
    secret: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="The file with which the run was begun."),
    ] = None,
    trust_user_parts: Annotated[
        bool, options.trust("code of your own (module:function) that ledger or scenario name")
    ] = False,
    form: options.Form = Format.rich,
) -> None:
    """Check a run: its ledger, and everything in its folder that follows from ledger and scenario.

    The run is repeated with the messages and blocks of its ledger. RUN may also be a folder that
    fedchain import made, or a file of fedchain export.
    """
    from fedchain import checks

    with progress_bar("Verifying") as done:
        found = checks.verify(
            run,
            trust_user_parts=trust_user_parts,
            secret=secret,
            metrics=metrics,
            replay=replay,
            progress=done,
        )
    _show_verdict(found, form)


def _show_verdict(verdict: RunVerdict, form: Format) -> None:
    """Print what was checked and what was not; exit if something is wrong."""
    found = verdict.ledger
    words = str(replace(found, unchecked=())) if verdict.ok else verdict.reason
    lines: list[RenderableType] = [_harmless(f"{'ok' if verdict.ok else 'FAILED'}: {words}")]
    if verdict.changed:
        why = "no proof of what was run" if verdict.ok else "perhaps the reason, and no tampering"
        lines.append(_harmless(f"changed ({why}): {verdict.changed}"))
    if found.ok:  # otherwise nothing else was looked at
        rows = [(each.what, each.result, _harmless(each.words)) for each in verdict.checks]
        shown = table(("check", "result", "what was compared, or why not"), rows)
        lines += [f"head {found.block}", shown, *verdict.notes]
    print_result(form, verdict.values, lines, code=0 if verdict.ok else REFUSED_CHAIN)


def _harmless(text: str) -> str:
    """Return a stranger's text with escapes in place of a terminal's control characters."""
    signs = (c if c.isprintable() or c == "\n" else ascii(c)[1:-1] for c in text)
    return "".join(signs)


@app.command(epilog="Example: fedchain inspect runs/first-light-* block 12")
def inspect(
    run: options.RunPath,
    what: Annotated[
        str | None,
        typer.Argument(metavar="[block|round|node|refusals]", help="Nothing: the whole chain."),
    ] = None,
    which: Annotated[
        str | None, typer.Argument(metavar="[N|ID]", help="Height, round, or holder: 12, h3, c0.")
    ] = None,
    form: options.Form = Format.rich,
) -> None:
    """Show parts of a run: the chain, a block, a round's messages, a node's history, refusals."""
    from fedchain.commands.explorer import look

    print_result(form, *look(run, what, which))


@app.command(
    epilog="Example: fedchain tamper runs/first-light-* --block 12 --field weights --out damaged"
)
def tamper(
    run: options.RunPath,
    out: Annotated[
        Path | None, typer.Option(help="Folder of the damaged copy; must not exist.")
    ] = None,
    block: Annotated[int, typer.Option(min=0, help="Height of the block.")] = 1,
    field: Annotated[str, typer.Option(help="What is damaged; 'list' names all.")] = "weights",
    form: options.Form = Format.rich,
) -> None:
    """Damage a copy of a run, to see that verify finds the damage; the run itself stays intact."""
    from fedchain.ledger.tools.tampering import DAMAGEABLE
    from fedchain.results import tampered_copy

    if field == "list":
        print_result(form, {"fields": list(DAMAGEABLE)}, DAMAGEABLE)
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
    run: options.RunPath,
    out: Annotated[Path | None, options.out("The new file; default: RUN.fedchain, here.")] = None,
    form: options.Form = Format.rich,
) -> None:
    """Write the chain of a run as one file: rules, first weights, every block, stale ones too."""
    from fedchain.results import exported_to, name_of_export

    file = out or Path(name_of_export(run))
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
    file: Annotated[
        Path,
        typer.Argument(
            metavar="FILE",
            help="Written by fedchain export.",
            callback=options.there("a file of fedchain export"),
        ),
    ],
    out: Annotated[Path, options.out("New folder of the ledger.")],
    trust_user_parts: Annotated[
        bool, options.trust("a rule of your own (module:function) that the chain names")
    ] = False,
    form: options.Form = Format.rich,
) -> None:
    """Check a chain while it is read, and keep it only if every block is valid."""
    from fedchain.checks import verdict_on_chain
    from fedchain.results import imported_from

    with progress_bar("Importing") as done:
        found = imported_from(file, out, trust_user_parts, done)
    _show_verdict(verdict_on_chain(found), form)


@app.command(epilog="Example: fedchain prove runs/first-light-* --message 12:0 -o proof.json")
def prove(
    run: options.RunPath,
    message: Annotated[
        str,
        typer.Option(
            help="Id of the message, or 8 digits of its start, as inspect shows it; or "
            "HEIGHT:PLACE, the block's height and the place in it, from 0."
        ),
    ],
    out: Annotated[Path | None, options.out("File of the proof; default: stdout.")] = None,
    form: options.Form = Format.rich,
) -> None:
    """Prove that a message is in a block, to somebody who has only the block's header."""
    from fedchain.files import check_folder, write_output
    from fedchain.ledger.storage.store import Store
    from fedchain.ledger.tools import proof
    from fedchain.results import LEDGER

    check_folder(run)
    try:
        with Store.open(run / LEDGER, writable=False) as store:
            found = proof.find(store, message)
            made = proof.encode(proof.prove(store, found))
    except ValueError as error:
        refuse(str(error))
    name, block = found.id.hex(), found.block.hex()
    if found.stale:
        typer.echo(f"block {block[:8]} is stale: the main chain has not this message", err=True)
    if out is None:  # the proof is JSON itself
        typer.echo(made.decode(), nl=False)
        return
    write_output(out, made)
    values = {"message": name, "block": block, "stale": found.stale, "file": str(out)}
    print_result(form, values, [f"message {name} is in block {block}; proof in {out}"])


@app.command("check-proof", epilog="Example: fedchain check-proof proof.json")
def check_proof(
    file: Annotated[
        Path,
        typer.Argument(
            metavar="FILE",
            help="Written by fedchain prove.",
            callback=options.there("a file of fedchain prove"),
        ),
    ],
    header: Annotated[
        str | None,
        typer.Option(help="Hash of the block, from somebody you trust: 64 hexadecimal digits."),
    ] = None,
    form: options.Form = Format.rich,
) -> None:
    """Check a proof of fedchain prove; no run and no ledger are needed."""
    from fedchain.errors import LedgerError
    from fedchain.ledger.chain.message import identity_of
    from fedchain.ledger.tools import proof

    if header is not None and not re.fullmatch("[0-9a-fA-F]{64}", header):
        refuse(f"--header: {header[:80]!r} is no hash; give 64 hexadecimal digits")
    try:
        read = proof.decode(_start_of(file, proof.LARGEST_PROOF + 1))
        shown, block = proof.verify_proof(read), read.block.hex()
        if header is not None and block != header.lower():
            raise LedgerError(f"header: the proof is of block {block}, not of that one")
    except LedgerError as error:
        print_result(form, {"ok": False, "reason": str(error)}, [f"FAILED: {error}"])
        raise typer.Exit(REFUSED_CHAIN) from error
    simulated = "" if "work" in shown.checked else "; not checked: work, which was simulated"
    trust = "" if header else "; compare the block's hash with one that you trust"
    lines = [
        f"ok: message {read.id.hex()}",
        f"is in block {block} (height {shown.header.height})",
        f"checked: {', '.join(shown.checked)}{simulated}{trust}",
    ]
    values = {
        "ok": True,
        "block": block,
        "height": shown.header.height,
        "message": shown.message.id.hex(),
        "identity": identity_of(shown.message.public_key).hex(),
        "norm": shown.message.norm,
        **asdict(shown.message.declaration),
        "checked": shown.checked,
        "header_given": header is not None,
    }
    print_result(form, values, lines)


def _start_of(file: Path, most: int) -> bytes:
    """Read at most ``most`` bytes from the start of a file."""
    from fedchain.errors import cannot

    try:
        with file.open("rb") as opened:
            return opened.read(most)
    except OSError as error:
        raise cannot(file, "be read", error) from error
