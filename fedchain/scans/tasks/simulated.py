"""Task ``scan_segmentation``: learn to clean simulated scans, which are kept in the cache."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Annotated

import numpy as np
from pydantic import Field

from fedchain.arrays import Array, read_only
from fedchain.cache import SCANS
from fedchain.learning.task import (
    MOST_SHOWN,
    Records,
    ShownScan,
    Task,
    losses,
    models,
    splits,
    tasks,
)
from fedchain.randomness import stream
from fedchain.registry import Part, cites
from fedchain.scans import segmentation
from fedchain.scans.cache import cached
from fedchain.scans.features import CHANNELS, features_of, normals_of
from fedchain.scans.scan import NONE, OBJECT, TABLE, TABLE_CROP_M, Floats, Mask, MaskName
from fedchain.scans.simulator.scanner import SIMULATOR_VERSION, Scanned, join_scans, simulate
from fedchain.scans.simulator.scenes import site_of
from fedchain.scans.simulator.shapes import SHAPES

MANY = 256
"""Number of scans whose features are computed at once."""
BY_SITE = Part("by_site", {})
CAMERA = np.zeros(3, np.float32)
"""Position of the camera: the origin of the frame in which scans are simulated."""


@tasks
@cites()
def scan_segmentation(
    holders: int,
    seed: int,
    *,
    mask: MaskName = "object",
    size: Annotated[int, Field(ge=8, le=512)] = 32,
    records_per_holder: Annotated[int, Field(ge=1, le=100_000)] = 200,
    held_out: Annotated[int, Field(ge=1, le=100_000)] = 400,
    split: Annotated[Part, splits] = BY_SITE,
    model: Annotated[Part, models] = segmentation.UNET,
    loss: Annotated[Part, losses] = segmentation.BCE,
) -> Task:
    """Cleaning of simulated scans: the model decides for each point whether it remains.

    There are as many sites as holders. Each site scans one family of objects, with its own
    materials, noise and camera angle.

    Args:
        holders: number of data holders, and of sites.
        seed: the seed of the run; other seeds give other scans.
        mask: ``object`` keeps the object and erases table, flying points and ghosts. ``outliers``
            is harder: it first crops the table away, as in real scans.
        size: pixels along a side of a scan.
        records_per_holder: number of scans per site; a scan is a record.
        held_out: number of scans for measuring, from all sites; they belong to no holder.
        split: how the scans are divided among the holders. A split by label uses the family of
            objects as the label.
        model: model that turns five channels into one logit per pixel.
        loss: loss over the pixels that hold a point.
    """
    make = segmentation.initial_model(model, seed, (len(CHANNELS), size, size))
    training, test = federation(seed, holders, records_per_holder, held_out, size)
    shapes = list(SHAPES)
    labels = np.array([shapes.index(site_of(seed, k).family) for k in range(holders)], np.int64)
    dealing = stream(seed, "split")
    dealt = splits.build(split, labels[training.site], training.site, holders, dealing)
    whole, measured = scan_records(training, mask), scan_records(test, mask)
    first = test[np.arange(min(MOST_SHOWN, held_out))]
    valid = np.isfinite(measured.targets)
    masks = {name: rule(valid) for name, rule in segmentation.BASELINES.items()}
    return Task(
        name="scan_segmentation",
        holders=tuple(Records(whole.inputs[own], whole.targets[own]) for own in dealt),
        held_out=measured,
        model=make,
        loss=losses.build(loss),
        measure=segmentation.measure,
        score="iou",
        baselines={name: segmentation.mask_metrics(kept, measured) for name, kept in masks.items()},
        record="scan",
        shown=lambda many: _shown(many, first, mask, measured),
    )


def federation(
    seed: int, sites: int, records: int, held_out: int, size: int
) -> tuple[Scanned, Scanned]:
    """Return the training scans and the held-out scans of all sites.

    ``records`` is the number of training scans of each site, ``held_out`` the number of held-out
    scans of all sites together, and ``size`` the number of pixels along a side.

    Returns:
        The training scans, grouped by site; and the held-out scans, which alternate between sites.
    """

    def make() -> Mapping[str, Array]:
        scanned = []
        for number in range(sites):
            own = [("scan", number, i) for i in range(records)]
            many = len(range(number, held_out, sites))
            test = [("held-out scan", number, i) for i in range(many)]
            scanned.append(simulate(site_of(seed, number), seed, [*own, *test], size, number))
        # Order: the first held-out scan of each site, then the second of each site, and so on.
        turns = np.concatenate([np.arange(len(each.site) - records) for each in scanned])
        last = join_scans([each[records:] for each in scanned])[np.argsort(turns, kind="stable")]
        return vars(join_scans([*(each[:records] for each in scanned), last]))

    key = {
        "kind": SCANS, "version": SIMULATOR_VERSION, "seed": seed, "sites": sites,
        "records": records, "held_out": held_out, "size": size,
    }  # fmt: skip
    everything = Scanned(**cached(key, make))
    return everything[: sites * records], everything[sites * records :]


def scan_records(scanned: Scanned, mask: MaskName) -> Records:
    """Return the images and masks of simulated scans, one record per scan."""
    images, targets = [], []
    for start in range(0, len(scanned.site), MANY):
        some = scanned[start : start + MANY]
        _, normals, valid, keep = cloud(some, mask)
        images.append(features_of(some.intensity, some.distance, normals, valid))
        targets.append(segmentation.targets_of(keep, valid))
    return Records(read_only(np.concatenate(images)), read_only(np.concatenate(targets)))


def cloud(scanned: Scanned, mask: MaskName) -> tuple[Floats, Floats, Mask, Mask]:
    """Return the points and the masks of a cleaning task.

    Returns:
        Positions, normals, the pixels that hold a point, and the pixels to keep. Positions and
        normals have shape (scans, height, width, 3), and are NaN where a pixel is empty.
    """
    valid, keep = masks(scanned, mask)
    positions = np.where(valid[..., None], scanned.positions, np.float32(np.nan))
    return positions, normals_of(positions, CAMERA), valid, keep


def masks(scanned: Scanned, mask: MaskName) -> tuple[Mask, Mask]:
    """Return the pixels with a point and the pixels to keep, both (scans, height, width)."""
    valid = scanned.labels != NONE
    if mask == "outliers":
        valid &= (scanned.labels != TABLE) & (scanned.height > TABLE_CROP_M)
    return valid, valid & (scanned.labels == OBJECT)


def _shown(many: int, scanned: Scanned, mask: MaskName, held_out: Records) -> list[ShownScan]:
    count = min(many, len(scanned.site))
    positions, _, valid, keep = cloud(scanned[:count], mask)
    return [
        ShownScan(
            name=f"{i:03d}",
            examples=slice(i, i + 1),
            image=held_out.inputs[i],
            valid=valid[i],
            keep=keep[i],
            positions=positions[i],
            kept=partial(segmentation.kept_by, shape=keep[i].shape),
        )
        for i in range(count)
    ]
