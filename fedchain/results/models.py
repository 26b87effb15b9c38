"""Models of runs: the model after a round, its predictions, and its files."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np

from fedchain.arrays import Array, Vector, read_only
from fedchain.errors import RunRefused
from fedchain.learning.task import Task, tasks
from fedchain.ledger.storage.store import Store
from fedchain.machine import exact_arithmetic
from fedchain.results.folder import EVENTS, LEDGER
from fedchain.results.origin import check_task_unchanged
from fedchain.results.run import Run
from fedchain.results.tables import main_rounds
from fedchain.transition import model_of
from fedchain.version import __version__

if TYPE_CHECKING:
    from fedchain.learning.preparation import PreparedModel

ModelFormat = Literal["state_dict", "safetensors", "onnx"]
"""Formats of files with a model."""
MODEL_ENDINGS: dict[ModelFormat, str] = {
    "state_dict": "pt",
    "safetensors": "safetensors",
    "onnx": "onnx",
}
"""Ending of a file's name, for each format."""


def task_of(run: Run) -> Task:
    """Build the task of a run: its records, model and loss.

    Raises:
        RunRefused: the code or the data of the task have changed since the run, or the run learns
            nothing.
        DataError: the task's data cannot be read.
        ScenarioError: the run's scenario names user-defined code that is not trusted.
    """
    check_task_unchanged(run, "its model needs the code and the data of the run's task")
    scenario = run.scenario
    with exact_arithmetic():
        task = tasks.build(scenario.task, scenario.nodes.holders, scenario.seed)
    if not task.learns:
        raise RunRefused(f"{run.folder}: learns nothing (task {task.name}), so it has no model")
    return task


def block_after(run: Run, round_: int | None) -> bytes:
    """Return the hash of the block that ended a round: see ``Run.block_of``."""
    blocks = {row["round"]: row["block"] for row in run.metrics}
    if round_ is None:
        round_ = max(blocks, default=0)
    if round_ == 0:
        with Store.open(run.folder / LEDGER, writable=False) as store:
            genesis: bytes = store.genesis.header.hash
            return genesis
    if round_ not in blocks:
        allowed = f"0 (before the first round) to {len(blocks)}"
        raise RunRefused(f"{run.folder}: no round {round_}; allowed: {allowed}")
    return bytes.fromhex(blocks[round_])


def weights_after(run: Run, round_: int | None) -> Vector:
    """Return the weights of the model after a round: see ``Run.weights``."""
    block = block_after(run, round_)
    with Store.open(run.folder / LEDGER, writable=False) as store:
        try:
            state = store.state(block)
        except KeyError as error:
            raise RunRefused(f"{run.folder}: {error.args[0]}; give another round") from error
    return read_only(model_of(state).astype(np.float64))


def run_module(run: Run, round_: int | None = None) -> PreparedModel:
    """Return the model of a run after a round: see ``Run.module``."""
    from torch import nn

    from fedchain.learning.evaluation import dimension, load_weights
    from fedchain.learning.preparation import PreparedModel

    weights, task = run.weights(round_), run.task
    module = task.model()
    if dimension(module) != len(weights):
        words = f"has {len(weights)} weights, and its model {dimension(module)}"
        raise RunRefused(f"{run.folder}: {words}; allowed: a run of this fedchain")
    load_weights(module, weights)
    prepare = nn.Identity() if task.prepare is None else task.prepare()
    return PreparedModel(prepare, module).eval()


def raw_shape(task: Task) -> tuple[int, ...]:
    """Return the shape of the inputs of one example, as the task's data have them."""
    held_out = task.held_out
    return (held_out.inputs if held_out.raw is None else held_out.raw).shape[1:]


def predictions_of(run: Run, inputs: Array, round_: int | None = None) -> tuple[Array, Array]:
    """Return what the model says about inputs, and its outputs: see ``Run.predict``."""
    from fedchain.learning.prediction import decided, outputs_of

    given, shape = np.asarray(inputs), raw_shape(run.task)
    if given.ndim == 0 or given.shape[1:] != shape or given.dtype.kind not in "fiub":
        allowed = ", ".join(["examples", *map(str, shape)])
        raise ValueError(
            f"inputs: {given.dtype} of shape {given.shape}; allowed: numbers of shape ({allowed})"
        )
    if run.task.prepare is None or given.dtype.kind == "b":
        given = given.astype(np.float32)
    outputs = outputs_of(run_module(run, round_), given)
    return decided(outputs, run.task.held_out.targets), outputs


def keep_masks(run: Run, files: Sequence[str | Path], round_: int | None = None) -> list[Array]:
    """Return which points of scans a run's model keeps, for each file: see ``Run.predict``."""
    from fedchain.results.scan_models import scan_model_of
    from fedchain.scans.training.filtering import keep_of
    from fedchain.scans.training.folders import FileSet, ScanFile, stem_of
    from fedchain.scans.training.images import OpenSet

    trained, _ = scan_model_of(run.folder, round_)
    scans = tuple(ScanFile(Path(file), stem_of(Path(file))) for file in files)
    opened = OpenSet.for_model(FileSet(scans), trained.card)
    return [keep_of(opened.image(scan), trained) for scan in scans]


def model_bytes(run: Run, to: ModelFormat, round_: int | None = None) -> bytes:
    """Return the model of a run after a round as the bytes of a file.

    The file has the weights of ``Run.module``: those of the model, and the statistics by which its
    inputs are prepared. It holds no code.

    Args:
        run: the run.
        to: format of the file. ``state_dict``: tensors by name, for ``torch.load`` with
            ``weights_only=True``. ``safetensors``: the same, with notes on the run. ``onnx``: the
            whole computation, for any number of examples, with the same notes.
        round_: number of the round; None for the last one.

    Raises:
        RunRefused: as in ``Run.module``; or ONNX lacks an operation of the model.
        MissingExtra: the package for the format is not installed.
        ValueError: there is no such format.
    """
    import torch

    from fedchain.learning.exporting import onnx_bytes, safetensors_bytes, state_dict_bytes

    if to not in get_args(ModelFormat):
        raise ValueError(f"to: no format {to!r}; allowed: {', '.join(get_args(ModelFormat))}")
    module = run_module(run, round_)
    if to == "state_dict":
        return state_dict_bytes(module)
    if to == "safetensors":
        return safetensors_bytes(module, _notes(run, round_))
    example = torch.zeros(2, *raw_shape(run.task))
    try:
        return onnx_bytes(module, example, any_number=True, notes=_notes(run, round_))
    except torch.onnx.errors.OnnxExporterError as error:
        first = str(error).splitlines()[0]
        words = f"{run.folder}: its model cannot be written as ONNX: {first}"
        raise RunRefused(f"{words}; allowed: state_dict or safetensors") from error


def _notes(run: Run, round_: int | None) -> dict[str, str]:
    """Return what a file says about its model."""
    block, manifest = run.block_of(round_).hex(), run.manifest
    ended = next(
        (event for event in main_rounds(run.folder / EVENTS) if event["block"] == block), {}
    )
    return {
        "format": "pt",
        "fedchain": __version__,
        "run": str(manifest["name"]),
        "task": run.task.name,
        "round": str(ended.get("round", 0)),
        "block": block,
        "epsilon": json.dumps(ended.get("epsilon", 0.0)),
        "delta": json.dumps(manifest["epsilon"]["delta"]),
        "metrics": json.dumps(ended.get("metrics", {})),
    }
