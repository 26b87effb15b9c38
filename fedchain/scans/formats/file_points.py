"""What a file says about its points: the record between the formats and ``Scan`` or ``Cloud``."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from fedchain.arrays import Array
from fedchain.scans.camera import Camera
from fedchain.scans.features import normals_of
from fedchain.scans.formats.contents import Contents
from fedchain.scans.scan import Cloud, Floats, Mask, Scan

LengthUnit = Literal["m", "mm"]
"""Unit of length of a file: metres or millimetres."""
FARTHEST_M = 1e6
"""Largest coordinate of a camera that is read, in metres."""
WIDE_M = 20.0
"""Median distance of the points from their middle above which a warning asks for the unit."""
_SOME = 1000
"""Number of points from which that distance is estimated."""


@dataclass(frozen=True, eq=False, kw_only=True)
class FilePoints:
    """Points as a file holds them. A reader checks the shapes, not the values."""

    points: Array
    """Points in the unit of the file, shape (n, 3)."""
    normals: Array | None = None
    """Normals, shape (n, 3)."""
    intensity: Array | None = None
    """Brightness, shape (n,)."""
    keep: Array | None = None
    """Points that remain after cleaning, shape (n,), boolean."""
    grid: tuple[int, int] | None = None
    """Height and width of an organised scan, whose points stand row by row; None without a grid."""
    why: str = "the file names no grid of pixels"
    """Why there is no grid, for the error message."""
    camera: Array | None = None
    """Position of the camera in the unit of the file, shape (3,)."""
    view: Camera | None = None
    """The camera itself, in the unit of the file."""
    unit: LengthUnit | None = None
    """Unit of length that the file names, or None."""

    @property
    def valid(self) -> Mask:
        """Points that are there, shape (n,): finite and, in a grid, not exactly the origin."""
        # Many programs write zeros where they measured nothing.
        valid = np.isfinite(self.points).all(axis=1)
        if self.grid is not None:
            valid &= (self.points != 0).any(axis=1)
        return np.asarray(valid)


def file_points_of(record: Scan | Cloud) -> FilePoints:
    """Return a scan or a cloud as a file would hold it, in metres."""
    if isinstance(record, Cloud):
        return FilePoints(
            points=record.points, normals=record.normals, intensity=record.intensity,
            camera=None if record.camera is None else record.camera.position,
            view=record.camera, unit="m",
        )  # fmt: skip
    height, width = record.intensity.shape
    return FilePoints(
        points=record.positions.reshape(-1, 3),
        normals=record.normals.reshape(-1, 3),
        intensity=record.intensity.reshape(-1),
        keep=None if record.keep is None else record.keep.reshape(-1),
        grid=(height, width),
        camera=record.camera,
        view=record.view,
        unit="m",
    )


@np.errstate(all="ignore")  # damaged numbers become empty pixels
def in_metres(file: Contents, points: FilePoints, unit: LengthUnit | None) -> FilePoints:
    """Return what a reader made of a file in metres, float32.

    The unit is what the file says, otherwise ``unit``, otherwise metres. If nobody says the unit
    and the points lie more than ``WIDE_M`` from their middle, a warning in the log asks for it. A
    normal or an intensity that is not finite becomes 0.

    Raises:
        DataError: a coordinate of the camera is not finite or beyond ``FARTHEST_M``.
    """
    if points.unit is None and unit is None and _spread(points.points) > WIDE_M:
        logging.getLogger(__name__).warning(
            "%s: its points lie more than %g m from their middle; if they are in millimetres, "
            "say unit mm",
            file.path,
            WIDE_M,
        )
    metre = 1000 if (points.unit or unit) == "mm" else 1
    view, camera = points.view, None if points.camera is None else points.camera / metre
    if camera is not None and not (np.abs(camera) <= FARTHEST_M).all():
        raise file.fail(f"has its camera at {camera}; allowed: three finite numbers, in metres")
    return replace(
        points,
        points=(points.points / metre).astype(np.float32),
        normals=None if points.normals is None else _finite(points.normals),
        intensity=None if points.intensity is None else _finite(points.intensity),
        camera=camera,
        view=None if view is None else replace(view, position=view.position / metre),
        unit="m",
    )


def _finite(values: Array) -> Floats:
    return np.nan_to_num(values.astype(np.float32), posinf=0, neginf=0)


def _spread(points: Array) -> float:
    """Return the median distance of some of the points from their middle."""
    some = points[:: len(points) // _SOME + 1].astype(np.float64)
    some = some[np.isfinite(some).all(axis=1)]
    if not len(some):
        return 0.0
    away = np.abs(some - np.median(some, axis=0)).max(axis=1)
    return float(np.median(away))


def scan_of(file: Contents, points: FilePoints) -> Scan:
    """Return points in metres as a scan.

    A pixel is empty if its point is not finite or is exactly the origin. Missing normals are
    computed, a missing intensity is 1, and a missing camera is at the origin.

    Raises:
        DataError: the points have no grid, or every pixel is empty.
    """
    if points.grid is None:
        raise file.fail(f"is not organised: {points.why}")
    empty = ~points.valid.reshape(points.grid)
    if empty.all():
        raise file.fail("holds no point; allowed: a scan with at least one valid pixel")

    def emptied(values: Array) -> Floats:
        grid = np.array(values, np.float32).reshape(*empty.shape, *values.shape[1:])
        grid[empty] = np.nan
        return grid

    camera = np.zeros(3) if points.camera is None else points.camera
    camera, positions = camera.astype(np.float32), emptied(points.points)
    with np.errstate(all="ignore"):  # of points near the largest number
        made = normals_of(positions, camera) if points.normals is None else emptied(points.normals)
    return Scan(
        positions=positions,
        normals=made,
        intensity=emptied(np.ones(empty.size) if points.intensity is None else points.intensity),
        camera=camera,
        keep=None if points.keep is None else points.keep.reshape(empty.shape),
        view=points.view,
    )


def cloud_of(file: Contents, points: FilePoints) -> Cloud:
    """Return points in metres as a cloud, those of a grid row by row.

    A point that is not finite is left out, and in a grid also one that is exactly the origin.

    Raises:
        DataError: no point is left.
    """
    left = without_grid(points)
    if not len(left.points):
        raise file.fail("holds no point; allowed: a cloud with at least one point")
    return Cloud(
        points=left.points, normals=left.normals, intensity=left.intensity, camera=left.view
    )


def without_grid(points: FilePoints) -> FilePoints:
    """Return the valid points, row by row, without their grid."""
    valid = points.valid
    normals, intensity, keep = points.normals, points.intensity, points.keep
    return replace(
        points,
        points=points.points[valid],
        normals=None if normals is None else normals[valid],
        intensity=None if intensity is None else intensity[valid],
        keep=None if keep is None else keep[valid],
        grid=None,
    )
