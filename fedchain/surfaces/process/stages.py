"""Stages: each makes files of the files of the one before, and says what it changed."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from fedchain.errors import DataError
from fedchain.scans.formats import WRITERS, read_any, read_cloud, write_cloud
from fedchain.scans.formats.meshes import write_mesh
from fedchain.scans.formats.reading import read_file_points
from fedchain.scans.scan import Cloud, Scan
from fedchain.scans.training.filtering import CleanScan, clean_scan, write_clean
from fedchain.scans.training.folders import KEEP, ScanFile
from fedchain.scans.training.images import OpenSet
from fedchain.scans.training.model_file import TrainedModel
from fedchain.surfaces.merging import cloud_of_scan, merged_scans
from fedchain.surfaces.mesh_folder import OpenFiles
from fedchain.surfaces.process.records import Joined, ProcessSettings, StageChange
from fedchain.surfaces.process.work import StageOutput
from fedchain.surfaces.reconstruction import reconstruct
from fedchain.surfaces.trimming import mean_distance, spacing_of
from fedchain.surfaces.upsampling import learned_model, upsample_cloud

KEPT_FOLDER, MERGED_FOLDER, DENSER_FOLDER, SURFACE_FOLDER = "kept", "merged", "denser", "surfaces"
"""Folders of the stages, below the folder of results."""


def mask_file(name: str) -> str:
    """Return the path of the mask of a scan, below the folder of results."""
    return f"{KEPT_FOLDER}/{name}{KEEP}"


def filter_stage(
    file: ScanFile, opened: OpenSet, trained: TrainedModel, settings: ProcessSettings
) -> StageOutput:
    """Erase the outliers of a scan: write the cloud of the points that remain, and the mask.

    A scan that the model cannot judge, since it has no grid or no views that its channels compare
    it with, is kept whole.

    Raises:
        DataError: the scan cannot be read.
    """
    before = read_cloud(file.path)
    notes: tuple[str, ...] = ()
    try:
        made = clean_scan(file, opened, trained, even_unlike=settings.even_unlike)
    except DataError as error:
        made = _kept_whole(file)
        why = str(error).removeprefix(f"{file.path}: ")
        notes = (f"kept whole, since it cannot be filtered: {why}",)
    if made.unlike:
        became = "kept whole" if made.whole else "erased all the same"
        notes = (f"unlike the training scans, {became}: {'; '.join(made.unlike)}",)
    kept = made.cleaned
    remaining = kept.positions[kept.valid] if isinstance(kept, Scan) else kept.points
    cloud, mask = (f"{KEPT_FOLDER}/{each}" for each in made.files)
    change = StageChange(
        name=file.name,
        stage="filter",
        file=cloud,
        before=len(before.points),
        after=len(remaining),
        spacing_before_m=spacing_of(before.points),
        spacing_m=spacing_of(remaining),
        notes=notes,
    )
    return StageOutput(change, (cloud, mask), lambda out: write_clean(out / KEPT_FOLDER, made))


def _kept_whole(file: ScanFile) -> CleanScan:
    """Return a scan of which every point remains.

    Raises:
        DataError: the scan cannot be read.
    """
    read, valid = read_any(file.path), read_file_points(file.path, None)[1].valid
    mask = read.valid if isinstance(read, Scan) else valid
    ending = file.path.suffix.lower()
    cloud = file.name + (ending if ending in WRITERS else ".ply")
    return CleanScan(read, mask, int(mask.sum()), (), True, (cloud, file.name + KEEP))


def merge_stage(name: str, kept: Mapping[str, Path], settings: ProcessSettings) -> StageOutput:
    """Merge the filtered scans of a set whose cameras are known: write one cloud.

    Args:
        name: name of the merged scans.
        kept: files of the filtered scans, by the names of the scans.
        settings: whether the poses are refined.

    Raises:
        DataError: a file cannot be read.
        MissingExtra: small_gicp, which refines the poses, is not installed.
    """
    opened = OpenFiles(kept)
    merged = opened.merged_names(None)
    if len(merged) < 2:
        words = "the only scan of its set" if len(kept) == 1 else "the only scan with a camera"
        alone = {each: opened.turntable.left_out.get(kept[each], words) for each in kept}
        return StageOutput(Joined(name="", merged=(), alone=alone, change=None), (), lambda _: None)
    read = {each: opened.read(kept[each]) for each in merged}
    scans = {each: scan for each, scan in read.items() if isinstance(scan, Scan)}
    made, file = merged_scans(scans, refine=settings.refine), f"{MERGED_FOLDER}/{name}.ply"
    spacings = [spacing_of(scan.positions[scan.valid]) for scan in scans.values()]
    change = StageChange(
        name=name,
        stage="merge",
        file=file,
        before=sum(int(scan.valid.sum()) for scan in scans.values()),
        after=len(made.cloud.points),
        spacing_before_m=float(np.median(spacings)),
        spacing_m=spacing_of(made.cloud.points),
        notes=_poses(made.refused, len(scans)),
    )
    alone = {each: opened.turntable.left_out[kept[each]] for each in kept if each not in scans}
    joined = Joined(name=name, merged=tuple(scans), alone=alone, change=change)
    return StageOutput(joined, (file,), lambda out: write_cloud(out / file, made.cloud))


def _poses(refused: Mapping[str, str], many: int) -> tuple[str, ...]:
    """Say which scans keep their stored poses."""
    if not refused:
        return ()
    whys = ", ".join(f"{name} ({why.partition(';')[0]})" for name, why in refused.items())
    return (f"{len(refused)} of {many} scans keep their stored poses, not refined: {whys}",)


def upsample_stage(name: str, path: Path, settings: ProcessSettings) -> StageOutput:
    """Make the points of a filtered scan, or of merged ones, denser: write one cloud.

    Raises:
        DataError: the file cannot be read, or its points cannot be made denser.
    """
    assert settings.upsample is not None
    cloud, file = cloud_in(path), f"{DENSER_FOLDER}/{name}.ply"
    model = learned_model(settings.upsampling, settings.upsampling_model)
    dense = upsample_cloud(cloud, settings.upsampling, factor=settings.upsample, model=model)
    change = StageChange(
        name=name,
        stage="upsample",
        file=file,
        before=len(cloud.points),
        after=len(dense.points),
        spacing_before_m=spacing_of(cloud.points),
        spacing_m=spacing_of(dense.points),
    )
    return StageOutput(change, (file,), lambda out: write_cloud(out / file, dense))


def reconstruct_stage(name: str, path: Path, settings: ProcessSettings) -> StageOutput:
    """Reconstruct the surface of a cloud: write one mesh.

    Raises:
        DataError: the file cannot be read, or its points span no surface.
        MissingExtra: a package that the surface needs is not installed.
    """
    cloud, file = cloud_in(path), f"{SURFACE_FOLDER}/{name}.ply"
    mesh = reconstruct(cloud, method=settings.surface, depth=settings.depth)
    change = StageChange(
        name=name,
        stage="reconstruct",
        file=file,
        before=len(cloud.points),
        spacing_before_m=spacing_of(cloud.points),
        vertices=len(mesh.vertices),
        triangles=len(mesh.faces),
        distance_m=mean_distance(mesh, cloud.points),
    )
    return StageOutput(change, (file,), lambda out: write_mesh(out / file, mesh))


def cloud_in(path: Path) -> Cloud:
    """Read the points of a file, with normals that point to the camera if the file knows it.

    Raises:
        DataError: the file cannot be read.
    """
    read = read_any(path)
    return cloud_of_scan(read) if isinstance(read, Scan) else read
