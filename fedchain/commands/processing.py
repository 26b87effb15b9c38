"""Command for the whole way from scans to surfaces: scan process."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from fedchain.commands import options
from fedchain.commands.cleaning import (
    DeviceName,
    Force,
    FromRun,
    Height,
    ModelFile,
    chosen_model,
)
from fedchain.commands.filtered import MISSING, left_out_lines
from fedchain.commands.formats import Format, print_result, progress_bar, refuse, repeatable, table
from fedchain.names import counted_words

if TYPE_CHECKING:
    from rich.console import RenderableType

    from fedchain.surfaces.process.records import Processed

app = typer.Typer()


@app.command(epilog="Example: fedchain scan process scans --upsample 4 -o processed")
def process(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="A folder with scans.")],
    out: Annotated[Path, options.out("Folder for clouds, surfaces, pictures and the page.")],
    model: ModelFile = None,
    from_run: FromRun = None,
    height: Height = None,
    even_unlike: Annotated[
        bool,
        typer.Option(
            "--even-unlike",
            help="Also erase points of scans that are unlike the training scans.",
        ),
    ] = False,
    refine: Annotated[
        bool,
        typer.Option("--refine/--no-refine", help="First move merged scans onto each other."),
    ] = True,
    upsample: Annotated[
        Literal["4", "16"] | None,
        typer.Option(help="Points for one filtered point; default: as they are."),
    ] = None,
    upsampling: Annotated[
        Literal["midpoints", "refine", "pu_net"],
        typer.Option(help="How points are added; midpoints learn nothing."),
    ] = "refine",
    upsampling_model: Annotated[
        Path | None,
        typer.Option(
            metavar="MODEL", help="A model file that adds points; default: the shipped weights."
        ),
    ] = None,
    surface: Annotated[
        Literal["auto", "poisson", "marching"],
        typer.Option(
            help="How surfaces are found; auto: poisson where Open3D is installed, else marching."
        ),
    ] = "auto",
    depth: Annotated[
        int, typer.Option(min=5, max=11, help="Finest cells: 2^depth along the longest side.")
    ] = 9,
    device: DeviceName = "auto",
    force: Force = False,
    form: options.Form = Format.rich,
) -> None:
    """Take the whole way from scans to surfaces: filter, merge, upsample where asked, reconstruct.

    Scans of a turntable whose cameras are known become one surface, each other scan its own.
    index.html shows every stage of every scan, stages.csv and stages.json what each stage changed.
    Finished stages are skipped, so an interrupted command can be repeated. A scan that fails is
    named, and does not stop the others.
    """
    from fedchain.surfaces.process.processing import process_folder
    from fedchain.surfaces.process.records import ProcessSettings

    if upsample is None and upsampling_model is not None:
        refuse("--upsampling-model: is for points that are added; give --upsample 4 or 16")
    with repeatable(), progress_bar("Processing", form is not Format.json) as show:
        trained, name = chosen_model(model, from_run, height, device)
        settings = ProcessSettings(
            model=name,
            even_unlike=even_unlike,
            refine=refine,
            upsample=None if upsample is None else 4 if upsample == "4" else 16,
            upsampling=upsampling,
            upsampling_model=upsampling_model,
            surface=surface,
            depth=depth,
        )
        done = process_folder(folder, trained, out, settings, force=force, progress=show)
    told = [
        *_warnings(done),
        *(f"{each.name}: {each.stage}: {each.reason}" for each in done.failures),
    ]
    code = MISSING if done.failures else 0
    print_result(form, _values(done, out), _lines(done, folder, out), told, code)


def _warnings(done: Processed) -> Iterator[str]:
    for each in done.sets:
        for change in each.changes:
            yield from (f"{change.name}: {note}" for note in change.notes)
        if each.joined is not None and len(each.scans) > 1:
            for name, why in each.joined.alone.items():
                yield f"{name}: not merged with its set, has a surface of its own: {why}"


def _values(done: Processed, out: Path) -> dict[str, Any]:
    from fedchain.surfaces.process.page import PAGE
    from fedchain.surfaces.process.table import table_rows

    return {
        "settings": done.settings.words(),
        "stages": table_rows(done),
        "merged": {
            each.joined.name: list(each.joined.merged)
            for each in done.sets
            if each.joined is not None and each.joined.merged
        },
        "alone": {
            name: why
            for each in done.sets
            if each.joined is not None
            for name, why in each.joined.alone.items()
        },
        "failed": [
            {"name": each.name, "stage": each.stage, "reason": each.reason}
            for each in done.failures
        ],
        "left_out": dict(done.folder.left_out),
        "made": done.made,
        "skipped": done.before,
        "page": str(out / PAGE),
    }


def _lines(done: Processed, folder: Path, out: Path) -> Iterator[RenderableType]:
    from fedchain.surfaces.process.page import PAGE, UNITS, outcome_of
    from fedchain.surfaces.process.table import HEADS, TABLE_FILES, stage_cells

    yield outcome_of(done)
    yield f"read      {counted_words(len(done.folder.scans), 'scan')} in {folder}"
    yield from left_out_lines(done.folder)
    yield table(HEADS, stage_cells(done))
    yield UNITS
    yield f"made      {done.made} results now, {done.before} before"
    yield f"files     {out}: clouds, surfaces, pictures, {', '.join(TABLE_FILES)}"
    yield f"page      {out / PAGE}"
