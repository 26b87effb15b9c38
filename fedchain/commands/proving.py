"""fedchain prove, check-proof: prove that a block has a message, and check the proof.

The check needs only the header of the block.
"""

from __future__ import annotations

import re
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fedchain.commands.formats import Format, FormatOption, RunArgument, print_result, refuse
from fedchain.commands.ledgers import NOT_VERIFIED

if TYPE_CHECKING:
    from fedchain.ledger.tools.proof import Proven

app = typer.Typer()


@app.command(epilog="Example: fedchain prove runs/first-light-* --message 12:0 -o proof.json")
def prove(
    run: RunArgument,
    message: Annotated[
        str,
        typer.Option(
            help="Id of the message, or 8 digits of its start, as inspect shows it; or "
            "HEIGHT:PLACE, the block's height and the place in it, from 0."
        ),
    ],
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="File of the proof; default: stdout.")
    ] = None,
) -> None:
    """Prove that a message is in a block, to somebody who has only the block's header."""
    from fedchain.ledger.storage.store import Store
    from fedchain.ledger.tools import proof
    from fedchain.results import LEDGER, write_whole

    try:
        with Store.open(run / LEDGER, writable=False) as store:
            found = proof.find(store, message)
            made = proof.encode(proof.prove(store, found))
    except ValueError as error:
        refuse(str(error))
    if found.stale:
        name = found.block.hex()
        typer.echo(f"block {name[:8]} is stale: the main chain has not this message", err=True)
    if out is None:
        typer.echo(made.decode(), nl=False)
        return
    write_whole(out, made)
    typer.echo(f"message {found.id.hex()} is in block {found.block.hex()}; proof in {out}")


@app.command("check-proof", epilog="Example: fedchain check-proof proof.json")
def check_proof(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Written by fedchain prove.")],
    header: Annotated[
        str | None,
        typer.Option(help="Hash of the block, from somebody you trust: 64 hexadecimal digits."),
    ] = None,
    form: FormatOption = Format.rich,
) -> None:
    """Check a proof of fedchain prove; this needs no run and no ledger."""
    from fedchain.errors import LedgerError
    from fedchain.ledger.tools import proof

    if header is not None and not re.fullmatch("[0-9a-fA-F]{64}", header):
        refuse(f"--header: {header[:80]!r} is no hash; give 64 hexadecimal digits")
    try:
        read = proof.decode(_bytes_of(file, proof.LARGEST_PROOF))
        shown = proof.verify_proof(read)
        if header is not None and read.block.hex() != header.lower():
            raise LedgerError(f"header: the proof is of block {read.block.hex()}, not of that one")
    except LedgerError as error:
        print_result(form, {"ok": False, "reason": str(error)}, [f"FAILED: {error}"])
        raise typer.Exit(NOT_VERIFIED) from error
    simulated = "" if "work" in shown.checked else "; not checked: work, which was simulated"
    trust = "" if header else "; compare the block's hash with one that you trust"
    lines = [
        f"ok: message {read.id.hex()}",
        f"is in block {read.block.hex()} (height {shown.header.height})",
        f"checked: {', '.join(shown.checked)}{simulated}{trust}",
    ]
    given = {"header_given": header is not None}
    print_result(form, {"ok": True, "block": read.block.hex(), **_as_json(shown), **given}, lines)


def _as_json(shown: Proven) -> dict[str, object]:
    from fedchain.ledger.chain.message import identity_of

    said = shown.message
    return {
        "height": shown.header.height,
        "message": said.id.hex(),
        "identity": identity_of(said.public_key).hex(),
        "norm": said.norm,
        **asdict(said.declaration),
        "checked": shown.checked,
    }


def _bytes_of(file: Path, most: int) -> bytes:
    """Read at most ``most + 1`` bytes of a file, enough to see that it is too large."""
    from fedchain.errors import cannot

    try:
        with file.open("rb") as opened:
            return opened.read(most + 1)
    except OSError as error:
        raise cannot(file, "be read", error) from error
