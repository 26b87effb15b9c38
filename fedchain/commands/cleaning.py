"""Commands that clean scans: scan train, scan filter, scan evaluate."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from fedchain.commands import options
from fedchain.commands.filtered import MISSING, left_out_lines, show_filtered
from fedchain.commands.formats import Format, print_result, progress_bar, refuse, repeatable, table
from fedchain.names import command, counted_words

if TYPE_CHECKING:
    from rich.console import RenderableType

    from fedchain.scans.training.evaluation import FolderEvaluation
    from fedchain.scans.training.model_file import TrainedModel
    from fedchain.scans.training.training import FinishedTraining

app = typer.Typer()

Folder = Annotated[Path, typer.Argument(metavar="FOLDER", help="A folder with scans.")]
PairPattern = Annotated[
    str,
    typer.Option(
        metavar="PATTERN", help="Use only pairs with such names; the others serve as views."
    ),
]
DeviceName = Annotated[
    Literal["auto", "cpu", "cuda"], typer.Option(help="Where the model computes.")
]
Force = Annotated[bool, typer.Option("--force", help="Replace results that are there already.")]
ModelFile = Annotated[
    Path | None,
    typer.Option(metavar="MODEL", help="A model file; default: the weights that fedchain ships."),
]
FromRun = Annotated[
    Path | None,
    typer.Option("--from-run", metavar="RUN", help="Take the model from a run on scans instead."),
]
Height = Annotated[
    int | None, typer.Option(min=0, help="Block whose model is taken; default: the run's last.")
]


@app.command(epilog="Example: fedchain scan train scans -o cleaner.npz")
def train(
    folder: Folder,
    out: Annotated[Path, options.out("The model file to write.")],
    set_: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="KEY=VALUE",
            help="Change the recipe of docs/scans.md: steps=400, channels=local, loss.kind=dice.",
        ),
    ] = None,
    scans: PairPattern = "*",
    seed: Annotated[int, typer.Option(min=0, help="Seed of weights and crops.")] = 0,
    device: DeviceName = "auto",
    force: Force = False,
    form: options.Form = Format.rich,
) -> None:
    """Train a model on the pairs of a folder: scans, and the same scans cleaned.

    A pair is clean_X beside another file whose name ends in _X, or a file (NPZ, PLY, PCD) that has
    the mask keep. An interrupted training goes on with the same command.
    """
    from fedchain.scans.training.recipe import Recipe
    from fedchain.scans.training.training import train_folder
    from fedchain.scenario import parse_overrides

    recipe = Recipe.of({"seed": seed, **parse_overrides(set_ or [])})
    with repeatable(), progress_bar("Training", form is not Format.json) as show:
        made = train_folder(
            folder, out, recipe, scans=scans, device=device, force=force, progress=show
        )
    print_result(form, _training_values(made, out), _training_lines(made, folder, out))


def _training_values(made: FinishedTraining, out: Path) -> dict[str, Any]:
    card = made.trained.card
    return {
        "model": str(out),
        "card": card.model_dump(),
        "history": [{"step": step, "loss": loss} for step, loss in made.history],
        "read": [scan.name for scan in made.folder.pairs],
        "without_truth": [s.name for s in made.folder.scans if s.truth is None],
        "left_out": dict(made.folder.left_out),
    }


def _training_lines(made: FinishedTraining, folder: Path, out: Path) -> Iterator[RenderableType]:
    from fedchain.scans.training.images import COMPARED

    card = made.trained.card
    pairs = counted_words(len(made.folder.pairs), "pair")
    whole = counted_words(len(made.folder.scans), "scan")
    views = "" if card.kind not in COMPARED else "; the other scans serve as views"
    yield f"read      {pairs} of {whole} in {folder}{views}"
    yield from left_out_lines(made.folder)
    yield (
        f"model     {card.model['kind']}, channels {card.kind} ({len(card.channels)}), "
        f"{card.training['weights']:,} weights"
    )
    yield f"steps     {made.steps} of {card.training['recipe']['steps']}, best {made.best_step}"
    if card.scores:
        yield f"held out  {card.training['held_out']}"
        yield _scores_table(card.scores)
    yield f"file      {out}"
    yield f"next      {command('scan filter', folder, '--model', out, '-o filtered')}"


@app.command(
    name="filter", epilog="Example: fedchain scan filter scans --model cleaner.npz -o clean"
)
def filter_scans(
    folder: Folder,
    out: Annotated[Path, options.out("Folder for the cleaned clouds and the masks.")],
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
    device: DeviceName = "auto",
    force: Force = False,
    form: options.Form = Format.rich,
) -> None:
    """Clean every scan of a folder: write the cloud without outliers, and NAME.keep.npy.

    The mask is a boolean array over the scan's grid, or over its points where there is no grid.
    Finished scans are skipped, so an interrupted command can be repeated. A scan that is unlike
    the training scans is kept whole, with a warning.
    """
    from fedchain.scans.training.filtering import filter_folder

    with repeatable(), progress_bar("Filtering", form is not Format.json) as show:
        trained, name = chosen_model(model, from_run, height, device)
        done = filter_folder(
            folder, trained, name, out, even_unlike=even_unlike, force=force, progress=show
        )
    show_filtered(done, trained, folder, out, form)


def chosen_model(
    model: Path | None, from_run: Path | None, height: int | None, device: str
) -> tuple[TrainedModel, str]:
    """Return the model that the options name, on its device, and a text that tells models apart."""
    from fedchain.scans.training.cleaning import device_of
    from fedchain.scans.training.folders import digest_of
    from fedchain.scans.training.model_file import read_model
    from fedchain.scans.training.shipped import shipped_model

    place = device_of(device)
    if from_run is not None:
        from fedchain.results.scan_models import scan_model_of

        if model is not None:
            refuse("--from-run: give either a run or a model file (--model)")
        trained, name = scan_model_of(from_run, height)
    else:
        if height is not None:
            refuse("--height: is the height of a run's block; give the run with --from-run")
        file = model or shipped_model()
        trained, name = read_model(file), digest_of(file).hex()
    trained.module.to(place)
    return trained, name


@app.command(epilog="Example: fedchain scan evaluate scans --model cleaner.npz -o compared")
def evaluate(
    folder: Folder,
    model: ModelFile = None,
    from_run: FromRun = None,
    height: Height = None,
    out: Annotated[
        Path | None, options.out("Folder for scores.csv, pictures and coloured clouds.")
    ] = None,
    scans: PairPattern = "*",
    device: DeviceName = "auto",
    force: Force = False,
    form: options.Form = Format.rich,
) -> None:
    """Compare a model and every baseline with the truth, for each pair of a folder.

    Pictures show intensity, depth, truth, prediction and errors. Clouds are coloured: blue points
    are rightly kept, grey ones rightly erased, vermilion ones wrongly kept, yellow ones wrongly
    erased.
    """
    from fedchain.scans.training.evaluation import evaluate_folder

    with repeatable(), progress_bar("Evaluating", form is not Format.json) as show:
        trained, _ = chosen_model(model, from_run, height, device)
        found = evaluate_folder(folder, trained, out, scans=scans, force=force, progress=show)
    values = {
        "scans": found.scans,
        "mean": found.mean,
        "trained_on": trained.card.trained_on,
        "failed": dict(found.failed),
        "left_out": dict(found.folder.left_out),
        "files": [str(file) for file in found.files],
    }
    told = [f"{name}: {why}" for name, why in found.failed.items()]
    print_result(form, values, _evaluation_lines(found, folder), told, MISSING if told else 0)


def _evaluation_lines(found: FolderEvaluation, folder: Path) -> Iterator[RenderableType]:
    pairs = len(found.scans)
    whole = counted_words(len(found.folder.scans), "scan")
    yield f"read      {counted_words(pairs, 'pair')} of {whole} in {folder}"
    yield from left_out_lines(found.folder)
    rows = (
        (name, *(_cell(methods["model"], m) for m in ("iou", "f1", "ap")),
         _cell(methods["keep_everything"], "iou"))
        for name, methods in found.scans.items()
    )  # fmt: skip
    yield table(("scan", "iou", "f1", "ap", "iou of keeping everything"), rows)
    yield f"mean of {counted_words(pairs, 'scan')}"
    yield _scores_table(found.mean)
    if found.files:
        yield f"files     {len(found.files)} files; every score: {found.files[-1]}"


def _cell(scores: Mapping[str, float], metric: str) -> str:
    return f"{scores[metric]:.3f}" if metric in scores else "-"


def _scores_table(methods: Mapping[str, Mapping[str, float]]) -> RenderableType:
    from fedchain.scans.training.scores import SCAN_METRICS

    rows = (
        (name, *(_cell(scores, metric) for metric in SCAN_METRICS))
        for name, scores in methods.items()
    )
    return table(("method", *SCAN_METRICS), rows)
