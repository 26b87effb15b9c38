"""Panels: the pictures of the stages of one scan, all from the scan's own camera."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path

import numpy as np

from fedchain.arrays import Flags
from fedchain.errors import DataError
from fedchain.files import write_whole
from fedchain.registry import Section
from fedchain.scans.camera import Camera
from fedchain.scans.formats import read_any, read_cloud
from fedchain.scans.formats.meshes import Mesh, read_mesh
from fedchain.scans.formats.reading import read_file_points
from fedchain.scans.scan import Cloud, Scan
from fedchain.surfaces.process.pictures import (
    PanelView,
    camera_towards,
    draw_denser,
    draw_kept,
    draw_original,
    draw_surface,
    panel_view,
    png_bytes,
)
from fedchain.surfaces.process.work import StageOutput

PICTURE_FOLDER = "pictures"
"""Folder of the pictures, below the folder of results."""


class Panels(Section):
    """What was drawn: nothing needs to be known of it but its files."""


@dataclass(frozen=True, eq=False)
class PanelReader:
    """Reads what pictures show; the points and the surface of merged scans are read once."""

    camera_of: Callable[[Path], Camera | None]
    """Returns the camera of a scan's file as the scan's set knows it, or None."""

    @cached_property
    def cloud(self) -> Callable[[Path], Cloud]:
        """Reads the points of a file."""
        return lru_cache(1)(read_cloud)

    @cached_property
    def mesh(self) -> Callable[[Path], Mesh]:
        """Reads a mesh."""
        return lru_cache(1)(read_mesh)

    def view(self, path: Path, cloud: Cloud) -> PanelView:
        """Return how the camera of a scan sees the scan's points."""
        camera = self.camera_of(path)
        if camera is None:
            read = read_any(path)
            camera = camera_towards(cloud.points, read.camera if isinstance(read, Scan) else None)
        return panel_view(cloud.points, camera)


def panels_stage(name: str, paths: Mapping[str, Path], read: PanelReader) -> StageOutput:
    """Draw the stages of one scan: write a picture of each.

    Args:
        name: name of the scan.
        paths: files of the ``original`` scan and of the ``mask`` of its kept points, and of the
            ``denser`` points and of the ``surface`` if there are any.
        read: reads the files.

    Raises:
        DataError: a file cannot be read, or the scan has no point.
    """
    cloud = read_cloud(paths["original"])
    if not len(cloud.points):
        raise DataError(f"{paths['original']}: holds no point; allowed: at least one")
    view = read.view(paths["original"], cloud)
    drawn = {
        "original": draw_original(cloud, view),
        "kept": draw_kept(cloud, _kept_points(paths), view),
    }
    if "denser" in paths:
        drawn["denser"] = draw_denser(read.cloud(paths["denser"]), view)
    if "surface" in paths:
        drawn["surface"] = draw_surface(read.mesh(paths["surface"]), view)
    files = {f"{PICTURE_FOLDER}/{name}.{shown}.png": each for shown, each in drawn.items()}

    def write(out: Path) -> None:
        for file, picture in files.items():
            write_whole(out / file, png_bytes(picture))

    return StageOutput(Panels(), tuple(files), write)


def _kept_points(paths: Mapping[str, Path]) -> Flags:
    """Return which of the points of a file remain, shape (points,)."""
    valid = read_file_points(paths["original"], None)[1].valid
    mask = np.load(paths["mask"], allow_pickle=False)
    return np.asarray(mask.ravel()[valid.ravel()], bool)
