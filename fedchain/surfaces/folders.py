"""Folders: makes all clouds of a folder denser, and can be interrupted."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from fedchain.registry import Section
from fedchain.scans.formats import WRITERS, read_cloud, write_cloud
from fedchain.scans.scan import Cloud
from fedchain.scans.training.folders import ScanFile, ScanFolder, list_folder
from fedchain.scans.training.journal import Result, ResultJournal, open_results, work_through
from fedchain.surfaces.metrics import spacing
from fedchain.surfaces.upsampling import Factor, UpsamplingMethod, upsample, upsample_cloud

UPSAMPLED = "upsampled.json"
"""Name of the file that ``upsample_folder`` writes into its folder."""


class Measured(Section):
    """How far the points of a cloud lie apart; see ``metrics.Spacing``."""

    points: int
    """Number of points."""
    spacing: float
    """Mean distance of a point to the nearest other one, in metres."""
    unevenness: float
    """Standard deviation of these distances, divided by their mean."""


class Upsampled(Section):
    """One cloud that was made denser."""

    name: str
    """Name of the scan: its path below the folder, without endings."""
    cloud: str
    """Path of the dense cloud, below the folder of results."""
    before: Measured
    """The cloud as it was."""
    after: Measured
    """The dense cloud."""
    midpoints: Measured
    """The dense cloud that midpoints make, without learning."""
    lost: tuple[str, ...]
    """What the cloud holds and the format of its file does not, in words."""


@dataclass(frozen=True)
class UpsampledFolder:
    """What became of the clouds of a folder."""

    folder: ScanFolder
    """What was read and left out."""
    clouds: tuple[Upsampled, ...]
    """The clouds that are denser now."""
    before: frozenset[str]
    """Names of the clouds that an earlier call had made denser."""
    failed: Mapping[str, str]
    """Reason why a cloud was not made denser, by its name."""


def upsample_folder(
    folder: Path,
    out: Path,
    *,
    method: UpsamplingMethod,
    factor: Factor,
    force: bool = False,
    progress: Callable[[int, int, str], None] = lambda *_: None,
) -> UpsampledFolder:
    """Make every cloud of a folder denser, and write it below ``out``.

    A scan on a grid is read as the cloud of its points. The file has the format of the cloud's own
    if that can be written, otherwise PLY. Clouds that an earlier call has finished are skipped, so
    an interrupted call can be repeated. A cloud that fails does not stop the others.

    Args:
        folder: the folder with the clouds; it may be a folder of results, such as filtered scans.
        out: the folder of results.
        method: how new points are made.
        factor: how many times as many points are made.
        force: replace results of other clouds or methods.
        progress: called with the clouds done, all clouds, and the current one.

    Raises:
        DataError: the folder holds no cloud.
        RunRefused: ``out`` has results of another method or factor.
    """
    listed = list_folder(folder, without=out, results=True)
    journal = open_results(out / UPSAMPLED, f"{method} x {factor}", force=force)

    def make(file: ScanFile, digest: str) -> Result:
        return _upsample_file(file, digest, journal, method, factor)

    worked = work_through(listed.clouds, journal, make, progress)
    clouds = tuple(each.measured(Upsampled) for each in worked.results)
    return UpsampledFolder(listed, clouds, worked.before, worked.failed)


def _upsample_file(
    file: ScanFile, digest: str, journal: ResultJournal, method: UpsamplingMethod, factor: Factor
) -> Result:
    cloud = read_cloud(file.path)
    dense = upsample_cloud(cloud, method, factor=factor)
    ending = file.path.suffix.lower()
    path = file.name + (ending if ending in WRITERS else ".ply")
    journal.begin(file.name, (path,))
    lost = write_cloud(journal.out / path, dense)
    made = Upsampled(
        name=file.name, cloud=path, before=_measured(cloud), after=_measured(dense),
        midpoints=_measured(dense), lost=lost,
    )  # fmt: skip
    figures = made.model_dump(mode="json")
    return Result(name=file.name, source=digest, files=(path,), figures=figures)


def _measured(cloud: Cloud) -> Measured:
    found = spacing(cloud.points)
    return Measured(points=len(cloud.points), spacing=found.mean, unevenness=found.unevenness)
