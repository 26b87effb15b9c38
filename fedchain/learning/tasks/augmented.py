"""Augmented task: every record of a holder is replaced by several shifted views of its picture."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

import numpy as np
from pydantic import Field

from fedchain.arrays import Array, Wholes
from fedchain.learning.task import Records, Task, tasks
from fedchain.randomness import stream
from fedchain.registry import Part, cites


@tasks
@cites("de2022")
def augmented(
    holders: int,
    seed: int,
    *,
    of: Annotated[Part, tasks],
    views: Annotated[int, Field(ge=2, le=64)] = 4,
    shift: Annotated[int, Field(ge=1, le=64)] = 1,
) -> Task:
    """Augment each record: its gradient is the mean over several shifted views of the picture.

    The mean is clipped as a whole, so more views cost time and memory, but no epsilon. Views are
    shifted at random along both axes; pixels that come in from outside are 0. Held-out records are
    not shifted.

    Args:
        holders: number of data holders.
        seed: the seed of the run; it fixes the shifts.
        of: the task; its records must be pictures.
        views: number of views of each record, including the picture itself.
        shift: largest shift along an axis, in pixels; less than half of a side.

    Raises:
        ValueError: the records are not pictures, or are too small for the shifts, or a public root
            has some of them.

    Reference:
        De et al., "Unlocking High-Accuracy Differentially Private Image Classification through
        Scale", 2022, section 3.2.
    """
    whole = tasks.build(of, holders, seed)
    shape = whole.held_out.inputs.shape[1:]
    if len(shape) not in (2, 3) or 2 * shift >= min(shape[-2:]):
        words = f"task.shift: {shift} pixels do not fit records of shape {shape} of {of.kind}"
        raise ValueError(f"{words}; pictures with sides of more than {2 * shift} are allowed")
    if whole.root is not None:
        raise ValueError(
            f"task.of: {of.kind} has a public root; it may only stand around augmented"
        )
    seen = tuple(views_of(own, views, shift, seed) for own in whole.holders)
    return replace(whole, holders=seen, views=views * whole.views)


def views_of(records: Records, views: int, shift: int, seed: int) -> Records:
    """Return several views of each picture; the first view is the picture itself.

    ``shift`` is the largest shift along an axis, in pixels. Masks are shifted like their pictures.

    >>> one = Records(np.arange(9.0).reshape(1, 3, 3), np.array([4]))
    >>> views_of(one, 3, 1, 0).inputs.shape, views_of(one, 3, 1, 0).count
    ((3, 3, 3), 1)
    """
    # The shifts follow from the picture and not from its place among the others: otherwise one
    # record less would change the views of all records after it.
    inputs, targets = [records.inputs], [records.targets]
    streams = [stream(seed, "shifts", picture.tobytes()) for picture in records.inputs]
    for _ in range(1, views):
        moves = np.stack([drawn.integers(-shift, shift, 2, endpoint=True) for drawn in streams])
        inputs.append(moved(records.inputs, moves, 0.0))
        masks = records.targets.ndim > 1
        targets.append(moved(records.targets, moves, np.nan) if masks else records.targets)
    places = np.tile(records.places, views)
    return Records(np.concatenate(inputs), np.concatenate(targets), places)


def moved(pictures: Array, moves: Wholes, outside: float) -> Array:
    """Return pictures that are shifted, each by its own numbers of pixels.

    Args:
        pictures: shape (pictures, ..., height, width).
        moves: pixels down and pixels to the right, shape (pictures, 2).
        outside: value of the pixels that come in from outside.

    >>> moved(np.array([[[1.0, 2.0], [3.0, 4.0]]]), np.array([[0, 1]]), 0.0).tolist()
    [[[0.0, 1.0], [0.0, 3.0]]]
    """
    *others, height, width = pictures.shape
    most = int(np.abs(moves).max())
    margins = [*((0, 0) for _ in others), (most, most), (most, most)]
    padded = np.pad(pictures, margins, constant_values=outside)
    corners = zip(padded, (most - moves).tolist(), strict=True)
    return np.stack([each[..., y : y + height, x : x + width] for each, (y, x) in corners])
