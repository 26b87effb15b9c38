"""Task ``scan_turntable``: learn to clean simulated turntables, whose scans see one another."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from fedchain.arrays import Array, Wholes
from fedchain.cache import SCANS
from fedchain.learning.task import TASK_SHAPES, Records, Task, losses, models, splits, tasks
from fedchain.randomness import NameStep, stream
from fedchain.registry import Part, cites
from fedchain.scans import segmentation
from fedchain.scans.cache import cached
from fedchain.scans.formats.notes import camera_from, numbers_of
from fedchain.scans.scan import Scan
from fedchain.scans.simulator.capture import Captured
from fedchain.scans.simulator.objects import OBJECTS
from fedchain.scans.simulator.stations import station_of
from fedchain.scans.simulator.turntables import TURNTABLE_VERSION, as_scan, simulate_turntable
from fedchain.scans.tasks.folder import (
    Cleaned,
    baselines_of,
    cut,
    shapes_of_tiles,
    shown_of,
    tile_records,
)
from fedchain.scans.tasks.simulated import BY_SITE
from fedchain.scans.turntable import CHANNEL_NAMES, ChannelKind, ScanView, Views

TurntableUnit = Literal["tile", "scan", "turntable"]
"""What a record is: a tile, all tiles of a scan, or all tiles of all scans of a turntable."""
PIXEL_MODEL = Part("pixels", {"hidden": 8})
ImageSide = Annotated[int, Field(ge=16, le=1024)]

TASK_SHAPES["scan_turntable"] = shapes_of_tiles


@tasks
@cites()
def scan_turntable(
    holders: int,
    seed: int,
    *,
    height: ImageSide = 96,
    width: ImageSide = 128,
    views: Annotated[int, Field(ge=2, le=64)] = 8,
    turntables: Annotated[int, Field(ge=1, le=10_000)] = 2,
    held_out: Annotated[int, Field(ge=1, le=10_000)] = 4,
    walled: bool = False,
    tile: Annotated[int, Field(ge=8, le=512)] = 32,
    record: TurntableUnit = "tile",
    channels: ChannelKind = "all",
    split: Annotated[Part, splits] = BY_SITE,
    model: Annotated[Part, models] = PIXEL_MODEL,
    loss: Annotated[Part, losses] = segmentation.BCE,
) -> Task:
    """Cleaning of simulated turntables: the scans of an object show each other's outliers.

    There are as many stations as holders. Each has a family of objects, a scanner (baseline, noise,
    exposure, drop-out, field of view) and materials of its own. Points near the turntable are
    cropped away; outliers are patches in which mirrored light moves the decoded column, and flying
    pixels.

    Args:
        holders: number of data holders, and of stations.
        seed: the seed of the run; other seeds give other scans.
        height: rows of a scan.
        width: columns of a scan.
        views: number of scans of a turntable; two rings of cameras take turns.
        turntables: number of turntables of each station.
        held_out: number of turntables that are held out for measuring, from all stations.
        walled: whether the objects lie in bins, whose walls are to be erased.
        tile: pixels along a side of a tile, the images that the model gets.
        record: the unit that privacy protects. With ``turntable``, all scans of an object are one
            record, and each is compared with all others. With ``tile`` or ``scan``, every second
            scan of a turntable (those of the second ring) is declared public with its pose, belongs
            to no holder, and is what the others are compared with; the windows of a tile's channels
            stop at its edge.
        channels: what the model sees of a point, as in ``scan_folder``.
        split: how the records are divided among the holders. A split by label uses the family of
            objects as the label.
        model: model that turns the channels into one logit per pixel.
        loss: loss over the pixels that hold a point.
    """
    make = segmentation.initial_model(model, seed, (len(CHANNEL_NAMES[channels]), tile, tile))
    size = height, width
    sets = simulated_sets(seed, holders, turntables, held_out, views, size, walled=walled)
    cut_sets = [_cut_set(name, scans, tile, record, channels) for name, scans in sets.items()]
    own, rest = cut_sets[: holders * turntables], cut_sets[holders * turntables :]
    test = [scan for scans in rest for scan in scans]
    whole, place = _records(own, record)
    sites = place // turntables
    families = list(OBJECTS)
    labels = np.array([families.index(station_of(seed, k).family) for k in range(holders)], int)
    dealt = splits.build(split, labels[sites], sites, holders, stream(seed, "split"))
    measured, every = tile_records(test), np.arange(whole.count)
    step = _step(record, channels)
    public = [f"{name}/{k}" for name in sets for k in range(views) if k % step]
    return Task(
        name="scan_turntable",
        holders=tuple(whole.part(np.isin(every, part)) for part in dealt),
        held_out=measured,
        model=make,
        loss=losses.build(loss),
        measure=segmentation.measure,
        score="iou",
        baselines=baselines_of(test, measured),
        record=record,
        note=f"{len(own)} simulated turntables of {views} scans; {held_out} more held out",
        public_scans=tuple(public),
        shown=lambda many: shown_of(test[:many]),
    )


def simulated_sets(
    seed: int,
    stations: int,
    turntables: int,
    held_out: int,
    views: int,
    size: tuple[int, int],
    *,
    walled: bool,
) -> dict[str, list[Scan]]:
    """Return the scans of all turntables, by the turntable's name; they are kept in the cache.

    The turntables of station k are named k-0, k-1, ..; the held-out ones, named held-out-0, .., are
    of the stations in turn, and come last.
    """
    sets: dict[str, tuple[int, tuple[NameStep, ...]]] = {
        f"{k}-{n}": (k, ("turntable", k, n)) for k in range(stations) for n in range(turntables)
    }
    for n in range(held_out):
        sets[f"held-out-{n}"] = n % stations, ("held-out turntable", n % stations, n)

    def make() -> Mapping[str, Array]:
        taken = [
            view
            for number, name in sets.values()
            for view in simulate_turntable(
                station_of(seed, number, *size, walled=walled), seed, name, views=views
            )
        ]
        fields = {
            field: np.stack([getattr(view.captured, field) for view in taken])
            for field in ("distance", "intensity", "labels")
        }
        return {**fields, "cameras": np.stack([numbers_of(view.stored) for view in taken])}

    key = {
        "kind": SCANS, "what": "turntables", "version": TURNTABLE_VERSION, "seed": seed,
        "stations": stations, "turntables": turntables, "held_out": held_out, "views": views,
        "size": list(size), "walled": walled,
    }  # fmt: skip
    kept = cached(key, make)
    scans = [
        as_scan(Captured(distance, intensity, labels), camera_from(numbers))
        for distance, intensity, labels, numbers in zip(
            kept["distance"], kept["intensity"], kept["labels"], kept["cameras"], strict=True
        )
    ]
    return {name: scans[k * views : (k + 1) * views] for k, name in enumerate(sets)}


def _step(record: TurntableUnit, kind: ChannelKind) -> int:
    """Return 2 if every second scan is public, because records are compared with it; else 1."""
    return 2 if record != "turntable" and kind in ("views", "all") else 1


def _cut_set(
    name: str, scans: Sequence[Scan], tile: int, record: TurntableUnit, kind: ChannelKind
) -> list[Cleaned]:
    """Cut the scans of a turntable that belong to a holder into tiles."""
    step = _step(record, kind)
    seen = [ScanView.of(scan) for scan in scans] if kind in ("views", "all") else []
    unit: Literal["tile", "scan"] = "tile" if record == "tile" else "scan"
    found = []
    for k in range(0, len(scans), step):
        others = [view for j, view in enumerate(seen) if j != k and (step == 1 or j % step)]
        if scans[k].valid.any():
            found.append(cut(f"{name}-{k}", scans[k], Views(others), tile, unit, kind))
    return found


def _records(sets: Sequence[Sequence[Cleaned]], record: TurntableUnit) -> tuple[Records, Wholes]:
    """Return the records of turntables, and the index of the turntable of each record."""
    whole = tile_records([scan for scans in sets for scan in scans])
    assert whole.record is not None
    turntable = np.repeat(np.arange(len(sets)), [len(scans) for scans in sets])
    if record == "tile":
        return replace(whole, record=None), turntable[whole.record]
    if record == "scan":
        return whole, turntable
    return replace(whole, record=turntable[whole.record]), np.unique(turntable)
