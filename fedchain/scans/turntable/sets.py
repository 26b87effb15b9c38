"""Sets of scans of one turntable: cameras, clouds that are organised again, and views."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from fedchain.arrays import Wholes
from fedchain.errors import DataError
from fedchain.scans.camera import Camera
from fedchain.scans.formats import read_scan
from fedchain.scans.scan import Cloud, Scan
from fedchain.scans.turntable.rings import Sight, Turntable, organise, turntable_of
from fedchain.scans.turntable.views import View, Views

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


@dataclass(frozen=True, eq=False)
class ScanSet:
    """Scans of one turntable, each seen by all others. Holds views, but no whole scans."""

    known: Mapping[Path, View]
    """What each scan with a camera says to the others."""
    sights: Sequence[Sight]
    """The cameras that the organised files name."""
    table: Turntable | None
    """The turntable on which the cameras stand, or None if no two share a ring."""
    left_out: Mapping[Path, str]
    """Files that are no view, with the reason."""
    notes: Mapping[Path, str] = field(default_factory=dict)
    """What was found about files that hold no camera themselves."""

    def member(self, path: Path) -> Member:
        """Read one scan of the set.

        Raises:
            DataError: the file cannot be read, or has no grid and fits no camera of the set.
        """
        read = _read(path)
        if isinstance(read, Scan):
            return Member(read, None)
        found = organise(read, self.sights, self.table)
        if found is None:
            raise DataError(f"{path}: {self.left_out[path]}; allowed: an organised scan")
        return Member(found.scan, found.pixels)

    def views(self, path: Path, without: Collection[Path] = ()) -> Views:
        """Return the other scans of the set as views of the scan in ``path``.

        Args:
            path: the scan that is compared with the views.
            without: other files that must not be a view, such as its cleaned version.
        """
        own = self.known.get(path)
        if own is None:
            return Views([])
        return Views(
            [
                view
                for other, view in self.known.items()
                if other != path
                and other not in without
                and not _same_pose(view.camera, own.camera)
            ]
        )


def read_set(paths: Sequence[Path]) -> ScanSet:
    """Read scans of one turntable.

    A scan is a view of the others if its file holds its whole camera, as COGS does, or if it is a
    cloud whose points fall on whole pixels of a camera of the set, turned about the turntable's
    axis. All files share one frame of coordinates.

    Args:
        paths: the files, in the order in which they are read.

    Raises:
        DataError: a file cannot be read.
    """
    known: dict[Path, View] = {}
    sights: dict[Path, Sight] = {}
    without_grid: dict[Path, Cloud] = {}
    left_out, notes = {}, {}
    for path in paths:
        read = _read(path)
        if isinstance(read, Cloud):
            without_grid[path] = read
        elif read.view is None:
            left_out[path] = "holds no camera, so that it cannot be compared with other scans"
        else:
            sights[path] = Sight(read.view, read.intensity.shape)
            known[path] = View.of(read)
    table = turntable_of(list(sights.values()))
    for path, cloud in without_grid.items():
        found = organise(cloud, list(sights.values()), table)
        if found is None:
            left_out[path] = f"has no grid, and fits none of the {len(sights)} cameras of its set"
        else:
            ring = list(sights)[found.sight].name
            notes[path] = f"organised: camera of {ring}, turned by {found.degrees:g} degrees"
            known[path] = View.of(found.scan)
    return ScanSet(known, list(sights.values()), table, left_out, notes)


def _read(path: Path) -> Scan | Cloud:
    """Read a file, which may have no grid."""
    if path.suffix == ".npy":
        return Cloud(points=np.load(path))
    return read_scan(path)


def _same_pose(one: Camera, other: Camera) -> bool:
    turned = np.abs(one.basis - other.basis).max()
    return bool(max(turned, np.abs(one.position - other.position).max()) < SAME_POSE)
