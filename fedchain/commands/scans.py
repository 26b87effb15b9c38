"""Commands on 3D scans, without federation: the group ``fedchain scan``."""

from __future__ import annotations

import typer

from fedchain.commands import cleaning, processing, reconstructing, scan_files, upsampling

app = typer.Typer()
scan = typer.Typer(
    help="Simulate, convert, clean and upsample 3D scans, and make surfaces of them; train models "
    "on folders of them.",
    no_args_is_help=True,
    epilog="Example: fedchain scan train scans -o cleaner.npz",
)
app.add_typer(scan, name="scan")
for module in (scan_files, cleaning, upsampling, reconstructing, processing):
    scan.add_typer(module.app)
