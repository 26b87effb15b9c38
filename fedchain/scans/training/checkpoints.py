"""Checkpoints: the state of a training in a file, from which an interrupted training goes on."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np

from fedchain.arrays import Array
from fedchain.errors import DataError, RunRefused
from fedchain.files import write_whole
from fedchain.scans.formats.contents import Contents, contents
from fedchain.scans.formats.npz import arrays_of
from fedchain.scans.training.model_file import LARGEST_MODEL, bytes_of_arrays, text_array
from fedchain.scans.training.optimisation import TrainingState, arrays_of_state, restore

CHECKPOINT_ENDING = ".checkpoint"
"""Ending of the checkpoint's name, after the name of the model file."""


def checkpoint_of(out: Path) -> Path:
    """Return the path of the checkpoint of a training that writes the model file ``out``."""
    return out.with_name(out.name + CHECKPOINT_ENDING)


def save_checkpoint(path: Path, key: str, state: TrainingState) -> None:
    """Write a checkpoint; ``key`` says of which data and settings it is.

    Raises:
        RunError: the file cannot be written.
    """
    history = [[step, loss if math.isfinite(loss) else None] for step, loss in state.history]
    text = json.dumps({"key": key, "step": state.step, "history": history})
    write_whole(path, bytes_of_arrays({**arrays_of_state(state), "state": text_array(text)}))


def load_checkpoint(path: Path, key: str, state: TrainingState) -> bool:
    """Continue from a checkpoint: give a new state what the file has.

    Returns:
        Whether there is a checkpoint.

    Raises:
        RunRefused: the checkpoint is of other data or settings.
        DataError: the file is damaged.
    """
    if not path.exists():
        return False
    file = contents(path, LARGEST_MODEL)
    arrays = arrays_of(file, LARGEST_MODEL)
    try:
        told = json.loads(arrays.pop("state", np.zeros(0, np.uint8)).tobytes())
        there, step, history = told["key"], int(told["step"]), told["history"]
        measured = [(int(at), math.nan if loss is None else float(loss)) for at, loss in history]
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise _damaged(file, error) from error
    if there != key:
        raise RunRefused(
            f"{path}: is of a training with other scans or settings; give the same ones to go on, "
            "another model file, or --force to begin anew"
        )
    _restore(file, state, arrays, step)
    state.history = measured
    return True


def _restore(file: Contents, state: TrainingState, arrays: dict[str, Array], step: int) -> None:
    try:
        restore(state, arrays, step)
    except (KeyError, RuntimeError, TypeError) as error:
        raise _damaged(file, error) from error


def _damaged(file: Contents, error: Exception) -> DataError:
    return file.fail(f"is no checkpoint of this training: {error}; delete it to begin anew")
