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

    from fedchain.surfaces.folders import CloudFigures, UpsampledFolder
    from fedchain.surfaces.model_file import SurfaceModel
    from fedchain.surfaces.upsampling import UpsamplingMethod

app = typer.Typer()


@app.command(name="upsample", epilog="Example: fedchain scan upsample scans -o dense")
def upsample_scans(
    folder: Annotated[
        Path, typer.Argument(metavar="FOLDER", help="A folder with scans or clouds.")
    ],
    out: Annotated[Path, options.out("Folder for the denser clouds.")],
    method: Annotated[
        Literal["midpoints", "refine", "pu_net"] | None,
        typer.Option(
            help="How new points are made; midpoints learn nothing. Default: refine, or the run's."
        ),
    ] = None,
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
    from_run: Annotated[
        Path | None,
        typer.Option(
            "--from-run", metavar="RUN", help="Take the model from a run on clouds instead."
        ),
    ] = None,
    height: Annotated[
        int | None,
        typer.Option(min=0, help="Block whose model is taken; default: the run's last."),
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
    if height is not None and from_run is None:
        refuse("--height: is the height of a run's block; give the run with --from-run")
    used: Path | SurfaceModel | None = model
    if from_run is not None:
        if model is not None:
            refuse("--from-run: give either a run or a model file (--model)")
        used = _model_of_run(from_run, height, method)
        method = used.card.kind
    method = method or "refine"
    with repeatable(), progress_bar("Upsampling", form is not Format.json) as show:
        done = upsample_folder(
            folder, out, method=method, factor=4 if factor == "4" else 16, model=used,
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


def _model_of_run(run: Path, height: int | None, method: UpsamplingMethod | None) -> SurfaceModel:
    """Return the model of a run; a method that is given must be the model's."""
    from fedchain.results.surface_models import surface_model_of

    found = surface_model_of(run, height)
    if method is not None and method != found.card.kind:
        refuse(f"--method: the run has a model of {found.card.kind}; leave --method out")
    return found


def _lines(done: UpsampledFolder, folder: Path, out: Path, method: str) -> Iterator[RenderableType]:
    yield f"read      {counted_words(len(done.folder.clouds), 'cloud')} in {folder}"
    yield from left_out_lines(done.folder)
    learned = method != "midpoints"
    heads = ("cloud", "points", "made", "mm apart", "mm now", "uneven", "uneven now",
             *(("plain mm", "plain uneven") if learned else ()))  # fmt: skip
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
        plain = "; plain: by midpoints, which learn nothing" if learned else ""
        yield (
            "apart     mean distance to the nearest other point; uneven: its standard deviation "
            f"divided by this mean{plain}"
        )
    for each in done.clouds:
        for words in each.lost:
            yield f"left out  {each.name}: {words}, which {Path(each.cloud).suffix} does not hold"
    before = f", {len(done.before)} of them before" if done.before else ""
    failed = f", {len(done.failed)} failed" if done.failed else ""
    yield f"files     {out}: {counted_words(len(done.clouds), 'cloud')}{before}{failed}"


def _mm(measured: CloudFigures) -> str:
    return f"{1e3 * measured.spacing:.3g}"


def _uneven(measured: CloudFigures) -> str:
    return f"{measured.unevenness:.2f}"
