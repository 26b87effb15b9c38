"""Surface models of runs: the model of a round, as a model that makes clouds denser."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

from fedchain.errors import RunRefused
from fedchain.learning.evaluation import dimension, load_weights
from fedchain.registry import Part
from fedchain.results.run import Run
from fedchain.surfaces.model_file import ShippedName, SurfaceCard, SurfaceModel, surface_module
from fedchain.surfaces.neighbourhoods import SEEN

TASKS = "cloud_refinement", "cloud_upsampling"
"""Tasks whose models make clouds denser."""


def surface_model_of(folder: Path, height: int | None = None) -> SurfaceModel:
    """Return the model of a block of a run that learned to make clouds denser.

    Args:
        folder: the run's folder.
        height: the height of the block on the main chain; None: the last one.

    Raises:
        RunRefused: the run's task is none of ``TASKS``, its model is no model of fedchain for
            surfaces, there is no such block, or its weights were not kept.
    """
    run = Run.open(folder)
    task = _task_of(run.scenario.task)
    if task is None:
        words = f"has the task {run.scenario.task.kind}"
        raise RunRefused(f"{folder}: {words}; allowed: {', '.join(TASKS)}")
    weights, given = run.weights(height), task.parameters
    model = given["model"]
    if model.kind not in get_args(ShippedName):
        allowed = ", ".join(get_args(ShippedName))
        raise RunRefused(f"{folder}: has the model {model.kind}; allowed: {allowed}")
    block = run.block_of(height).hex()
    card = SurfaceCard(
        model=model.plain(),
        points=given.get("patch", SEEN),
        trained_on=f"task {task.kind} by the run {run.folder.resolve().name}, block {block[:16]}",
        training={"rounds": len(run.metrics)},
        scores={},
    )
    module = surface_module(card, str(folder))
    if dimension(module) != len(weights):
        words = f"has {len(weights)} weights, and its model {dimension(module)}"
        raise RunRefused(f"{folder}: {words}; allowed: a run of this fedchain")
    load_weights(module, weights)
    return SurfaceModel(card, module.eval())


def _task_of(task: Part) -> Part | None:
    """Return the task for surfaces, also if other tasks stand around it; None without one."""
    while task.kind not in TASKS:
        inner = task.parameters.get("of")
        if not isinstance(inner, Part):
            return None
        task = inner
    return task
