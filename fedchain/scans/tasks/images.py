"""Task ``scan_images``: learn to clean whole scans in a folder; each is brought to one size."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import Field

from fedchain.arrays import Array, read_only
from fedchain.errors import DataError
from fedchain.learning.task import (
    TASK_SHAPES,
    Records,
    Shapes,
    ShownScan,
    Task,
    losses,
    models,
    splits,
    tasks,
)
from fedchain.randomness import stream
from fedchain.registry import Matching, Part, cites
from fedchain.scans import segmentation
from fedchain.scans.baselines import baseline_metrics, classical
from fedchain.scans.scan import Mask, Scan, bounding_box
from fedchain.scans.tasks.pairs import WITHOUT_DATA, HeldOutScans, held_out_of, pairs, scan_and_mask
from fedchain.scans.turntable import CHANNEL_NAMES, Views, channel_image

IID = Part("iid", {})
PixelSide = Annotated[int, Field(ge=8, le=1024)]
Size = Annotated[list[PixelSide], Field(min_length=2, max_length=2)]
"""Height and width of an image, in pixels."""
LoneChannels = Literal["picture", "local"]
"""Kinds of channels that compare a scan with no other."""


@dataclass(frozen=True, eq=False)
class Image:
    """One scan of the folder, brought to the size of the task."""

    name: str
    """Name of the scan: the part of the file's name that ``*`` stands for, such as ``test0``."""
    scan: Scan
    """The scan, not padded: it is the upper left part of the image."""
    keep: Mask
    """Points to keep of ``scan``."""
    channels: Array
    """The channels for the model, shape (channels, height, width)."""
    target: Array
    """1 for a point to keep, 0 to erase, NaN where there is none, shape (height, width)."""


def _shapes(given: Mapping[str, Any]) -> Shapes:
    size = tuple(given["size"])
    channels = len(CHANNEL_NAMES[given["channels"]])
    return Shapes(inputs=(channels, *size), outputs=1, targets=size, score="iou")


TASK_SHAPES["scan_images"] = _shapes


@tasks
@cites()
def scan_images(
    holders: int,
    seed: int,
    *,
    path: Annotated[str, Matching("dirty", "clean")],
    dirty: str = "*.npz",
    clean: str | None = None,
    size: Size = [64, 80],  # noqa: B006
    channels: LoneChannels = "picture",
    held_out: HeldOutScans = 1,
    split: Annotated[Part, splits] = IID,
    model: Annotated[Part, models] = segmentation.UNET,
    loss: Annotated[Part, losses] = segmentation.BCE,
) -> Task:
    """Learn to clean whole scans in a folder; a record is a scan, as one image.

    A scan is cut to the smallest box that holds all its points. Of this box, every n-th row and
    every n-th column remain, with the smallest n for which the rest fits into ``size``. Empty
    pixels are added below and on the right. So no point and no label is mixed from others.

    Args:
        holders: number of data holders.
        seed: the seed of the run; it decides which holder gets which scans.
        path: the folder with the scans, in any organised format.
        dirty: pattern of the file names of the scans, with one ``*``.
        clean: pattern of the file names of the cleaned scans, with one ``*``; null if each scan's
            own file has the mask ``keep`` of the points to keep.
        size: height and width of an image in pixels.
        channels: ``picture``: five channels of 8 bits, scaled by each scan itself; ``local``: float
            channels, scaled by constants that suit a scanner for parts of some centimetres.
        held_out: which scans are held out for measuring: a pattern of their names, such as
            ``test*``, or the number of scans, the last ones in alphabetical order. The name is what
            ``*`` stands for in ``dirty``.
        split: how the scans are divided among the holders. Each scan is its own class and its own
            site.
        model: model that turns the channels into one logit per pixel.
        loss: loss over the pixels that hold a point.
    """
    height, width = size
    make = segmentation.initial_model(model, seed, (len(CHANNEL_NAMES[channels]), height, width))
    if not Path(path).is_dir():
        raise DataError(
            f"{path}: no such folder; give a folder of organised scans with their masks as "
            f"task.path, such as one that `fedchain scan simulate` writes; {WITHOUT_DATA}"
        )
    files = pairs(Path(path), dirty, clean or dirty)
    test = held_out_of(Path(path), list(files), held_out, holders)
    both = {name: (first, second if clean else None) for name, (first, second) in files.items()}
    images = [_image(name, *given, (height, width), channels) for name, given in both.items()]
    if not any((image.target == 0).any() for image in images):
        raise DataError(
            f"{path}: every scan keeps all of its points, so there is nothing to erase; allowed: "
            "masks of which at least one erases points"
        )
    whole = _records([image for image in images if image.name not in test])
    shown = [image for image in images if image.name in test]
    measured, every = _records(shown), np.arange(whole.count)
    filtered = [classical(image.scan, Views([])) for image in shown]
    dealt = splits.build(split, every, every, holders, stream(seed, "split"))
    return Task(
        name="scan_images",
        holders=tuple(Records(whole.inputs[own], whole.targets[own]) for own in dealt),
        held_out=measured,
        model=make,
        loss=losses.build(loss),
        measure=segmentation.measure,
        score="iou",
        baselines=baseline_metrics(
            filtered, measured, lambda _, grid: padded_to(grid, (height, width), 0)[None]
        ),
        record="scan",
        note=f"{whole.count} scans of {height} x {width} pixels; {len(test)} held out",
        shown=lambda many: [_shown(place, image) for place, image in enumerate(shown[:many])],
    )


def stride_of(shape: tuple[int, int], size: tuple[int, int]) -> int:
    """Return the smallest n for which every n-th row and column of ``shape`` fit into ``size``.

    >>> stride_of((120, 160), (64, 80))
    2
    """
    return max(-(-side // most) for side, most in zip(shape, size, strict=True))


def brought_to(scan: Scan, keep: Mask, size: tuple[int, int]) -> tuple[Scan, Mask]:
    """Return every n-th row and column of the box of a scan's points, and of its mask.

    The number n is the smallest, from 1 on, with which the rest fits into ``size``, a height and a
    width. The first row and the first column of the box remain. The scan that is returned has no
    ``keep``; its mask stands beside it.
    """
    rows, columns = bounding_box(scan.valid)
    sides = (rows.stop - rows.start, columns.stop - columns.start)
    every = stride_of(sides, size)
    steps = (slice(rows.start, rows.stop, every), slice(columns.start, columns.stop, every))
    part = scan.part(steps)
    # Slices would hold the arrays of the whole scan in memory for as long as the task lives.
    copies = {name: getattr(part, name).copy() for name in ("positions", "normals", "intensity")}
    return replace(part, keep=None, **copies), keep[steps].copy()


def padded_to(grid: Array, size: tuple[int, int], value: float) -> Array:
    """Pad a grid (..., height, width) with a value below and on the right, up to ``size``."""
    missing = [(0, most - side) for side, most in zip(grid.shape[-2:], size, strict=True)]
    return np.pad(grid, [(0, 0)] * (grid.ndim - 2) + missing, constant_values=value)


def _image(
    name: str, dirty: Path, clean: Path | None, size: tuple[int, int], channels: LoneChannels
) -> Image:
    scan, keep = scan_and_mask(dirty, clean)
    small, kept = brought_to(scan, keep, size)
    if not kept.any():
        raise DataError(
            f"{dirty}: keeps no point at {size[0]} x {size[1]} pixels; allowed: a larger task.size"
        )
    image = channel_image(small, channels, Views([]))
    target = segmentation.targets_of(kept, small.valid)
    padded = padded_to(image, size, 0.0), padded_to(target, size, np.nan)
    return Image(name, small, kept, *padded)


def _records(images: Sequence[Image]) -> Records:
    channels = np.stack([image.channels for image in images])
    return Records(read_only(channels), read_only(np.stack([image.target for image in images])))


def _shown(place: int, image: Image) -> ShownScan:
    height, width = image.keep.shape
    return ShownScan(
        name=image.name,
        examples=slice(place, place + 1),
        image=channel_image(image.scan, "picture", Views([])),
        valid=image.scan.valid,
        keep=image.keep,
        positions=image.scan.positions,
        kept=lambda outputs: segmentation.kept_by(outputs, image.target.shape)[:height, :width],
    )
