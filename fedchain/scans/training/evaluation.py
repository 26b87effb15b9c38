"""Evaluation: a model beside every baseline on the pairs of a folder, with pictures and clouds."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from fedchain.errors import DataError, RunRefused
from fedchain.files import write_whole
from fedchain.scans import segmentation
from fedchain.scans.pictures import ERASED, KEPT, LOST, MISSED, draw_panels
from fedchain.scans.scan import Floats
from fedchain.scans.training.cleaning import chances
from fedchain.scans.training.folders import ScanFile, ScanFolder, list_folder
from fedchain.scans.training.images import (
    OpenSet,
    ScanImage,
    picture_of,
    truth_of,
)
from fedchain.scans.training.model_file import TrainedModel
from fedchain.scans.training.scores import METRICS, Judged, mean_of, scores_of

MODEL = "model"
"""Name of the model among the methods."""
TABLE = "scores.csv"
"""Name of the table of scores, in the folder of results."""
Scores = Mapping[str, float]


@dataclass(frozen=True)
class Evaluation:
    """Scores of a model and of every baseline."""

    folder: ScanFolder
    """What was read and left out."""
    scans: Mapping[str, Mapping[str, Scores]]
    """Metrics by the name of the scan, and then by the method."""
    mean: Mapping[str, Scores]
    """Mean of each metric over the scans, by the method."""
    failed: Mapping[str, str]
    """Reason why a scan was not evaluated, by its name."""
    files: tuple[Path, ...]
    """The files that were written."""


def evaluate_folder(
    folder: Path,
    trained: TrainedModel,
    out: Path | None = None,
    *,
    force: bool = False,
    progress: Callable[[int, int, str], None] = lambda *_: None,
) -> Evaluation:
    """Compare a model and every baseline with the truth, for each pair of a folder.

    Args:
        folder: the folder with the pairs.
        trained: the model.
        out: folder for scores.csv and, for each scan NAME, NAME.png (intensity, depth, truth,
            prediction, errors) and NAME.ply, a cloud with the colours of the errors; None writes
            nothing.
        force: replace files of an earlier evaluation.
        progress: called with the scans done, all scans, and the current scan.

    Raises:
        DataError: the folder holds no pair.
        RunRefused: ``out`` has scores already.
    """
    if out is not None and (out / TABLE).exists() and not force:
        raise RunRefused(f"{out / TABLE}: is there already; give --force, or another folder")
    listed = list_folder(folder, without=out)
    if not listed.pairs:
        raise DataError(f"{folder}: holds no pair to compare with; allowed: scans with a truth")
    scans, failed, files = dict[str, dict[str, Scores]](), dict[str, str](), list[Path]()
    for file, opened in _pairs(listed, trained):
        progress(len(scans) + len(failed), len(listed.pairs), file.name)
        try:
            read = opened.image(file)
            judged = judge(file, read, trained)
        except DataError as error:
            failed[file.name] = str(error)
            continue
        scans[file.name] = {method: scores_of(one) for method, one in judged.items()}
        if out is not None:
            files += _draw(out / file.name, read, judged[MODEL])
    methods = next(iter(scans.values()), {})
    mean = {method: mean_of([each[method] for each in scans.values()]) for method in methods}
    if out is not None and scans:
        write_whole(out / TABLE, _table(scans, mean))
        files.append(out / TABLE)
    return Evaluation(listed, scans, mean, failed, tuple(files))


def _pairs(listed: ScanFolder, trained: TrainedModel) -> Iterator[tuple[ScanFile, OpenSet]]:
    for each in listed.sets:
        pairs = [file for file in each.scans if file.truth is not None]
        if pairs:
            opened = OpenSet(each, trained.card.kind)
            yield from ((file, opened) for file in pairs)


def judge(file: ScanFile, read: ScanImage, trained: TrainedModel) -> dict[str, Judged]:
    """Return what the model and every baseline make of a scan, within the scan's box.

    Raises:
        DataError: the truth cannot be read, or does not fit the scan.
    """
    keep, valid = truth_of(file, read.scan)[read.box], read.valid
    chance = chances(trained, read.image, valid)
    judged = {MODEL: Judged(valid, keep, chance >= trained.card.threshold, chance)}
    for name, baseline in segmentation.BASELINES.items():
        judged[name] = Judged(valid, keep, baseline(valid[None])[0], None)
    return judged


def _draw(path: Path, read: ScanImage, judged: Judged) -> list[Path]:
    """Write the picture and the coloured cloud of a scan."""
    part = read.scan.part(read.box)
    picture, into = (
        draw_panels(picture_of(part), judged.valid, judged.keep, judged.kept),
        io.BytesIO(),
    )
    Image.fromarray(picture).save(into, "PNG")
    png, ply = (path.with_name(path.name + ending) for ending in (".png", ".ply"))
    write_whole(png, into.getvalue())
    write_whole(ply, coloured_cloud(part.positions, judged))
    return [png, ply]


def coloured_cloud(positions: Floats, judged: Judged) -> bytes:
    """Return a binary PLY file of a scan's points in the colours of ``pictures``.

    Blue points are rightly kept and grey points rightly erased; vermilion points should have been
    erased, and yellow points should have been kept.

    Args:
        positions: points in metres, shape (height, width, 3).
        judged: what a method makes of the scan.
    """
    valid, keep, kept = judged.valid, judged.keep, judged.kept
    points = np.zeros(int(valid.sum()), np.dtype([("xyz", "<f4", 3), ("rgb", "u1", 3)]))
    points["xyz"] = positions[valid]
    for where, colour in (
        (keep & kept, KEPT), (~keep & ~kept, ERASED), (~keep & kept, MISSED), (keep & ~kept, LOST)
    ):  # fmt: skip
        points["rgb"][where[valid]] = colour
    names = [f"property float {name}" for name in "xyz"]
    names += [f"property uchar {name}" for name in ("red", "green", "blue")]
    head = ["ply", "format binary_little_endian 1.0", f"element vertex {len(points)}", *names]
    return "\n".join([*head, "end_header\n"]).encode() + points.tobytes()


def _table(scans: Mapping[str, Mapping[str, Scores]], mean: Mapping[str, Scores]) -> str:
    """Return the scores as CSV: a row for each scan and method; the means have the scan ``mean``."""
    into = io.StringIO()
    writer = csv.writer(into, lineterminator="\n")
    writer.writerow(("scan", "method", *METRICS))
    for scan, methods in (*scans.items(), ("mean", mean)):
        for method, scores in methods.items():
            cells = (f"{scores[m]:.4f}" if m in scores else "" for m in METRICS)
            writer.writerow((scan, method, *cells))
    return into.getvalue()
