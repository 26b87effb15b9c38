"""Command that makes meshes of scans: scan reconstruct."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from fedchain.commands import options
from fedchain.commands.filtered import MISSING, left_out_lines
from fedchain.commands.formats import Format, print_result, progress_bar, repeatable, table
from fedchain.names import counted_words

if TYPE_CHECKING:
    from rich.console import RenderableType

    from fedchain.surfaces.mesh_folder import ReconstructedFolder

app = typer.Typer()

METHODS = {
    "poisson": "Poisson (Open3D)",
    "marching": "marching cubes on the distance to the points; Poisson needs the extra surfaces",
}
"""How surfaces are found, in words."""


@app.command(
    name="reconstruct",
    epilog="Example: fedchain scan reconstruct scans --method marching -o meshes",
)
def reconstruct_scans(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="A folder with scans.")],
    out: Annotated[Path, options.out("Folder for the meshes.")],
    method: Annotated[
        Literal["auto", "poisson", "marching"],
        typer.Option(
            help="How surfaces are found; auto: poisson where Open3D is installed, else marching."
        ),
    ] = "auto",
    merge: Annotated[
        bool | None,
        typer.Option(
            "--merge/--no-merge",
            help="One mesh of all scans of a set, or one of each; default: of those whose cameras "
            "are known.",
        ),
    ] = None,
    refine: Annotated[
        bool,
        typer.Option("--refine/--no-refine", help="First move merged scans onto each other."),
    ] = True,
    depth: Annotated[
        int, typer.Option(min=5, max=11, help="Finest cells: 2^depth along the longest side.")
    ] = 9,
    cut: Annotated[
        float | None,
        typer.Option(
            metavar="MM",
            min=0,
            help="Distance from the points from which a mesh is cut off; default: 6 spacings.",
        ),
    ] = None,
    ending: Annotated[
        Literal[".ply", ".stl", ".obj", ".off"], typer.Option(help="Format of the meshes.")
    ] = ".ply",
    force: Annotated[
        bool, typer.Option("--force", help="Replace meshes of other scans or settings.")
    ] = False,
    form: options.Form = Format.rich,
) -> None:
    """Make the surfaces of the scans of a folder: a mesh of each scan, or one of each turntable.

    The scans of a turntable are moved onto each other, merged, and thinned where they overlap.
    Where nothing was measured, meshes have holes. Finished meshes are skipped, so an interrupted
    command can be repeated. A scan that fails is named, and does not stop the others.
    """
    from fedchain.surfaces.mesh_folder import MeshSettings, reconstruct_folder

    settings = MeshSettings(
        method=method, merge=merge, refine=refine, depth=depth,
        farthest_m=None if cut is None else cut / 1000, ending=ending,
    )  # fmt: skip
    with repeatable(), progress_bar("Reconstructing", form is not Format.json) as show:
        done = reconstruct_folder(folder, out, settings, force=force, progress=show)
    told = [*_warnings(done), *(f"{name}: {why}" for name, why in done.failed.items())]
    code = MISSING if done.failed else 0
    print_result(form, _values(done), _lines(done, folder, out), told, code)


def _values(done: ReconstructedFolder) -> dict[str, Any]:
    return {
        "method": done.method,
        "meshes": [each.model_dump() for each in done.meshes],
        "skipped": sorted(done.before),
        "apart": dict(done.apart),
        "failed": dict(done.failed),
        "left_out": dict(done.folder.left_out),
    }


def _warnings(done: ReconstructedFolder) -> Iterator[str]:
    for name, why in done.apart.items():
        yield f"{name}: not merged with its set, has a mesh of its own: {why}"
    for each in done.meshes:
        for name, why in each.refused.items():
            yield f"{name}: merged in its stored pose, since refinement was refused: {why}"


def _lines(done: ReconstructedFolder, folder: Path, out: Path) -> Iterator[RenderableType]:
    read = sum(len(each.scans) + len(each.cleaned) for each in done.folder.sets)
    yield f"read      {counted_words(read, 'scan')} in {folder}"
    yield from left_out_lines(done.folder)
    yield f"method    {METHODS[done.method]}"
    rows = (
        (
            each.name,
            *(f"{n:,}" for n in (each.scans, each.points, each.vertices, each.triangles)),
            f"{1000 * each.mean_distance_m:.3f}",
            "before" if each.name in done.before else "now",
            each.mesh,
        )
        for each in done.meshes
    )
    columns = "mesh", "scans", "points", "vertices", "triangles", "mm to the points", "made"
    yield table((*columns, "file"), rows)
    failed = f", {len(done.failed)} failed" if done.failed else ""
    many = "1 mesh" if len(done.meshes) == 1 else f"{len(done.meshes)} meshes"
    yield f"files     {out}: {many}{failed}"
