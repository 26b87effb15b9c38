"""Task ``images``: learns the classes of the user's pictures."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import numpy as np
from pydantic import Field

from fedchain.arrays import Array, Wholes
from fedchain.errors import DataError
from fedchain.learning.preparation import Standardised
from fedchain.learning.task import Task, losses, models, splits, tasks
from fedchain.learning.tasks.labelled import (
    CROSS_ENTROPY,
    IID,
    Labelled,
    accuracy_and_f1,
    labelled_task,
)
from fedchain.learning.tasks.picture_files import read_picture, read_pictures
from fedchain.registry import Part, cites


@tasks
@cites()
def images(
    holders: int,
    seed: int,
    *,
    path: str,
    size: Annotated[int, Field(ge=4, le=256)] = 28,
    colour: bool = False,
    model: Annotated[Part, models] = Part("cnn", {}),  # noqa: B008
    loss: Annotated[Part, losses] = CROSS_ENTROPY,
    split: Annotated[Part, splits] = IID,
    held_out: Annotated[float, Field(gt=0, lt=1)] = 0.25,
) -> Task:
    """Learn the classes of pictures of your own: a folder for each class, or an NPZ file.

    The numbers are from 0 to 1, minus the mean picture of the held-out ones. These count as public,
    and so do the names of the classes.

    Args:
        holders: number of data holders.
        seed: the run's seed; it fixes held-out pictures, split and initial weights.
        path: a folder with a folder of PNG, JPEG or BMP files for each class, which has its name;
            or an NPZ file with an array of pictures (n, height, width) or (n, height, width, 3),
            uint8, and an array of n classes.
        size: pixels along a side; pictures of another size are scaled to a square.
        colour: three channels; otherwise pictures become grey.
        model: kind and parameters of the model: cnn, mlp, softmax, logistic (two classes).
        loss: kind and parameters of the loss.
        split: which holder has which pictures.
        held_out: share of the pictures that no holder has.
    """
    pictures, names = read_pictures(Path(path), size, colour=colour)
    classes, labels = np.unique(names, return_inverse=True)
    if len(classes) < 2:
        raise DataError(f"{path}: has {len(classes)} class; allowed: at least 2")
    return labelled_task(
        "images",
        Labelled(inputs=pictures, labels=labels, classes=len(classes)),
        holders,
        seed,
        model=model,
        loss=loss,
        split=split,
        held_out=held_out,
        prepare=_centred,
        measure=accuracy_and_f1,
        record="picture",
        read=lambda file: read_picture(file, size, colour=colour)[None],
        classes=[str(each) for each in classes],
        note=f"{Path(path).name}: {len(labels)} pictures of {len(classes)} classes",
    )


def _centred(pictures: Array, public: Wholes) -> Standardised:
    """Return what brings pictures from 0 to 255 to numbers from 0 to 1, minus the public mean."""
    return Standardised.of(pictures[public].mean(axis=0, dtype=np.float64), 255.0)
