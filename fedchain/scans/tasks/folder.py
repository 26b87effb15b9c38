"""Task ``scan_folder``: learn to clean real scans in a folder; each is cut into square tiles."""

from __future__ import annotations

import functools
import logging
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import Field

from fedchain.arrays import Array
from fedchain.errors import DataError
from fedchain.learning.task import (
    TASK_SHAPES,
    Metrics,
    Records,
    Shapes,
    ShownScan,
    Task,
    losses,
    models,
    tasks,
)
from fedchain.learning.tasks.splits import iid
from fedchain.randomness import stream
from fedchain.registry import Matching, Part, cites
from fedchain.scans import segmentation
from fedchain.scans.baselines import baseline_metrics, classical
from fedchain.scans.features import features_of, lengths_of, normals_of
from fedchain.scans.scan import Floats, Mask, Scan, bounding_box
from fedchain.scans.tasks.pairs import HeldOutScans, held_out_of, pairs, scan_and_mask
from fedchain.scans.tasks.tiles import cut_tiles, join_tiles, padded
from fedchain.scans.turntable import (
    CHANNEL_NAMES,
    ChannelKind,
    ScanSet,
    Views,
    channel_image,
    read_set,
)
from fedchain.scans.turntable.images import grid_channels

_log = logging.getLogger(__name__)
RecordUnit = Literal["tile", "scan"]
"""What a record is: a tile, or all tiles of a scan."""


@dataclass(frozen=True, eq=False)
class Cleaned:
    """One real scan, cut into tiles, with the mask of the points to keep.

    The masks are padded to whole tiles: their height and width are multiples of ``tile``.
    """

    name: str
    """Name of the scan: the part of the file's name that ``*`` stands for, such as 004."""
    scan: Scan
    """The scan, of which the tiles are parts; not padded."""
    views: Views
    """The scans that the points are compared with; none for channels of the scan alone."""
    tiles: Floats
    """The channels of the tiles that hold a point, shape (tiles, channels, tile, tile)."""
    valid: Mask
    """Pixels that hold a point, shape (height, width)."""
    keep: Mask
    """Pixels whose point remained after the cleaning by hand, shape (height, width)."""
    tile: int
    """Pixels along a side of a tile."""

    @cached_property
    def filled(self) -> Mask:
        """For each tile, row by row, whether it holds a point."""
        return np.asarray(cut_tiles(self.valid, self.tile).any(axis=(1, 2)))

    def tiles_of(self, grid: Array) -> Array:
        """Pad and cut an array (height, width); return the tiles that hold a point."""
        return cut_tiles(padded(grid, self.tile, 0), self.tile)[self.filled]


def shapes_of_tiles(given: Mapping[str, Any]) -> Shapes:
    """Return the shapes of a task from its parameters ``tile`` and ``channels``."""
    pixels = given["tile"], given["tile"]
    channels = len(CHANNEL_NAMES[given["channels"]])
    return Shapes(inputs=(channels, *pixels), outputs=1, targets=pixels, score="iou")


TASK_SHAPES["scan_folder"] = shapes_of_tiles


@tasks
@cites()
def scan_folder(
    holders: int,
    seed: int,
    *,
    path: Annotated[str, Matching("dirty", "clean", "views")],
    dirty: str = "gpu_*.cogs",
    clean: str = "clean_*.cogs",
    tile: Annotated[int, Field(ge=8, le=512)] = 64,
    record: RecordUnit = "tile",
    channels: ChannelKind = "picture",
    views: list[str] = [],  # noqa: B006
    held_out: HeldOutScans = 1,
    model: Annotated[Part, models] = segmentation.UNET,
    loss: Annotated[Part, losses] = segmentation.BCE,
) -> Task:
    """Learn to clean real scans from pairs: a scan, and the same scan cleaned by hand.

    Two files form a pair if ``*`` stands for the same text in both names, as in gpu_004.cogs and
    clean_004.cogs. Tiles without a point are dropped.

    Args:
        holders: number of data holders.
        seed: the seed of the run; it decides which holder gets which records.
        path: the folder with the scans, in any organised format.
        dirty: pattern of the file names of the scans before cleaning, with one ``*``.
        clean: pattern of the file names of the cleaned scans, with one ``*``.
        tile: pixels along a side of a tile.
        record: the unit that privacy protects. With ``scan``, a holder has all tiles of a scan;
            there must be at least as many training scans as holders. With ``tile``, several holders
            may have tiles of one scan, and the guarantee holds for a tile only. The channels of a
            tile are then computed from the tile alone: its windows and its normals stop at its
            edge.
        channels: what the model sees of a point. ``picture``: five channels of 8 bits, as in the
            paper of ``gajdosech_unet``. ``local``: float channels of the scan alone. ``views``:
            comparisons with other scans of the turntable. ``all``: both. Only ``picture`` depends
            on more of the record than the windows around a point.
        views: patterns of the files, below ``path``, with which ``views`` and ``all`` compare the
            points, such as ``turntable/*``. These scans are declared public, and so are their
            poses. Scans that a holder has, and cleaned versions of scans, are left out, so that no
            record depends on another one.
        held_out: which scans are held out for measuring: a pattern of their names (what ``*``
            stands for in ``dirty``), or the number of scans, the last ones in alphabetical order.
        model: model that turns the channels into one logit per pixel.
        loss: loss over the pixels that hold a point.
    """
    folder = Path(path)
    make = segmentation.initial_model(model, seed, (len(CHANNEL_NAMES[channels]), tile, tile))
    files = pairs(folder, dirty, clean)
    test_names = held_out_of(folder, list(files), held_out, holders if record == "scan" else 1)
    private = {file for name, both in files.items() if name not in test_names for file in both}
    private |= {both[1] for both in files.values()}
    public = _public(folder, views, private, channels)
    scans = [_cleaned(name, both, tile, record, channels, public) for name, both in files.items()]
    if all((scan.keep == scan.valid).all() for scan in scans):
        raise DataError(
            f"{path}: {clean} has every point of {dirty}, so there is nothing to erase; allowed: "
            "cleaned scans, of which at least one lacks points of its original"
        )
    whole = tile_records([scan for scan in scans if scan.name not in test_names])
    test = [scan for scan in scans if scan.name in test_names]
    if record == "tile":
        whole = replace(whole, record=None)
    if whole.count < holders:
        raise DataError(
            f"{path}: gives {whole.count} tiles with points; "
            f"allowed: at least {holders}, one for each holder"
        )
    measured, every = tile_records(test), np.arange(whole.count)
    dealt = iid(every, every, holders, stream(seed, "split"))
    kept_back = ", ".join(scan.name for scan in test)
    return Task(
        name="scan_folder",
        holders=tuple(whole.part(np.isin(every, own)) for own in dealt),
        held_out=measured,
        model=make,
        loss=losses.build(loss),
        measure=segmentation.measure,
        score="iou",
        baselines=baselines_of(test, measured),
        record=record,
        note=f"tiles of {tile} x {tile} pixels of real scans; held out: {kept_back}",
        public_scans=tuple(file.name for file in public.cameras) if public else (),
        shown=lambda many: shown_of(test[:many]),
    )


def _public(
    folder: Path, patterns: Sequence[str], private: Collection[Path], kind: ChannelKind
) -> ScanSet | None:
    """Return the public scans with which points are compared; None if the channels need none."""
    compares = kind in ("views", "all")
    if compares != bool(patterns):
        have, need = ("none", "at least one pattern") if compares else (list(patterns), "none")
        raise DataError(f"task.views: {have} with task.channels: {kind}; allowed: {need}")
    if not compares:
        return None
    found = {file for pattern in patterns for file in folder.glob(pattern) if file.is_file()}
    public = read_set(sorted(found - set(private)))
    for file, why in public.left_out.items():
        _log.warning("%s: is no public view: %s", file, why)
    return public


def _cleaned(
    name: str,
    both: tuple[Path, Path],
    tile: int,
    record: RecordUnit,
    kind: ChannelKind,
    public: ScanSet | None,
) -> Cleaned:
    """Read a scan and its cleaned version, and cut the scan into tiles.

    Raises:
        DataError: ``scan_and_mask`` refuses the files, or no public scan is a view of this one.
    """
    scan, keep = scan_and_mask(*both)
    views = Views([]) if public is None else public.views_of(scan)
    if public is not None and not views.views:
        raise DataError(
            f"{both[0]}: no file of task.views is another view of it; allowed: scans of the same "
            "turntable, whose files hold their cameras"
        )
    return cut(name, replace(scan, keep=keep), views, tile, record, kind)


def cut(
    name: str, scan: Scan, views: Views, tile: int, record: RecordUnit, kind: ChannelKind
) -> Cleaned:
    """Cut a scan, whose ``keep`` is known, into tiles with channels of a kind."""
    scan = scan.part(bounding_box(scan.valid)) if record == "scan" else scan
    assert scan.keep is not None
    tiles = channels_of(scan, tile, record, kind, views)
    valid, kept = (padded(mask, tile, False) for mask in (scan.valid, scan.keep))
    return Cleaned(name, scan, views, tiles, valid, kept, tile)


def channels_of(
    scan: Scan, tile: int, record: RecordUnit, kind: ChannelKind, views: Views
) -> Floats:
    """Return the channels of the tiles that hold a point, shape (tiles, channels, tile, tile).

    The channels of a record depend on no other record.
    """
    # If each tile is a record, the scan is cut first. The normals are computed from the tile's own
    # points, because those of the file depend on points beyond the tile's border.
    filled = cut_tiles(padded(scan.valid, tile, False), tile).any(axis=(1, 2))
    if record == "scan":
        points, light, normals = (x[None] for x in (scan.positions, scan.intensity, scan.normals))
    else:
        grid = np.stack([*np.moveaxis(scan.positions, -1, 0), scan.intensity])
        cut = cut_tiles(padded(grid, tile, np.nan), tile)[filled]
        points, light = np.moveaxis(cut[:, :3], 1, -1), cut[:, 3]
        normals = normals_of(points, scan.camera)
    if kind == "picture":
        valid = np.asarray(np.isfinite(points).all(axis=-1))
        image = features_of(light, lengths_of(points - scan.camera), normals, valid)
    else:
        image = grid_channels(points, light, scan.camera, kind, views)
    return image if record == "tile" else cut_tiles(padded(image[0], tile, 0.0), tile)[filled]


def tile_records(scans: Sequence[Cleaned]) -> Records:
    """Return the images and masks of all tiles with points; all tiles of a scan are one record."""
    inputs = [scan.tiles for scan in scans]
    targets = [scan.tiles_of(segmentation.targets_of(scan.keep, scan.valid)) for scan in scans]
    owner = np.repeat(np.arange(len(scans)), [len(own) for own in inputs])
    return Records(np.concatenate(inputs), np.concatenate(targets), owner.astype(np.int64))


def baselines_of(scans: Sequence[Cleaned], measured: Records) -> dict[str, Metrics]:
    """Return the metrics of the classical filters, which see whole scans before they are cut."""
    filtered = [classical(scan.scan, scan.views) for scan in scans]
    return baseline_metrics(filtered, measured, lambda k, grid: scans[k].tiles_of(grid))


def shown_of(scans: Sequence[Cleaned]) -> list[ShownScan]:
    """Return held-out scans, which are the first ones, for pictures of their masks."""
    shown, start = list[ShownScan](), 0
    for scan in scans:
        box = bounding_box(scan.valid)
        shown.append(
            ShownScan(
                name=scan.name,
                examples=slice(start, start + len(scan.tiles)),
                image=channel_image(scan.scan.part(box), "picture", Views([])),
                valid=scan.valid[box],
                keep=scan.keep[box],
                positions=scan.scan.positions[box],
                kept=functools.partial(_kept, scan, box),
            )
        )
        start += len(scan.tiles)
    return shown


def _kept(scan: Cleaned, box: tuple[slice, slice], outputs: Array) -> Mask:
    """Return the pixels of a scan that the outputs for its tiles keep, within a box."""
    count, _, *sides = scan.tiles.shape
    chosen = np.zeros((len(scan.filled), *sides), bool)
    chosen[scan.filled] = segmentation.kept_by(outputs, (count, *sides))
    return np.asarray(join_tiles(chosen, *scan.valid.shape)[box])
