"""Commands that make clouds denser: scan upsample."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from fedchain.commands import options
from fedchain.commands.filtered import MISSING, left_out_lines
from fedchain.commands.formats import (
    Format,
    print_result,
    progress_bar,
    refuse,
    repeatable,
    tables_that_fit,
)
from fedchain.names import counted_words

if TYPE_CHECKING:
    from rich.console import RenderableType

    from fedchain.surfaces.folders import Measured, UpsampledFolder

app = typer.Typer()


@app.command(name="upsample", epilog="Example: fedchain scan upsample scans -o dense")
def upsample_scans(
    folder: Annotated[
        Path, typer.Argument(metavar="FOLDER", help="A folder with scans or clouds.")
    ],
    out: Annotated[Path, options.out("Folder for the denser clouds.")],
    method: Annotated[
        Literal["midpoints", "refine", "pu_net"],
        typer.Option(help="How new points are made; midpoints learn nothing."),
    ] = "refine",
    factor: Annotated[
        Literal["4", "16"], typer.Option(help="How many times as many points are made.")
    ] = "4",
    model: Annotated[
        Path | None,
        typer.Option(
            metavar="MODEL",
            help="A model file of the method; default: the weights that fedchain ships.",
        ),
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Replace results that are there already.")
    ] = False,
    form: options.Form = Format.rich,
) -> None:
    """Make every cloud of a folder denser: 4 or 16 times as many points of the same surface.

    A scan on a grid becomes a cloud without one. Finished clouds are skipped, so an interrupted
    command can be repeated. The table also says what midpoints give, which learn nothing.
    """
    from fedchain.surfaces.folders import upsample_folder

    if model is not None and method == "midpoints":
        refuse("--model: midpoints learn nothing; give --method refine or --method pu_net")
    with repeatable(), progress_bar("Upsampling", form is not Format.json) as show:
        done = upsample_folder(
            folder, out, method=method, factor=4 if factor == "4" else 16, model=model,
            force=force, progress=show,
        )  # fmt: skip
    told = [f"{name}: {why}" for name, why in done.failed.items()]
    values = {
        "method": method,
        "factor": int(factor),
        "clouds": [each.model_dump() for each in done.clouds],
        "skipped": sorted(done.before),
        "failed": dict(done.failed),
        "left_out": dict(done.folder.left_out),
    }
    print_result(form, values, _lines(done, folder, out, method), told, MISSING if told else 0)


def _lines(done: UpsampledFolder, folder: Path, out: Path, method: str) -> Iterator[RenderableType]:
    yield f"read      {counted_words(len(done.folder.clouds), 'cloud')} in {folder}"
    yield from left_out_lines(done.folder)
    learned = method != "midpoints"
    heads = ("cloud", "points", "made", "mm apart", "mm now", "uneven", "uneven now",
             *(("midpoints: mm", "midpoints: uneven") if learned else ()))  # fmt: skip
    rows = (
        (
            each.name, f"{each.before.points:,}", f"{each.after.points:,}",
            _mm(each.before), _mm(each.after), _uneven(each.before), _uneven(each.after),
            *((_mm(each.midpoints), _uneven(each.midpoints)) if learned else ()),
        )
        for each in done.clouds
    )  # fmt: skip
    if done.clouds:
        yield from tables_that_fit(heads, list(rows))
        yield (
            "apart     mean distance to the nearest other point; uneven: its standard deviation "
            "divided by this mean"
        )
    for each in done.clouds:
        for words in each.lost:
            yield f"left out  {each.name}: {words}, which {Path(each.cloud).suffix} does not hold"
    before = f", {len(done.before)} of them before" if done.before else ""
    failed = f", {len(done.failed)} failed" if done.failed else ""
    yield f"files     {out}: {counted_words(len(done.clouds), 'cloud')}{before}{failed}"


def _mm(measured: Measured) -> str:
    return f"{1e3 * measured.spacing:.3g}"


def _uneven(measured: Measured) -> str:
    return f"{measured.unevenness:.2f}"
