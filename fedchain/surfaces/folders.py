"""Folders: makes all clouds of a folder denser, and can be interrupted."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from fedchain.errors import DataError
from fedchain.registry import Section
from fedchain.scans.formats import WRITERS, read_cloud, write_cloud
from fedchain.scans.scan import Cloud
from fedchain.scans.training.folders import ScanFile, ScanFolder, list_folder
from fedchain.scans.training.journal import Result, digest_of_scan, open_results, work_through
from fedchain.scans.training.model_file import weights_digest
from fedchain.surfaces.metrics import spacing
from fedchain.surfaces.model_file import SurfaceModel
from fedchain.surfaces.upsampling import Factor, UpsamplingMethod, learned_model, upsample_cloud

UPSAMPLED = "upsampled.json"
"""Name of the file that ``upsample_folder`` writes into its folder."""


class CloudFigures(Section):
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
    before: CloudFigures
    """The cloud as it was."""
    after: CloudFigures
    """The dense cloud."""
    midpoints: CloudFigures
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
    model: Path | SurfaceModel | None = None,
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
        model: the model of a learned method, or its file; None: the one that fedchain ships.
        force: replace results of other clouds, methods or models.
        progress: called with the clouds done, all clouds, and the current one.

    Raises:
        DataError: the folder holds no cloud, or the model cannot be read.
        RunRefused: ``out`` has results of another method, factor or model.
    """
    learned = model if isinstance(model, SurfaceModel) else learned_model(method, model)
    listed = list_folder(folder, without=out, results=True)
    text = f"{method} x {factor}"
    if learned is not None:
        text += f", model {learned.card.model} {weights_digest(learned.module)}"
    journal = open_results(out / UPSAMPLED, text, force=force)

    def make(file: ScanFile, digest: str) -> Result:
        cloud = read_cloud(file.path)
        with _named_after(file.path):
            dense = upsample_cloud(cloud, method, factor=factor, model=learned)
            plain = dense if learned is None else upsample_cloud(cloud, "midpoints", factor=factor)
        ending = file.path.suffix.lower()
        path = file.name + (ending if ending in WRITERS else ".ply")
        journal.begin(file.name, (path,))
        made = Upsampled(
            name=file.name, cloud=path, before=_measured(cloud), after=_measured(dense),
            midpoints=_measured(plain), lost=write_cloud(out / path, dense),
        )  # fmt: skip
        figures = made.model_dump(mode="json")
        return Result(name=file.name, source=digest, files=(path,), figures=figures)

    worked = work_through(listed.clouds, journal, digest_of_scan, make, progress)
    clouds = tuple(each.measured(Upsampled) for each in worked.results)
    return UpsampledFolder(listed, clouds, worked.before, worked.failed)


@contextmanager
def _named_after(path: Path) -> Iterator[None]:
    """Let an error of a cloud begin with the file of which it is."""
    try:
        yield
    except DataError as error:
        raise DataError(f"{path}: {str(error).removeprefix('cloud: ')}") from error


def _measured(cloud: Cloud) -> CloudFigures:
    found = spacing(cloud.points)
    return CloudFigures(points=len(cloud.points), spacing=found.mean, unevenness=found.unevenness)
