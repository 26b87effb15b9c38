"""Filtering: cleans all scans of a folder with a trained model, and can be interrupted."""

from __future__ import annotations

import functools
import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from fedchain.arrays import Flags
from fedchain.files import write_whole
from fedchain.registry import Section
from fedchain.scans.formats import WRITERS, read_cloud, write_cloud, write_scan
from fedchain.scans.scan import Cloud, Mask, Scan
from fedchain.scans.training.cleaning import chances, unlike
from fedchain.scans.training.folders import (
    JOURNAL,
    KEEP,
    ScanFile,
    ScanFolder,
    files_alone,
    list_folder,
)
from fedchain.scans.training.images import COMPARED, OpenSet, ScanImage
from fedchain.scans.training.journal import Result, digest_of_scan, open_results, work_through
from fedchain.scans.training.model_file import TrainedModel


class Filtered(Section):
    """One scan that was filtered."""

    name: str
    """Name of the scan: its path below the folder, without endings."""
    scan: str
    """SHA-256 digest of the scan's file, in hexadecimal digits."""
    cloud: str
    """Path of the cleaned cloud, below the folder of results."""
    points: int
    """Points of the scan before filtering."""
    kept: int
    """Points that remain."""
    unlike: tuple[str, ...]
    """In what the scan is unlike the training scans, in words."""
    whole: bool
    """Whether every point was kept because the scan is unlike the training scans."""


@dataclass(frozen=True)
class FilteredFolder:
    """What became of the scans of a folder."""

    folder: ScanFolder
    """What was read and left out."""
    scans: tuple[Filtered, ...]
    """The scans that are filtered."""
    before: frozenset[str]
    """Names of the scans that an earlier call had filtered."""
    failed: Mapping[str, str]
    """Reason why a scan was not filtered, by its name."""


@dataclass(frozen=True, eq=False)
class CleanScan:
    """A scan that was cleaned."""

    cleaned: Scan | Cloud
    """The points that remain, on the scan's grid if it has one."""
    mask: Flags | Mask
    """Which points remain: over the scan's grid, shape (height, width), or over the points in the
    order of the file, shape (n,), for a scan without a grid."""
    points: int
    """Points of the scan before filtering."""
    unlike: tuple[str, ...]
    """In what the scan is unlike the training scans, in words."""
    whole: bool
    """Whether every point was kept because the scan is unlike the training scans."""
    files: tuple[str, str]
    """Paths of the cleaned cloud and of the mask, below the folder of results."""


def filter_folder(
    folder: Path,
    trained: TrainedModel,
    model: str,
    out: Path,
    *,
    even_unlike: bool = False,
    force: bool = False,
    only: Sequence[Path] | None = None,
    progress: Callable[[int, int, str], None] = lambda *_: None,
) -> FilteredFolder:
    """Clean every scan of a folder, or some of them, and write the cleaned clouds and the masks.

    For a scan NAME, ``out`` gets the cleaned cloud, in the format of the scan or as PLY, and
    NAME.keep.npy, a boolean array: over the scan's grid, shape (height, width), or over the points
    in the order of the file, shape (n,), for a scan without a grid. Cleaned scans (clean_X) are not
    filtered. Scans that an earlier call has filtered are skipped, so an interrupted call can be
    repeated. A scan that fails does not stop the others.

    Args:
        folder: the folder with the scans.
        trained: the model.
        model: a text that tells models apart, such as the digest of the model file.
        out: the folder of results.
        even_unlike: also erase points of scans that are unlike the training scans; otherwise such
            scans are kept whole.
        force: replace results of other scans or other models.
        only: files of the folder that are cleaned, the others serve as views; None: every scan.
        progress: called with the scans done, all scans, and the current scan.

    Raises:
        DataError: the folder holds no scan, or not all of ``only``.
        RunRefused: ``out`` has results of another model or setting.
    """
    if only is not None and trained.card.kind not in COMPARED:
        listed = files_alone(folder, only)
    else:
        listed = list_folder(folder, without=out)
        listed = listed if only is None else listed.chosen(only)
    name = f"{model}, unlike scans {'erased too' if even_unlike else 'kept whole'}"
    journal = open_results(out / JOURNAL, f"model {name}", force=force)
    sets = {file.name: each for each in listed.sets for file in each.scans}
    opened = functools.lru_cache(1)(lambda each: OpenSet.for_model(each, trained.card))

    def make(file: ScanFile, digest: str) -> Result:
        made = clean_scan(file, opened(sets[file.name]), trained, even_unlike=even_unlike)
        journal.begin(file.name, made.files)
        write_clean(out, made)
        filtered = Filtered(
            name=file.name, scan=digest, cloud=made.files[0], points=made.points,
            kept=int(made.mask.sum()), unlike=made.unlike, whole=made.whole,
        )  # fmt: skip
        return Result(
            name=file.name,
            source=digest,
            files=made.files,
            figures=filtered.model_dump(mode="json"),
        )

    worked = work_through(listed.scans, journal, digest_of_scan, make, progress)
    scans = tuple(each.measured(Filtered) for each in worked.results)
    return FilteredFolder(listed, scans, worked.before, worked.failed)


def clean_scan(
    file: ScanFile, opened: OpenSet, trained: TrainedModel, *, even_unlike: bool
) -> CleanScan:
    """Clean one scan; nothing is written.

    Args:
        file: the scan.
        opened: the set of which it is.
        trained: the model.
        even_unlike: also erase points of a scan that is unlike the training scans.

    Raises:
        DataError: the scan cannot be read, or lacks what its channels need.
    """
    read = opened.image(file)
    outside = unlike(trained.card, read.image, read.valid, len(read.views.views))
    whole = bool(outside) and not even_unlike
    mask = keep_of(read, None if whole else trained)
    ending = file.path.suffix.lower()
    cleaned: Scan | Cloud
    if read.rows is None:
        cleaned, points = read.scan.only(mask), int(read.scan.valid.sum())
    else:
        filled = read.rows.filled
        cleaned, points = part_of(read_cloud(file.path), mask[filled]), int(filled.sum())
    cloud = file.name + (ending if ending in WRITERS else ".ply")
    return CleanScan(cleaned, mask, points, outside, whole, (cloud, file.name + KEEP))


def write_clean(out: Path, made: CleanScan) -> None:
    """Write the cloud and the mask of a cleaned scan below a folder, by the names in ``files``.

    Raises:
        DataError: the format cannot hold such a cloud.
        RunError: a file cannot be written.
    """
    cloud, mask = (out / file for file in made.files)
    if isinstance(made.cleaned, Scan):
        write_scan(cloud, made.cleaned)
    else:
        write_cloud(cloud, made.cleaned)
    write_whole(mask, _npy_bytes(made.mask))


def keep_of(read: ScanImage, trained: TrainedModel | None) -> Flags | Mask:
    """Return which points of a scan a model keeps; without a model, all of them.

    Returns:
        A boolean array over the scan's grid, shape (height, width); or over the points in the order
        of the file, shape (n,), if the scan has no grid.
    """
    keep = read.scan.valid.copy()
    if trained is not None:
        keep[read.box] &= chances(trained, read.image, read.valid) >= trained.card.threshold
    return keep if read.rows is None else read.rows.in_file_order(keep)


def part_of(cloud: Cloud, keep: Flags) -> Cloud:
    """Return a cloud of which only some points remain; ``keep`` has shape (points,)."""
    light, normals = cloud.intensity, cloud.normals
    return replace(
        cloud,
        points=cloud.points[keep],
        intensity=None if light is None else light[keep],
        normals=None if normals is None else normals[keep],
    )


def _npy_bytes(array: Flags | Mask) -> bytes:
    into = io.BytesIO()
    np.save(into, array)
    return into.getvalue()
