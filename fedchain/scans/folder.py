"""Task on a folder of real scans and their cleaned versions."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from fedchain.arrays import Array
from fedchain.errors import DataError
from fedchain.learning.task import Records, Task, losses
from fedchain.randomness import stream
from fedchain.registry import Part
from fedchain.scans.features import features_of
from fedchain.scans.formats import read_scan
from fedchain.scans.metrics import keep_everything, morphology
from fedchain.scans.pictures import Picture, side_by_side
from fedchain.scans.scan import Floats, Mask, bounding_box, crop
from fedchain.scans.segmentation import baselines, initial_model, kept_by, measure, targets_of
from fedchain.scans.tiles import cut, joined

LOG = logging.getLogger(__name__)
Rule = Callable[[Mask], Mask]
BASELINES: Mapping[str, Rule] = {"keep_everything": keep_everything, "morphology": morphology}


@dataclass(frozen=True, eq=False)
class Cleaned:
    """One real scan, cropped and padded to whole tiles, with the mask of its cleaning."""

    name: str
    """The part of the file's name that the wildcard stands for."""
    image: Floats
    """The five channels, (5, h, w)."""
    valid: Mask
    """Pixels that hold a point, (h, w)."""
    keep: Mask
    """Points that remained after the cleaning by hand, (h, w)."""


def folder_task(
    holders: int,
    seed: int,
    path: str,
    patterns: tuple[str, str],
    tile: int,
    record: str,
    held_out: int,
    model: Part,
    loss: Part,
) -> Task:
    """Make the task; see :func:`fedchain.scans.tasks.scan_folder`."""
    make = initial_model(model, seed, tile)
    files = pairs(Path(path), *patterns)
    names = sorted(files)
    kept_back = names[len(names) - held_out :]
    _check_enough(Path(path), len(names) - held_out, held_out, holders if record == "scan" else 1)
    scans = [cleaned(name, *files[name], tile) for name in names]
    training, test = scans[: len(names) - held_out], scans[len(names) - held_out :]
    measured = tiles_of(test, tile)
    random = stream(seed, "split")
    masks = {name: _cut_masks(test, rule, tile) for name, rule in BASELINES.items()}
    return Task(
        name="scan_folder",
        holders=_deal(Path(path), tiles_of(training, tile), holders, record, random),
        held_out=measured,
        model=make,
        loss=losses.build(loss),
        measure=measure,
        score="iou",
        baselines=baselines(masks, measured),
        record=record,
        note=f"tiles of {tile} x {tile} pixels of real scans; held out: {', '.join(kept_back)}",
        pictures=lambda outputs, many: _pictures(outputs, many, test, tile),
    )


def pairs(folder: Path, dirty: str, clean: str) -> dict[str, tuple[Path, Path]]:
    """Return the files of each scan and its cleaned version, by what the wildcard stands for.

    Raises:
        DataError: the folder does not exist, a pattern has not exactly one ``*``, there is no
            pair, or a cleaned scan has no original.
    """
    if not folder.is_dir():
        raise DataError(f"{folder}: no such folder; give one with {dirty} and {clean} as task.path")
    originals, cleaned_ones = _matches(folder, dirty), _matches(folder, clean)
    for name in sorted(cleaned_ones.keys() - originals.keys()):
        wanted = dirty.replace("*", name)
        raise DataError(f"{cleaned_ones[name]}: has no original; allowed: {wanted} beside it")
    for name in sorted(originals.keys() - cleaned_ones.keys()):
        LOG.warning("%s: left out: not cleaned yet", originals[name])
    both = {name: (originals[name], cleaned_ones[name]) for name in cleaned_ones}
    if not both:
        raise DataError(f"{folder}: holds no pair of {dirty} and {clean}; allowed: at least two")
    return both


def cleaned(name: str, dirty: Path, clean: Path, tile: int) -> Cleaned:
    """Read one pair, crop it to its points, and pad it to whole tiles.

    Raises:
        DataError: a file cannot be read, the grids differ, or the cleaning left no point.
    """
    scan, after = read_scan(dirty), read_scan(clean)
    if scan.intensity.shape != after.intensity.shape:
        raise DataError(
            f"{clean}: has {after.intensity.shape} pixels; "
            f"allowed: {scan.intensity.shape}, those of {dirty.name}"
        )
    box = bounding_box(scan.valid)
    keep, scan = after.valid[box], crop(scan, box)
    valid = scan.valid
    if not (keep & valid).any():
        raise DataError(f"{clean}: keeps no point of {dirty.name}; allowed: at least one")
    distance = np.sqrt(((scan.positions - scan.camera) ** 2).sum(axis=-1))
    image = features_of(scan.intensity[None], distance[None], scan.normals[None], valid[None])[0]
    missing = [(0, -side % tile) for side in valid.shape]
    return Cleaned(
        name,
        np.pad(image, ((0, 0), *missing)),
        np.pad(valid, missing),
        np.pad(keep & valid, missing),
    )


def tiles_of(scans: list[Cleaned], tile: int) -> Records:
    """Return the tiles that hold a point; the record of a tile is the scan that it was cut from."""
    inputs = [cut(scan.image, tile)[_tiles_with_points(scan, tile)] for scan in scans]
    targets = [
        cut(targets_of(scan.keep, scan.valid), tile)[_tiles_with_points(scan, tile)]
        for scan in scans
    ]
    owner = np.repeat(np.arange(len(scans)), [len(own) for own in inputs])
    return Records(np.concatenate(inputs), np.concatenate(targets), owner.astype(np.int64))


def _matches(folder: Path, pattern: str) -> dict[str, Path]:
    before, star, after = pattern.partition("*")
    if not star or "*" in after or "/" in pattern or "\\" in pattern:
        raise DataError(f"{folder}: pattern {pattern!r}; allowed: a file name with exactly one *")
    wanted = re.compile(re.escape(before) + "(.+)" + re.escape(after))
    found = {path: wanted.fullmatch(path.name) for path in sorted(folder.iterdir())}
    return {match[1]: path for path, match in found.items() if match}


def _check_enough(folder: Path, training: int, held_out: int, needed: int) -> None:
    if training < needed:
        why = "one for each holder, since a scan is a record" if needed > 1 else "to train on"
        raise DataError(
            f"{folder}: has {training + held_out} cleaned scans; "
            f"allowed: at least {needed} {why}, and {held_out} held out"
        )


def _deal(
    folder: Path, tiles: Records, holders: int, record: str, random: np.random.Generator
) -> tuple[Records, ...]:
    owner = tiles.record
    if record == "tile" or owner is None:
        if tiles.examples < holders:
            raise DataError(
                f"{folder}: gives {tiles.examples} tiles with points; "
                f"allowed: at least {holders}, one for each holder"
            )
        dealt = np.array_split(random.permutation(tiles.examples), holders)
        return tuple(Records(tiles.inputs[own], tiles.targets[own]) for own in map(np.sort, dealt))
    scans = np.array_split(random.permutation(tiles.count), holders)
    chosen = [np.flatnonzero(np.isin(owner, own)) for own in scans]
    return tuple(
        Records(tiles.inputs[own], tiles.targets[own], _renumber(owner[own])) for own in chosen
    )


def _renumber(owner: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    return np.unique(owner, return_inverse=True)[1].astype(np.int64)


def _tiles_with_points(scan: Cleaned, tile: int) -> npt.NDArray[np.bool_]:
    return np.asarray(cut(scan.valid, tile).any(axis=(1, 2)))


def _cut_masks(scans: list[Cleaned], rule: Rule, tile: int) -> Mask:
    """Return the tiles of a baseline's masks; the baseline sees whole scans before they are cut."""
    masks = [cut(rule(scan.valid[None])[0], tile)[_tiles_with_points(scan, tile)] for scan in scans]
    return np.concatenate(masks)


def _pictures(outputs: Array, many: int, scans: list[Cleaned], tile: int) -> Mapping[str, Picture]:
    pictures, start = {}, 0
    for scan in scans[:many]:
        filled = _tiles_with_points(scan, tile)
        tiles = np.zeros((len(filled), tile, tile), bool)
        stop = start + int(filled.sum())
        tiles[filled] = kept_by(outputs[start:stop], (stop - start, tile, tile))
        kept = joined(tiles, (scan.valid.shape[0], scan.valid.shape[1]))
        pictures[f"scan-{scan.name}"] = side_by_side(scan.image, scan.valid, scan.keep, kept)
        start = stop
    return pictures
