"""Evaluation: a model beside every baseline on the pairs of a folder, with pictures and clouds."""

from __future__ import annotations

import contextlib
import csv
import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from fedchain.errors import DataError, RunRefused
from fedchain.files import write_whole
from fedchain.scans.baselines import classical, learned
from fedchain.scans.baselines.learned import Chances
from fedchain.scans.pictures import ERASED, KEPT, LOST, MISSED, draw_panels
from fedchain.scans.scan import Floats, Mask
from fedchain.scans.training.cleaning import chances
from fedchain.scans.training.folders import ScanFile, ScanFolder, list_folder
from fedchain.scans.training.images import OpenSet, ScanImage, truth_of
from fedchain.scans.training.model_file import TrainedModel
from fedchain.scans.training.scores import SCAN_METRICS, Judged, mean_of, scores_of
from fedchain.scans.turntable import Views, channel_image

THE_MODEL = "model"
"""Name of the model among the methods."""
SCORES_FILE = "scores.csv"
"""Name of the table of scores, in the folder of results."""
DRAWN_ENDINGS = (".png", ".ply")
"""Endings of the picture and of the coloured cloud of a scan."""
PARTS = 5
"""Largest number of parts into which the scans are divided for the baselines that learn."""
SAMPLED_POINTS = 20_000
"""Largest number of points of a scan from which these baselines learn."""
ScanScores = Mapping[str, float]
"""Metrics by name."""
SampledPoints = tuple[Floats, Mask, Mask]
"""Channels of some points, shape (channels, 1, n), and two masks of shape (1, n): which hold a
point, and which are to be kept."""


@dataclass(frozen=True)
class FolderEvaluation:
    """Scores of a model and of every baseline."""

    folder: ScanFolder
    """What was read and left out."""
    scans: Mapping[str, Mapping[str, ScanScores]]
    """Metrics by the name of the scan, and then by the method."""
    mean: Mapping[str, ScanScores]
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
    scans: str = "*",
    force: bool = False,
    progress: Callable[[int, int, str], None] = lambda *_: None,
) -> FolderEvaluation:
    """Compare a model and every baseline with the truth, for each pair of a folder.

    Args:
        folder: the folder with the pairs.
        trained: the model.
        out: folder for scores.csv and, for each scan NAME, NAME.png (intensity, depth, truth,
            prediction, errors) and NAME.ply, a cloud with the colours of the errors; None writes
            nothing.
        scans: pattern of the names of the pairs to compare; the others only serve as views.
        force: replace files of an earlier evaluation.
        progress: called with the scans done, all scans, and the current scan.

    Raises:
        DataError: the folder holds no pair.
        RunRefused: ``out`` is the folder itself, or has such files already.
    """
    listed = list_folder(folder, without=out).only(scans)
    if not listed.pairs:
        raise DataError(f"{folder}: holds no pair to compare with; allowed: scans with a truth")
    if out is not None and not force:
        _check_free(out, listed)
    rivals = _rivals(listed, trained)
    found, failed, files = dict[str, dict[str, ScanScores]](), dict[str, str](), list[Path]()
    for file, opened in _pairs(listed, trained):
        progress(len(found) + len(failed), len(listed.pairs), file.name)
        try:
            read = opened.image(file)
            judged = judge(file, read, trained, rivals(file))
        except DataError as error:
            failed[file.name] = str(error)
            continue
        found[file.name] = {method: scores_of(one) for method, one in judged.items()}
        if out is not None:
            files += _draw(out / file.name, read, judged[THE_MODEL])
    names = {method: None for each in found.values() for method in each}
    mean = {m: mean_of([each[m] for each in found.values() if m in each]) for m in names}
    if out is not None and found:
        write_whole(out / SCORES_FILE, _table(found, mean))
        files.append(out / SCORES_FILE)
    return FolderEvaluation(listed, found, mean, failed, tuple(files))


def _check_free(out: Path, listed: ScanFolder) -> None:
    drawn = [f"{file.name}{ending}" for file in listed.pairs for ending in DRAWN_ENDINGS]
    for path in (out / name for name in (SCORES_FILE, *drawn)):
        if path.exists():
            raise RunRefused(f"{path}: is there already; give --force, or another folder")


def _pairs(listed: ScanFolder, trained: TrainedModel) -> Iterator[tuple[ScanFile, OpenSet]]:
    for each in listed.sets:
        opened = OpenSet.for_model(each, trained.card)
        yield from ((file, opened) for file in each.scans if file.truth is not None)


def judge(
    file: ScanFile, read: ScanImage, trained: TrainedModel, rivals: Mapping[str, Chances]
) -> dict[str, Judged]:
    """Return what the model and every baseline make of a scan, within the scan's box.

    Args:
        file: the scan, with its truth.
        read: the scan's channels.
        trained: the model.
        rivals: baselines that have learned from other scans.

    Raises:
        DataError: the truth cannot be read, or does not fit the scan.
    """
    keep, valid = truth_of(file, read.scan)[read.box], read.valid
    chance = chances(trained, read.image, valid)
    judged = {THE_MODEL: Judged(valid, keep, chance >= trained.card.threshold, chance)}
    for name, made in classical(read.scan.part(read.box), read.views).items():
        judged[name] = Judged(valid, keep, made.kept, made.rank)
    for name, rival in rivals.items():
        own = rival(read.image)
        judged[name] = Judged(valid, keep, own >= 0.5, own)
    return judged


def _rivals(
    listed: ScanFolder, trained: TrainedModel
) -> Callable[[ScanFile], Mapping[str, Chances]]:
    """Return a function that gives for each scan the baselines that learned from other scans.

    The scans are divided into at most five parts; those of a part are judged by baselines that
    have learned from the other parts.
    """
    sampled: dict[str, tuple[int, SampledPoints]] = {}
    for number, (file, opened) in enumerate(_pairs(listed, trained)):
        with contextlib.suppress(DataError):  # it is named when the scan is judged
            sampled[file.name] = number % PARTS, _sample(opened.image(file), file)
    fitted: dict[int, Mapping[str, Chances]] = {}

    def rivals(file: ScanFile) -> Mapping[str, Chances]:
        if file.name not in sampled:
            return {}
        own = sampled[file.name][0]
        if own not in fitted:
            others = [points for part, points in sampled.values() if part != own]
            fitted[own] = _learned_from(others) if others else {}
        return fitted[own]

    return rivals


def _learned_from(samples: Sequence[SampledPoints]) -> Mapping[str, Chances]:
    images, valids, keeps = zip(*samples, strict=True)
    return learned(images, valids, keeps)


def _sample(read: ScanImage, file: ScanFile) -> SampledPoints:
    """Return some points of a scan as an image with one row, their validity and their truth."""
    keep, places = truth_of(file, read.scan)[read.box], np.flatnonzero(read.valid)
    some = places[:: len(places) // SAMPLED_POINTS + 1]
    flat = read.image.reshape(len(read.image), -1)[:, some]
    return flat[:, None], np.ones((1, len(some)), bool), keep.ravel()[some][None]


def _draw(path: Path, read: ScanImage, judged: Judged) -> list[Path]:
    """Write the picture and the coloured cloud of a scan; ``path`` has no ending yet."""
    part = read.scan.part(read.box)
    image, into = channel_image(part, "picture", Views([])), io.BytesIO()
    picture = draw_panels(image, judged.valid, judged.keep, judged.kept)
    Image.fromarray(picture).save(into, "PNG")
    png, ply = (path.with_name(path.name + ending) for ending in DRAWN_ENDINGS)
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


def _table(scans: Mapping[str, Mapping[str, ScanScores]], mean: Mapping[str, ScanScores]) -> str:
    """Return the scores as CSV: a row for each scan and method, at last the means."""
    into = io.StringIO()
    writer = csv.writer(into, lineterminator="\n")
    writer.writerow(("scan", "method", *SCAN_METRICS))
    for scan, methods in (*scans.items(), ("mean", mean)):
        for method, scores in methods.items():
            cells = (f"{scores[m]:.4f}" if m in scores else "" for m in SCAN_METRICS)
            writer.writerow((scan, method, *cells))
    return into.getvalue()
