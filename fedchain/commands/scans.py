"""Commands on 3D scans, without federation: scan simulate, train, filter, evaluate, convert .."""

from __future__ import annotations

import typer

from fedchain.commands import cleaning

app = typer.Typer()
scan = typer.Typer(
    help="Train models on folders of 3D scans, and clean, compare and convert scans.",
    no_args_is_help=True,
    epilog="Example: fedchain scan --help",
)
app.add_typer(scan, name="scan")
scan.add_typer(cleaning.app)
