"""Filtering: cleans all scans of a folder with a trained model, and can be interrupted."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from fedchain.arrays import Flags
from fedchain.errors import DataError, RunRefused
from fedchain.files import write_whole
from fedchain.scans.formats import WRITERS, read_cloud, write_cloud, write_scan
from fedchain.scans.scan import Cloud, Mask
from fedchain.scans.training.cleaning import chances, unlike
from fedchain.scans.training.folders import (
    KEEP,
    ScanFile,
    ScanFolder,
    digest_of,
    files_alone,
    list_folder,
)
from fedchain.scans.training.images import COMPARED, OpenSet, ScanImage
from fedchain.scans.training.journal import Filtered, Journal, open_journal
from fedchain.scans.training.model_file import TrainedModel


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
    journal = open_journal(out, model, even_unlike=even_unlike, force=force)
    done, before, failed = list[Filtered](), set[str](), dict[str, str]()
    many = len(listed.scans)
    for each in listed.sets:
        opened: OpenSet | None = None
        for file in each.scans:
            progress(len(done) + len(failed), many, file.name)
            try:
                digest = digest_of(file.path).hex()
                known = journal.finished(file.name, digest)
                if known is None:
                    opened = opened or OpenSet.for_model(each, trained.card)
                    known = _filter(file, digest, opened, trained, journal)
                else:
                    before.add(file.name)
                done.append(known)
            except (DataError, RunRefused) as error:
                failed[file.name] = str(error)
    return FilteredFolder(listed, tuple(done), frozenset(before), failed)


def _filter(
    file: ScanFile, digest: str, opened: OpenSet, trained: TrainedModel, journal: Journal
) -> Filtered:
    """Clean one scan, write its files, and note it in the journal."""
    read = opened.image(file)
    outside = unlike(trained.card, read.image, read.valid, len(read.views.views))
    whole = bool(outside) and not journal.entries.even_unlike
    mask = keep_of(read, None if whole else trained)
    ending = file.path.suffix.lower()
    cloud = file.name + (ending if ending in WRITERS else ".ply")
    journal.begin(file.name, cloud)
    path = journal.out / cloud
    if read.rows is None:
        points = int(read.scan.valid.sum())
        write_scan(path, read.scan.only(mask))
    else:
        points = int(read.rows.filled.sum())
        write_cloud(path, part_of(read_cloud(file.path), mask[read.rows.filled]))
    write_whole(journal.out / (file.name + KEEP), _npy_bytes(mask))
    filtered = Filtered(
        name=file.name,
        scan=digest,
        cloud=cloud,
        points=points,
        kept=int(mask.sum()),
        unlike=outside,
        whole=whole,
    )
    journal.end(filtered)
    return filtered


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
