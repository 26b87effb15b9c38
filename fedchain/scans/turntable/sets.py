"""Sets of scans of one turntable: cameras, clouds that are organised again, and views."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from fedchain.arrays import Wholes
from fedchain.errors import DataError
from fedchain.scans.camera import Camera
from fedchain.scans.formats import read_any
from fedchain.scans.scan import Cloud, Scan
from fedchain.scans.turntable.rings import Sight, Turntable, camera_of, organise, turntable_of
from fedchain.scans.turntable.views import ScanView, Views

MOST_VIEWS = 16
"""Most views of a scan. More would not fit into memory, and see nothing new."""
SAME_POSE = 1e-6
"""Largest difference between the poses of two scans that were taken from the same place."""


@dataclass(frozen=True, eq=False)
class Member:
    """One scan of a set, on its grid."""

    scan: Scan
    """The scan, with its camera if the set knows it."""
    pixels: Wholes | None
    """For a file without a grid: the index of each of its points in the flattened grid, or -1 for
    a point that is left out; shape (points,). None for an organised file."""


class ScanSet:
    """Scans of one turntable, each seen by all others. It holds cameras and a few views."""

    def __init__(
        self,
        cameras: Mapping[Path, Camera],
        sights: Sequence[Sight],
        table: Turntable | None,
        left_out: Mapping[Path, str],
        notes: Mapping[Path, str],
    ) -> None:
        """Take what is known about the files of a set; ``read_set`` finds it."""
        self.cameras = cameras
        """Camera of each scan that the others can be compared with."""
        self.left_out = left_out
        """Files that are no view, with the reason."""
        self.notes = notes
        """What was found about files that hold no camera themselves."""
        self._sights, self._table = sights, table
        self._view = functools.lru_cache(MOST_VIEWS + 1)(self._read_view)

    def member(self, path: Path) -> Member:
        """Read one scan of the set.

        Raises:
            DataError: the file cannot be read, or has no grid and fits no camera of the set.
        """
        read = read_any(path)
        if isinstance(read, Scan):
            return Member(read, None)
        found = organise(read, self._sights, self._table)
        if found is None:
            raise DataError(f"{path}: {_unfit(len(self._sights))}; allowed: an organised scan")
        return Member(found.scan, found.pixels)

    def views(self, path: Path) -> Views:
        """Return other scans of the set as views of the scan in ``path``: the 16 nearest cameras.

        Scans from the same place are no other view of each other. A scan whose camera is not known
        has no views.
        """
        own = self.cameras.get(path)
        return Views([]) if own is None else self._nearest(own)

    def views_of(self, scan: Scan) -> Views:
        """Return scans of the set as views of a scan that does not belong to it, as ``views``."""
        return Views([]) if scan.view is None else self._nearest(scan.view)

    def _nearest(self, own: Camera) -> Views:
        away = {
            other: float(np.abs(camera.position - own.position).sum())
            for other, camera in self.cameras.items()
            if not _same_pose(camera, own)
        }
        nearest = sorted(away, key=away.__getitem__)[:MOST_VIEWS]
        return Views([self._view(other) for other in nearest])

    def _read_view(self, path: Path) -> ScanView:
        return ScanView.of(self.member(path).scan)


def read_set(paths: Sequence[Path]) -> ScanSet:
    """Read scans of one turntable.

    A scan is a view of the others if its file holds its whole camera, as COGS does, or if it is a
    cloud whose points fall on whole pixels of a camera of the set, turned about the turntable's
    axis. All files share one frame of coordinates. A file that cannot be read is left out.

    Args:
        paths: the files.
    """
    cameras: dict[Path, Camera] = {}
    sights: dict[Path, Sight] = {}
    without_grid, left_out, notes = list[Path](), dict[Path, str](), dict[Path, str]()
    for path in paths:
        try:
            read = read_any(path)
        except DataError as error:
            left_out[path] = str(error).removeprefix(f"{path}: ")
            continue
        if isinstance(read, Cloud):
            without_grid.append(path)
        elif read.view is None:
            left_out[path] = "holds no camera, so that it cannot be compared with other scans"
        else:
            sights[path] = Sight(read.view, read.intensity.shape)
            cameras[path] = read.view
    known, table = list(sights.values()), turntable_of(list(sights.values()))
    for path in without_grid:
        cloud = read_any(path)
        fit = camera_of(cloud, known, table) if isinstance(cloud, Cloud) else None
        if fit is None:
            left_out[path] = _unfit(len(known))
        else:
            ring = list(sights)[fit.sight].name
            notes[path] = f"organised: camera of {ring}, turned by {fit.degrees:g} degrees"
            cameras[path] = fit.camera
    return ScanSet(cameras, known, table, left_out, notes)


def _unfit(cameras: int) -> str:
    return f"has no grid, and its points fit none of the {cameras} cameras of its set"


def _same_pose(one: Camera, other: Camera) -> bool:
    turned = np.abs(one.basis - other.basis).max()
    return bool(max(turned, np.abs(one.position - other.position).max()) < SAME_POSE)
