"""Scan models of runs: the model of a round, as a model that filters scans."""

from __future__ import annotations

from pathlib import Path

from fedchain.errors import RunRefused
from fedchain.learning.evaluation import dimension, load_weights
from fedchain.registry import Part
from fedchain.results.run import Run
from fedchain.scans.training.model_file import Card, Channel, TrainedModel, module_of
from fedchain.scans.turntable import CHANNEL_NAMES, ChannelKind

SIDES = {
    "scan_folder": "tile", "scan_images": "size", "scan_segmentation": "size",
    "scan_turntable": "tile",
}  # fmt: skip
"""For each task on scans, the parameter with the pixels along a side of an image, or along both."""
AS_IS = {"mean": 0.0, "deviation": 1.0, "low": -1e30, "high": 1e30}
"""Statistics of a channel that is given to the model as it is, and may have any value."""


def scan_model_of(folder: Path, height: int | None = None) -> tuple[TrainedModel, str]:
    """Return the model of a block of a run on scans, and the block's hash.

    Args:
        folder: the run's folder.
        height: the height of the block on the main chain; None: the last one.

    Raises:
        RunRefused: the run's task is none of ``SIDES``, there is no such block, or its weights were
            not kept.
    """
    run = Run.open(folder)
    task = scan_task_of(run)
    if task is None:
        allowed = ", ".join(SIDES)
        raise RunRefused(f"{folder}: has the task {run.scenario.task.kind}; allowed: {allowed}")
    block, weights = run.block_of(height), run.weights(height)
    card = _card(run, task, block.hex())
    module = module_of(card.model, len(card.channels), card.sides, str(folder))
    if dimension(module) != len(weights):
        words = f"has {len(weights)} weights, and its model {dimension(module)}"
        raise RunRefused(f"{folder}: {words}; allowed: a run of this fedchain")
    load_weights(module, weights)
    return TrainedModel(card, module.eval()), block.hex()


def scan_task_of(run: Run) -> Part | None:
    """Return the task on scans of a run, also if other tasks stand around it; None without one."""
    task: Part | None = run.scenario.task
    while task is not None and task.kind not in SIDES:
        inner = task.parameters.get("of")
        task = inner if isinstance(inner, Part) else None
    return task


def _card(run: Run, task: Part, block: str) -> Card:
    given = task.parameters
    kind: ChannelKind = given.get("channels", "picture")
    sides = given[SIDES[task.kind]]
    size = (sides[0], sides[1]) if isinstance(sides, list | tuple) else None
    rounds, name = len(run.metrics), run.folder.resolve().name
    return Card(
        model=given["model"].plain(),
        kind=kind,
        channels=tuple(Channel(name=channel, **AS_IS) for channel in CHANNEL_NAMES[kind]),
        window=max(size) if size else sides,
        size=size,
        margin=0,
        alone=not size and given.get("record", "tile") == "tile",
        threshold=0.5,
        trained_on=f"task {task.kind} by the run {name} of {rounds} rounds, block {block[:16]}",
        training={},
        scores={},
    )
