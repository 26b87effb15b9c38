"""Task on simulated scans."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from fedchain.arrays import Array, read_only
from fedchain.learning.task import Records, Task, losses, splits
from fedchain.randomness import stream
from fedchain.registry import Part
from fedchain.scans.features import features_of
from fedchain.scans.metrics import keep_everything, morphology
from fedchain.scans.pictures import Picture, side_by_side
from fedchain.scans.scan import MaskName
from fedchain.scans.segmentation import (
    baselines,
    initial_model,
    kept_by,
    measure,
    targets_of,
)
from fedchain.scans.simulator.scanner import Scanned, cloud
from fedchain.scans.simulator.scenes import site_of
from fedchain.scans.simulator.sets import federation, take
from fedchain.scans.simulator.shapes import FAMILIES

MANY = 256
"""Number of scans whose features are computed at once; it bounds the memory."""


def simulated_task(
    holders: int,
    seed: int,
    mask: MaskName,
    size: int,
    records_per_holder: int,
    held_out: int,
    split: Part,
    model: Part,
    loss: Part,
) -> Task:
    """Make the task; see :func:`fedchain.scans.tasks.scan_segmentation`."""
    make = initial_model(model, seed, size)
    training, test = federation(seed, holders, records_per_holder, held_out, size)
    families = list(FAMILIES)
    labels = np.array([families.index(site_of(seed, k).family) for k in range(holders)], np.int64)
    dealing = stream(seed, "split")
    dealt = splits.build(split, labels[training.site], training.site, holders, dealing)
    whole, measured = records_of(training, mask), records_of(test, mask)
    valid = np.isfinite(measured.targets)
    masks = {"keep_everything": keep_everything(valid), "morphology": morphology(valid)}
    return Task(
        name="scan_segmentation",
        holders=tuple(Records(whole.inputs[own], whole.targets[own]) for own in dealt),
        held_out=measured,
        model=make,
        loss=losses.build(loss),
        measure=measure,
        score="iou",
        baselines=baselines(masks, measured),
        record="scan",
        pictures=lambda outputs, many: _pictures(outputs, many, measured),
    )


def records_of(scanned: Scanned, mask: MaskName) -> Records:
    """Return the images and masks of simulated scans, one record per scan."""
    images, targets = [], []
    for start in range(0, len(scanned.site), MANY):
        some = take(scanned, slice(start, start + MANY))
        _, normals, valid, keep = cloud(some, mask)
        images.append(features_of(some.intensity, some.distance, normals, valid))
        targets.append(targets_of(keep, valid))
    return Records(read_only(np.concatenate(images)), read_only(np.concatenate(targets)))


def _pictures(outputs: Array, many: int, held_out: Records) -> Mapping[str, Picture]:
    kept = kept_by(outputs, held_out.targets.shape)
    shown = range(min(many, held_out.examples))
    return {f"scan-{i:03d}": _picture(i, held_out, kept[i]) for i in shown}


def _picture(index: int, held_out: Records, kept: Array) -> Picture:
    target = held_out.targets[index]
    return side_by_side(held_out.inputs[index], np.isfinite(target), target == 1, kept)
