"""Task ``scan_folder``: learn to clean real scans in a folder; each is cut into square tiles."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from fedchain.arrays import Array
from fedchain.errors import DataError
from fedchain.learning.task import Records, Task, losses, models, tasks
from fedchain.learning.tasks.splits import iid
from fedchain.randomness import stream
from fedchain.registry import Part
from fedchain.scans import segmentation
from fedchain.scans.features import CHANNELS, features_of, lengths_of, normals_of
from fedchain.scans.formats import read_scan
from fedchain.scans.pictures import Picture, draw_panels
from fedchain.scans.scan import Floats, Mask, Scan, bounding_box

RecordUnit = Literal["tile", "scan"]
"""What a record is: a tile, or all tiles of a scan."""

_log = logging.getLogger(__name__)
APPLE_DOUBLE = "._"
"""Beginning of the names of files in which macOS keeps the attributes of other files."""


@dataclass(frozen=True, eq=False)
class Cleaned:
    """One real scan, cut into tiles, with the mask of the points to keep.

    The masks are padded to whole tiles: their height and width are multiples of ``tile``.
    """

    name: str
    """Name of the scan: the part of the file's name that ``*`` stands for, such as 004."""
    tiles: Floats
    """The five channels of the tiles that hold a point, shape (tiles, 5, tile, tile)."""
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
        """Cut an array (..., height, width) into tiles, and return the tiles that hold a point."""
        return cut_tiles(grid, self.tile)[self.filled]


@tasks
def scan_folder(
    holders: int,
    seed: int,
    *,
    path: str,
    dirty: str = "gpu_*.cogs",
    clean: str = "clean_*.cogs",
    tile: Annotated[int, Field(ge=8, le=512)] = 64,
    record: RecordUnit = "tile",
    held_out: Annotated[int, Field(ge=1, le=10_000)] = 1,
    model: Annotated[Part, models] = segmentation.UNET,
    loss: Annotated[Part, losses] = segmentation.BCE,
) -> Task:
    """Learn to clean real scans from pairs: a scan, and the same scan cleaned by hand.

    Two files form a pair if ``*`` stands for the same text in both names, as in gpu_004.cogs and
    clean_004.cogs. Tiles without a point are dropped. The last scans in alphabetical order are held
    out.

    Args:
        holders: number of data holders.
        seed: the seed of the run; it decides which holder gets which records.
        path: the folder with the scans, as COGS, organised PLY or NPZ files.
        dirty: pattern of the file names of the scans before cleaning, with one ``*``.
        clean: pattern of the file names of the cleaned scans, with one ``*``.
        tile: pixels along a side of a tile.
        record: the unit that privacy protects. With ``scan``, a holder has all tiles of a scan;
            there must be at least as many training scans as holders. With ``tile``, several holders
            may have tiles of one scan, and the guarantee holds for a tile only. The channels of a
            tile are then scaled, and its normals computed, from the tile alone.
        held_out: number of scans that are held out for measuring.
        model: model that turns five channels into one logit per pixel.
        loss: loss over the pixels that hold a point.
    """
    make = segmentation.initial_model(model, seed, (len(CHANNELS), tile, tile))
    files = pairs(Path(path), dirty, clean)
    training = len(files) - held_out
    _check_enough(Path(path), training, held_out, holders if record == "scan" else 1)
    scans = [cleaned(name, *both, tile, record) for name, both in files.items()]
    if all((scan.keep == scan.valid).all() for scan in scans):
        raise DataError(
            f"{path}: {clean} has every point of {dirty}, so there is nothing to erase; allowed: "
            "cleaned scans, of which at least one lacks points of its original"
        )
    whole, test = tile_records(scans[:training]), scans[training:]
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
    # The baselines get whole scans, before they are cut.
    masks = {
        name: np.concatenate([scan.tiles_of(rule(scan.valid[None])[0]) for scan in test])
        for name, rule in segmentation.BASELINES.items()
    }
    return Task(
        name="scan_folder",
        holders=tuple(whole.part(np.isin(every, own)) for own in dealt),
        held_out=measured,
        model=make,
        loss=losses.build(loss),
        measure=segmentation.measure,
        score="iou",
        baselines={name: segmentation.mask_metrics(kept, measured) for name, kept in masks.items()},
        record=record,
        note=f"tiles of {tile} x {tile} pixels of real scans; held out: {kept_back}",
        pictures=lambda outputs, many: _pictures(outputs, many, test),
    )


def pairs(folder: Path, dirty: str, clean: str) -> dict[str, tuple[Path, Path]]:
    """Return the paths of each scan before and after cleaning, by the text that ``*`` stands for.

    Raises:
        DataError: the folder does not exist, a pattern does not have exactly one ``*``, there is no
            pair, or a cleaned scan has no original.
    """
    if not folder.is_dir():
        raise DataError(f"{folder}: no such folder; give one with {dirty} and {clean} as task.path")
    originals, cleaned_ones = _matches(folder, dirty), _matches(folder, clean)
    for name in sorted(cleaned_ones.keys() - originals.keys()):
        wanted = dirty.replace("*", name)
        raise DataError(f"{cleaned_ones[name]}: has no original; allowed: {wanted} beside it")
    for name in sorted(originals.keys() - cleaned_ones.keys()):
        _log.warning("%s: left out: not cleaned yet", originals[name])
    both = {name: (originals[name], cleaned_ones[name]) for name in sorted(cleaned_ones)}
    if not both:
        raise DataError(f"{folder}: holds no pair of {dirty} and {clean}; allowed: at least two")
    return both


def cleaned(name: str, dirty: Path, clean: Path, tile: int, record: RecordUnit) -> Cleaned:
    """Read a scan and its cleaned version, and cut the scan into tiles.

    Raises:
        DataError: ``scan_and_mask`` refuses the files.
    """
    scan, keep = scan_and_mask(dirty, clean)
    if record == "scan":
        box = bounding_box(scan.valid)
        scan, keep = scan.part(box), keep[box]
    tiles = channels_of(scan, tile, record)
    return Cleaned(name, tiles, padded(scan.valid, tile, False), padded(keep, tile, False), tile)


def scan_and_mask(dirty: Path, clean: Path | None) -> tuple[Scan, Mask]:
    """Read a scan, and the mask of the points to keep.

    The points to keep are those of the cleaned file or, if it has a mask ``keep``, of this mask.
    Without a cleaned file, the scan's own file must have the mask.

    Raises:
        DataError: a file cannot be read, the grids differ in size, the cleaned file has points that
            the original lacks, there is no mask, or the cleaning left no point.
    """
    scan = read_scan(dirty)
    after = scan if clean is None else read_scan(clean)
    if clean is None and scan.keep is None:
        raise DataError(
            f"{dirty}: has no mask of the points to keep; allowed: an NPZ file with an array keep, "
            "or cleaned scans beside it and their pattern as task.clean"
        )
    if scan.intensity.shape != after.intensity.shape:
        raise DataError(
            f"{clean}: has {after.intensity.shape} pixels; "
            f"allowed: {scan.intensity.shape}, those of {dirty.name}"
        )
    keep = after.valid if after.keep is None else after.valid & after.keep
    if new := int((keep & ~scan.valid).sum()):
        raise DataError(
            f"{clean}: has {new} points that {dirty.name} lacks; allowed: a scan from which points "
            "were erased (are task.dirty and task.clean swapped?)"
        )
    if (scan.intensity[scan.valid] == 1).all():
        _log.warning(
            "%s: has no brightness: every point has intensity 1, and the model learns from shape "
            "alone; PLY: intensity, Texture32, or red, green and blue; NPZ: intensity",
            dirty,
        )
    if not keep.any():
        raise DataError(f"{clean or dirty}: keeps no point of {dirty.name}; allowed: at least one")
    return scan, keep


def channels_of(scan: Scan, tile: int, record: RecordUnit) -> Floats:
    """Return the five channels of the tiles that hold a point, shape (tiles, 5, tile, tile).

    The channels of a record depend on no other record.
    """
    # If each tile is a record, the scan is cut first. The normals are computed from the tile's own
    # points, because those of the file depend on points beyond the tile's border.
    filled = cut_tiles(padded(scan.valid, tile, False), tile).any(axis=(1, 2))
    if record == "scan":
        grids = (scan.positions, scan.intensity, scan.normals)
        points, light, normals = (grid[None] for grid in grids)
    else:
        grid = np.stack([*np.moveaxis(scan.positions, -1, 0), scan.intensity])
        cut = cut_tiles(padded(grid, tile, np.nan), tile)[filled]
        points, light = np.moveaxis(cut[:, :3], 1, -1), cut[:, 3]
        normals = normals_of(points, scan.camera)
    distance = lengths_of(points - scan.camera)
    valid = np.asarray(np.isfinite(points).all(axis=-1))
    image = features_of(light, distance, normals, valid)
    return image if record == "tile" else cut_tiles(padded(image[0], tile, 0.0), tile)[filled]


def padded(grid: Array, tile: int, value: float) -> Array:
    """Pad a grid below and on the right with a value, up to whole tiles."""
    rest = [(0, 0)] * (grid.ndim - 2)
    missing = [(0, -side % tile) for side in grid.shape[-2:]]
    return np.pad(grid, [*rest, *missing], constant_values=value)


def cut_tiles(grid: Array, tile: int) -> Array:
    """Cut a grid (..., height, width) into tiles (tiles, ..., tile, tile), row by row.

    >>> cut_tiles(np.arange(8).reshape(2, 4), 2).tolist()
    [[[0, 1], [4, 5]], [[2, 3], [6, 7]]]
    """
    *rest, height, width = grid.shape
    split = grid.reshape(*rest, height // tile, tile, width // tile, tile)
    rows, columns = split.ndim - 4, split.ndim - 2
    return np.moveaxis(split, (rows, columns), (0, 1)).reshape(-1, *rest, tile, tile)


def join_tiles(tiles: Array, height: int, width: int) -> Array:
    """Join tiles into a grid of this height and width: the inverse of ``cut_tiles``."""
    tile = tiles.shape[-1]
    rows = tiles.reshape(height // tile, width // tile, tile, tile)
    return rows.swapaxes(1, 2).reshape(height, width)


def tile_records(scans: list[Cleaned]) -> Records:
    """Return the images and masks of all tiles with points; all tiles of a scan are one record."""
    inputs = [scan.tiles for scan in scans]
    targets = [scan.tiles_of(segmentation.targets_of(scan.keep, scan.valid)) for scan in scans]
    owner = np.repeat(np.arange(len(scans)), [len(own) for own in inputs])
    return Records(np.concatenate(inputs), np.concatenate(targets), owner.astype(np.int64))


def _matches(folder: Path, pattern: str) -> dict[str, Path]:
    before, star, after = pattern.partition("*")
    if not star or "*" in after or "/" in pattern or "\\" in pattern:
        raise DataError(f"{folder}: pattern {pattern!r}; allowed: a file name with exactly one *")
    wanted = re.compile(re.escape(before) + "(.+)" + re.escape(after))
    names = (path for path in sorted(folder.iterdir()) if not path.name.startswith(APPLE_DOUBLE))
    found = {path: wanted.fullmatch(path.name) for path in names}
    return {match[1]: path for path, match in found.items() if match}


def _check_enough(folder: Path, training: int, held_out: int, needed: int) -> None:
    if training < needed:
        why = "one for each holder, since a scan is a record" if needed > 1 else "to train on"
        raise DataError(
            f"{folder}: has {training + held_out} cleaned scans; "
            f"allowed: at least {needed} {why}, and {held_out} held out"
        )


def _pictures(outputs: Array, many: int, scans: list[Cleaned]) -> Mapping[str, Picture]:
    pictures, start = {}, 0
    for scan in scans[:many]:
        count, _, *sides = scan.tiles.shape
        kept = segmentation.kept_by(outputs[start : start + count], (count, *sides))
        tiles = np.concatenate([scan.tiles, kept[:, None]], axis=1)
        whole = np.zeros((len(scan.filled), *tiles.shape[1:]), np.float32)
        whole[scan.filled] = tiles
        *image, chosen = (
            join_tiles(channel, *scan.valid.shape) for channel in whole.swapaxes(0, 1)
        )
        box = bounding_box(scan.valid)
        shown = (grid[box] for grid in (scan.valid, scan.keep, chosen > 0))
        pictures[f"scan-{scan.name}"] = draw_panels(np.stack([c[box] for c in image]), *shown)
        start += count
    return pictures
