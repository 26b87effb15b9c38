"""fedchain export-model, fedchain predict: the model of a run as a file, and its predictions."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from fedchain.commands import options
from fedchain.commands.formats import Format, print_result, progress_bar, refuse, repeatable, table

if TYPE_CHECKING:
    from rich.console import RenderableType

    from fedchain.results import Run

app = typer.Typer()

SHOWN_ROWS = 20
"""Number of predictions that are shown on a terminal; --out writes all of them."""
RoundNumber = Annotated[
    int | None,
    typer.Option("--round", min=0, help="Round whose model is taken; default: the run's last."),
]
Trust = Annotated[
    bool, options.trust("code of your own (module:function) that the run's scenario names")
]


@app.command(
    "export-model", epilog="Example: fedchain export-model runs/first-light-* --to state_dict"
)
def export_model(
    run: options.RunPath,
    to: Annotated[
        Literal["state_dict", "safetensors", "onnx"],
        typer.Option(help="Format of the file; none of them holds code."),
    ] = "state_dict",
    out: Annotated[
        Path | None, options.out("The file to write; default: named after the run, here.")
    ] = None,
    round_: RoundNumber = None,
    trust_user_parts: Trust = False,
    form: options.Form = Format.rich,
) -> None:
    """Write the model of a run to a file, with the means by which its inputs are prepared.

    state_dict: tensors by name, for torch.load(FILE, weights_only=True). safetensors: the same,
    with notes on the run. onnx: the whole computation, for any number of examples.
    """
    from fedchain.results import Run
    from fedchain.results.models import MODEL_ENDINGS

    opened = Run.open(run, trust_user_parts=trust_user_parts)
    file = out or Path(f"{run.resolve().name}.{MODEL_ENDINGS[to]}")
    if out is None and file.exists():
        refuse(f"{file}: is there already; name the file to write with --out")
    opened.export_model(file, to, round_)
    module, block = opened.module(round_), opened.block_of(round_).hex()
    values = {
        "file": str(file),
        "format": to,
        "block": block,
        "bytes": file.stat().st_size,
        "tensors": {name: list(each.shape) for name, each in module.state_dict().items()},
    }
    weights = sum(each.numel() for each in module.parameters())
    lines = [f"{weights:,} weights after block {block[:8]}, as {to}, in {file}"]
    print_result(form, values, lines)


@app.command(
    epilog="Example: fedchain predict runs/first-light-* scans/turntable_00/scan_000.npz -o cleaned"
)
def predict(
    run: options.RunPath,
    files: Annotated[
        list[Path],
        typer.Argument(
            metavar="FILE..",
            help="CSV, NPY or NPZ with one example a row; pictures; or scans.",
            callback=options.there("a file with the inputs of the model"),
        ),
    ],
    out: Annotated[
        Path | None, options.out("CSV file of the predictions; for scans, a folder.")
    ] = None,
    round_: RoundNumber = None,
    force: Annotated[
        bool, typer.Option("--force", help="Replace masks of other scans or other models.")
    ] = False,
    trust_user_parts: Trust = False,
    form: options.Form = Format.rich,
) -> None:
    """Apply the model of a run to new data, and print or write what it says.

    A table holds the numbers of one example in each row, as the run's data have them, without the
    class; a first line with names is skipped. Of an NPZ file, the array inputs is read. The task
    table reads files with the columns of its own table, and images reads pictures. Scans of
    one folder are cleaned as by fedchain scan filter, and its other scans may serve
    as views.
    """
    from fedchain.results import Run
    from fedchain.results.scan_models import scan_task_of

    opened = Run.open(run, trust_user_parts=trust_user_parts)
    if scan_task_of(opened) is not None:
        _clean_scans(opened, files, out, round_, force, form)
        return
    from fedchain.files import write_output
    from fedchain.results.tables import csv_lines

    rows = [row for file in files for row in _predicted(opened, file, round_)]
    if out is not None:
        write_output(out, csv_lines(list(rows[0]) if rows else [], rows))
    lines = _lines(rows, out)
    print_result(form, {"predictions": rows, "file": None if out is None else str(out)}, lines)


def _predicted(run: Run, file: Path, round_: int | None) -> Iterator[dict[str, Any]]:
    """Yield a row for each example of a file: its place, what the model says, and its outputs."""
    from fedchain.results.inputs import read_inputs
    from fedchain.results.models import predictions_of, raw_shape

    read = run.task.read or (lambda path: read_inputs(path, raw_shape(run.task)))
    inputs, names = read(file), run.task.classes
    said, outputs = predictions_of(run, inputs, round_)
    classes = said.ndim == 1
    for number, each in enumerate(outputs.reshape(len(outputs), -1).tolist()):
        row = {"file": str(file), "row": number + 1}
        row |= {"class": names[said[number]] if names else int(said[number])} if classes else {}
        yield row | {f"output_{place}": value for place, value in enumerate(each)}


def _lines(rows: list[dict[str, Any]], out: Path | None) -> Iterator[RenderableType]:
    shown = rows[: SHOWN_ROWS if out is not None else None]
    if shown:
        yield table(tuple(shown[0]), ([_cell(value) for value in row.values()] for row in shown))
    if len(rows) > len(shown):
        yield f".. and {len(rows) - len(shown)} more"
    if out is not None:
        yield f"{len(rows)} predictions in {out}"


def _cell(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _clean_scans(
    run: Run, files: list[Path], out: Path | None, round_: int | None, force: bool, form: Format
) -> None:
    """Clean the given scans of one folder by the model of a run."""
    from fedchain.commands.filtered import show_filtered
    from fedchain.results.scan_models import scan_model_of
    from fedchain.scans.training.filtering import filter_folder

    if out is None:
        refuse("--out: is missing; give a folder for the cleaned clouds and the masks")
    folder = Path(os.path.commonpath([file.resolve().parent for file in files]))
    with repeatable(), progress_bar("Filtering", form is not Format.json) as show:
        trained, name = scan_model_of(run.folder, round_)
        done = filter_folder(folder, trained, name, out, force=force, only=files, progress=show)
    show_filtered(done, trained, folder, out, form)
