"""Training of a model on the pairs of a folder, in one place and without privacy."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from fedchain.errors import DataError, RunRefused, cannot
from fedchain.learning.models import seeded
from fedchain.learning.task import losses
from fedchain.registry import plain_value
from fedchain.scans.training import checkpoints
from fedchain.scans.training.cleaning import chances, device_of
from fedchain.scans.training.examples import (
    ScanProgress,
    hold_out,
    read_examples,
    statistics_of,
)
from fedchain.scans.training.folders import ScanFolder, digest_of, list_folder
from fedchain.scans.training.images import kind_for
from fedchain.scans.training.model_file import (
    Card,
    Channel,
    TrainedModel,
    module_of,
    write_model,
)
from fedchain.scans.training.optimisation import (
    Example,
    TrainingState,
    begin,
    optimise,
)
from fedchain.scans.training.recipe import Recipe
from fedchain.scans.training.scores import Judged, mean_of, scores_of
from fedchain.scans.turntable import CHANNEL_NAMES, ChannelKind
from fedchain.version import __version__


@dataclass(frozen=True)
class FinishedTraining:
    """A finished training."""

    trained: TrainedModel
    """The model and its card."""
    folder: ScanFolder
    """What was read and left out."""
    history: Sequence[tuple[int, float]]
    """Step and loss on the points held out, for each measurement."""
    best_step: int
    """Number of steps after which the best weights were found."""
    steps: int
    """Number of steps made."""


def train_folder(
    folder: Path,
    out: Path,
    recipe: Recipe,
    *,
    scans: str = "*",
    device: str = "auto",
    force: bool = False,
    progress: ScanProgress = lambda *_: None,
) -> FinishedTraining:
    """Train a model on the pairs of a folder, and write the model file.

    A checkpoint beside the model file is written at every measurement. After an interruption the
    same call goes on from there, with the same result as without the interruption.

    Args:
        folder: the folder with the pairs.
        out: the model file to write.
        recipe: how the model is trained.
        scans: pattern of the names of the pairs to learn from, such as ``*_00[0-5]``; the other
            scans only serve as views.
        device: where the model is trained: ``cpu``, ``cuda``, or ``auto``.
        force: replace a model file, and begin anew where a checkpoint is.
        progress: called while the training goes on.

    Raises:
        DataError: the folder has no usable pairs.
        RunRefused: the model file is there already, the checkpoint is of another training, or the
            training did not end with finite weights.
    """
    _check_target(out, force)  # before the training, whose result would otherwise be lost
    listed = list_folder(folder).only(scans)
    if not listed.pairs:
        raise DataError(
            f"{folder}: holds no pair; allowed: clean_X beside another file whose name ends in "
            "_X, such as clean_004.cogs and gpu_004.cogs, or NPZ, PLY or PCD files with a mask keep"
        )
    kind, place = recipe.channels or kind_for(listed), device_of(device)
    recipe = recipe.suited_to(kind)
    examples = read_examples(listed, kind, progress)
    examples = hold_out(examples, recipe.held_out, recipe.window, recipe.seed)
    channels = statistics_of(examples, CHANNEL_NAMES[kind], recipe.seed)
    block = recipe.model.plain()
    seen = (len(channels), (recipe.window, recipe.window), "model")
    state = begin(seeded(lambda: module_of(block, *seen), recipe.seed)().to(place))
    key, checkpoint = _key(listed, kind, recipe), checkpoints.checkpoint_of(out)
    if force:
        checkpoint.unlink(missing_ok=True)
    checkpoints.load_checkpoint(checkpoint, key, state)
    optimise(
        state,
        examples,
        channels,
        losses.build(recipe.loss),
        recipe.schedule,
        lambda state: checkpoints.save_checkpoint(checkpoint, key, state),
        lambda done, total: progress(done, total, "Training"),
    )
    if not all(bool(each.isfinite().all()) for each in state.module.parameters()):
        checkpoint.unlink(missing_ok=True)  # the same steps would lead to the same weights
        raise RunRefused(
            f"{out}: not written, since the weights are not finite with learning_rate "
            f"{recipe.learning_rate:g}; allowed: a smaller one"
        )
    trained = _finished(folder, recipe, kind, channels, examples, state)
    write_model(out, trained)
    checkpoint.unlink(missing_ok=True)
    return FinishedTraining(trained, listed, state.history, state.best_step, state.step)


def _check_target(out: Path, force: bool) -> None:
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise cannot(out, "be written", error) from error
    if out.is_dir():
        raise RunRefused(f"{out}: is a folder; allowed: the name of a model file, cleaner.npz say")
    if out.exists() and not force:
        raise RunRefused(f"{out}: is there already; give --force to replace it, or another file")


def _finished(
    folder: Path,
    recipe: Recipe,
    kind: ChannelKind,
    channels: Sequence[Channel],
    examples: Sequence[Example],
    state: TrainingState,
) -> TrainedModel:
    """Return the model with its card, which has its scores on the points held out."""
    card = Card(
        model=recipe.model.plain(),
        kind=kind,
        channels=tuple(channels),
        window=recipe.window,
        margin=recipe.margin,
        views=min(each.views for each in examples),
        threshold=recipe.threshold,
        trained_on=_sentence(folder, examples),
        training=_numbers(examples, recipe, state),
        scores={},
    )
    scores = _scores(TrainedModel(card, state.module), examples)
    return TrainedModel(card.model_copy(update={"scores": scores}), state.module.eval())


def _sentence(folder: Path, examples: Sequence[Example]) -> str:
    """Say in one sentence what a model was trained on; only the folder's own name is told."""
    points = sum(int(each.valid.sum()) for each in examples)
    return f"{len(examples)} cleaned scans of {points:,} points, folder {folder.resolve().name}"


def _numbers(examples: Sequence[Example], recipe: Recipe, state: TrainingState) -> dict[str, Any]:
    learned = [(each.valid & ~each.held_out, each.keep) for each in examples]
    points = sum(int(valid.sum()) for valid, _ in learned)
    outliers = sum(int((valid & ~keep).sum()) for valid, keep in learned)
    return {
        "scans": [each.name for each in examples],
        "held_out": _held_out_words(examples),
        "points_learned_from": points,
        "outlier_share": outliers / points,
        "weights": sum(each.numel() for each in state.module.parameters()),
        "steps": state.step,
        "best_step": state.best_step,
        "recipe": plain_value(recipe),
    }


def _held_out_words(examples: Sequence[Example]) -> str:
    """Say which points were measured and not learned from."""
    judged = {each.name: int((each.valid & each.held_out).sum()) for each in examples}
    points = sum(judged.values())
    whole = [e.name for e in examples if points and judged[e.name] == int(e.valid.sum())]
    if whole:
        return f"{len(whole)} of {len(examples)} scans: {', '.join(whole)}"
    return f"tiles with {points:,} points" if points else "nothing"


def _scores(trained: TrainedModel, examples: Sequence[Example]) -> dict[str, dict[str, float]]:
    """Return the metrics of the model and of keeping everything on the points held out."""
    judged = []
    for each in examples:
        valid = each.valid & each.held_out
        if valid.any():
            chance = chances(trained, each.image, each.valid)
            judged.append(Judged(valid, each.keep, chance >= trained.card.threshold, chance))
    if not judged:
        return {}
    kept = [replace(each, kept=each.valid, chance=None) for each in judged]
    methods = {"model": judged, "keep_everything": kept}
    return {name: mean_of([scores_of(each) for each in own]) for name, own in methods.items()}


def _key(listed: ScanFolder, kind: ChannelKind, recipe: Recipe) -> str:
    """Return a text that is the same for trainings with the same result."""
    told = hashlib.sha256(f"{kind}|{plain_value(recipe)}|{__version__}".encode())
    for each in listed.sets:
        files = {path for scan in each.scans for path in (scan.path, scan.truth) if path}
        for path in sorted(files | set(each.cleaned)):
            told.update(str(path.relative_to(listed.path)).encode() + digest_of(path))
    return told.hexdigest()
