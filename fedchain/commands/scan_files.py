"""Commands on files of scans and on machines: scan simulate, scan convert, scan benchmark."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from fedchain.commands import options
from fedchain.commands.formats import Format, print_result, progress_bar, refuse, table
from fedchain.names import command

if TYPE_CHECKING:
    from rich.console import RenderableType

    from fedchain.scans.benchmark import Row

app = typer.Typer()

AXES = {"x": 0, "y": 1, "z": 2}
"""Axes of a mesh file by name."""
MOST_PIXELS = 1 << 24
"""Most pixels of a training step that is measured; five full scans of a PhoXi scanner."""


@app.command(
    name="simulate", epilog="Example: fedchain scan simulate -o scans --turntables 2 --views 6"
)
def simulate_scans(
    out: Annotated[Path, options.out("Folder for the scans; must be missing or empty.")],
    turntables: Annotated[int, typer.Option(min=1, max=1000, help="Turntables.")] = 4,
    views: Annotated[int, typer.Option(min=1, max=1000, help="Scans of each turntable.")] = 8,
    size: Annotated[
        str, typer.Option(metavar="HEIGHTxWIDTH", help="Pixels of a scan, such as 192x256.")
    ] = "192x256",
    walls: Annotated[bool, typer.Option("--walls", help="Put the objects into bins.")] = False,
    mesh: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="A mesh to scan: OBJ, STL, OFF or PLY."),
    ] = None,
    length: Annotated[
        float | None, typer.Option(min=0.005, max=1, help="Longest side of the mesh in metres.")
    ] = None,
    up: Annotated[
        Literal["x", "y", "z"], typer.Option(help="Axis of the mesh that points up.")
    ] = "y",
    ending: Annotated[
        Literal[".npz", ".ply", ".pcd"], typer.Option(help="Format of the files.")
    ] = ".npz",
    seed: Annotated[int, typer.Option(min=0, help="Seed; another one gives other scans.")] = 0,
    form: options.Form = Format.rich,
) -> None:
    """Simulate scans of turntables, each with its cleaned version: pairs to train on.

    Each turntable is a folder of its own, with its own scanner and materials.
    """
    from fedchain.scans.simulator.folder import simulate_folder

    solid = None
    if mesh is not None:
        from fedchain.scans.simulator.meshes import read_solid

        solid = read_solid(mesh, length=length, up=AXES[up])
    elif length is not None:
        refuse("--length: is the length of a mesh; give one with --mesh")
    made = []
    with progress_bar("Simulating", form is not Format.json) as show:
        for written in simulate_folder(
            out, seed=seed, turntables=turntables, views=views, size=_size(size),
            walled=walls, solid=solid, ending=ending,
        ):  # fmt: skip
            made.append(written)
            show(len(made), turntables * views)
    points, outliers = (sum(getattr(each, n) for each in made) for n in ("points", "outliers"))
    values = {
        "folder": str(out),
        "scans": [{k: v if isinstance(v, int) else str(v) for k, v in asdict(e).items()}
                  for e in made],
    }  # fmt: skip
    share = outliers / max(points, 1)
    print_result(form, values, (
        f"wrote     {len(made)} pairs of {turntables} turntables: {points:,} points, "
        f"{share:.1%} of them to be erased",
        f"files     {out}",
        f"next      {command('scan train', out, '-o cleaner.npz')}",
    ))  # fmt: skip


def _size(text: str) -> tuple[int, int]:
    height, _, width = text.partition("x")
    if not (height.isdecimal() and width.isdecimal() and len(text) < 20):
        refuse(f"--size: must be HEIGHTxWIDTH, such as 192x256, got {text}")
    return int(height), int(width)


@app.command(
    name="convert", epilog="Example: fedchain scan convert scans/turntable_00/scan_000.npz scan.ply"
)
def convert_file(
    source: Annotated[
        Path, typer.Argument(metavar="FILE", help="The file to read, or the word motorcycle.")
    ],
    target: Annotated[
        Path, typer.Argument(metavar="NEW", help="The file to write; its ending says the format.")
    ],
    unit: Annotated[
        Literal["m", "mm"] | None,
        typer.Option(help="Unit of a file that does not say its own; default: metres."),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace the new file.")] = False,
    form: options.Form = Format.rich,
) -> None:
    """Convert a scan or a cloud into another format, in metres.

    Reads COGS, NPY, NPZ, PCD, PLY, XYZ and 16-bit depth PNG; writes all of them but COGS.
    """
    from fedchain.scans.formats import convert

    if target.exists() and not force:
        refuse(f"{target}: is there already; give --force to replace it")
    done = convert(source, target, unit)
    grid = f" on a grid of {done.grid[0]} x {done.grid[1]} pixels" if done.grid else ""
    values = {"file": str(target), "points": done.points, "grid": done.grid, "lost": done.lost}
    lines = [f"read      {source}: {done.points:,} points", f"wrote     {target}{grid}"]
    lines += [f"left out  {words}, which the format does not hold" for words in done.lost]
    print_result(form, values, lines)


@app.command(epilog="Example: fedchain scan benchmark --size 64x64 --repeats 1 --threads 1")
def benchmark(
    model: Annotated[
        str, typer.Option(metavar="KIND", help="A model of fedchain list model, as it is.")
    ] = "gajdosech_unet",
    size: Annotated[
        str, typer.Option(metavar="HEIGHTxWIDTH", help="Pixels of an image.")
    ] = "256x256",
    batch: Annotated[int, typer.Option(min=1, max=1024, help="Scans in a training step.")] = 2,
    repeats: Annotated[int, typer.Option(min=1, max=1000, help="Turns of all back ends.")] = 5,
    threads: Annotated[
        str, typer.Option(metavar="A,B,..", help="Numbers of threads on the processor.")
    ] = "1,2",
    training: Annotated[
        bool, typer.Option("--training/--no-training", help="Also measure training.")
    ] = True,
    clock: Annotated[
        Literal["wall", "processor"], typer.Option(help="Times that the table shows.")
    ] = "wall",
    form: options.Form = Format.rich,
) -> None:
    """Measure a model by every back end of this machine, for training and inference.

    The back ends take turns and are compared with eager PyTorch: channels last, bfloat16,
    compiled, ONNX Runtime and OpenVINO where they are installed, and CUDA where there is a GPU.
    """
    from fedchain.learning.task import models
    from fedchain.scans.benchmark import measure_backends

    counts = [int(part) for part in threads.split(",") if part.isdecimal() and 0 < int(part) < 1025]
    if len(counts) != threads.count(",") + 1:
        refuse(f"--threads: must be numbers from 1 to 1024, got {threads}")
    height, width = _size(size)
    if batch * height * width > MOST_PIXELS:
        refuse(f"--size: {batch} scans of {size} pixels; allowed: {MOST_PIXELS:,} pixels together")
    part, steps = models.check({"kind": model}, ("model",)), 0
    with progress_bar("Measuring", form is not Format.json) as show:

        def tell(what: str) -> None:
            nonlocal steps
            steps += 1
            show(steps, math.inf, what)

        try:
            rows = measure_backends(
                model=part, size=(height, width), batch=batch, repeats=repeats, threads=counts,
                training=training, progress=tell,
            )  # fmt: skip
        except ValueError as error:
            refuse(f"--size: {error}")
    print_result(form, {"rows": [asdict(row) for row in rows]}, _benchmark_lines(rows, clock))


def _benchmark_lines(
    rows: list[Row], clock: Literal["wall", "processor"]
) -> Iterator[RenderableType]:
    from fedchain.scans.benchmark import COLUMNS, benchmark_notes, table_cells

    yield table(COLUMNS, table_cells(rows, clock))
    yield from benchmark_notes(rows)
