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

Unit = Literal["m", "mm"]
"""Unit of length of a file: metres or millimetres."""
FARTHEST_M = 1e6
"""Largest coordinate of a camera that is read, in metres."""
WIDE_M = 20.0
"""Median distance of the points from their middle above which a warning asks for the unit."""
_SOME = 1000
"""Number of points from which that distance is estimated."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Measured:
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
    unit: Unit | None = None
    """Unit of length that the file says; None if it says none."""

    @property
    def valid(self) -> Mask:
        """Points that are there, shape (n,): finite and, in a grid, not exactly the origin."""
        # Many programs write zeros where they measured nothing.
        valid = np.isfinite(self.points).all(axis=1)
        if self.grid is not None:
            valid &= (self.points != 0).any(axis=1)
        return np.asarray(valid)


def measured_of(record: Scan | Cloud) -> Measured:
    """Return a scan or a cloud as a file would hold it, in metres."""
    if isinstance(record, Cloud):
        return Measured(
            points=record.points, normals=record.normals, intensity=record.intensity,
            camera=None if record.camera is None else record.camera.position,
            view=record.camera, unit="m",
        )  # fmt: skip
    height, width = record.intensity.shape
    return Measured(
        points=record.positions.reshape(-1, 3),
        normals=record.normals.reshape(-1, 3),
        intensity=record.intensity.reshape(-1),
        keep=None if record.keep is None else record.keep.reshape(-1),
        grid=(height, width),
        camera=record.camera,
        view=record.view,
        unit="m",
    )


def in_metres(file: Contents, measured: Measured, unit: Unit | None) -> Measured:
    """Return the same points in metres.

    The unit is what the file says, otherwise ``unit``, otherwise metres. If nobody says the unit
    and the points lie tens of metres apart, a warning in the log asks for it.
    """
    said = measured.unit or unit
    if said != "mm":
        if said is None and _spread(measured.points) > WIDE_M:
            logging.getLogger(__name__).warning(
                "%s: its points lie more than %g m apart; if they are in millimetres, say unit mm",
                file.path,
                WIDE_M,
            )
        return replace(measured, unit="m")
    view, camera = measured.view, measured.camera
    return replace(
        measured,
        points=measured.points / 1000,
        camera=None if camera is None else camera / 1000,
        view=None if view is None else replace(view, position=view.position / 1000),
        unit="m",
    )


def _spread(points: Array) -> float:
    """Return the median distance of some of the points from their middle."""
    some = points[:: len(points) // _SOME + 1].astype(np.float64)
    some = some[np.isfinite(some).all(axis=1)]
    if not len(some):
        return 0.0
    away = np.abs(some - np.median(some, axis=0)).max(axis=1)
    return float(np.median(away))


@np.errstate(all="ignore")  # damaged numbers become empty pixels
def scan_of(file: Contents, measured: Measured) -> Scan:
    """Return points in metres as a scan.

    A pixel is empty if its point is not finite or is exactly the origin. Missing normals are
    computed, a missing intensity is 1, and a missing camera is at the origin.

    Raises:
        DataError: the points have no grid, every pixel is empty, or a coordinate of the camera is
            not finite or beyond ``FARTHEST_M``.
    """
    if measured.grid is None:
        raise file.fail(f"is not organised: {measured.why}")
    camera = np.zeros(3) if measured.camera is None else measured.camera
    if not (np.abs(camera) <= FARTHEST_M).all():
        raise file.fail(f"has its camera at {camera}; allowed: three finite numbers, in metres")
    camera = camera.astype(np.float32)
    positions = measured.points.astype(np.float32).reshape(*measured.grid, 3)
    empty = ~replace(measured, points=positions.reshape(-1, 3)).valid.reshape(measured.grid)
    if empty.all():
        raise file.fail("holds no point; allowed: a scan with at least one valid pixel")
    positions[empty] = np.nan
    if measured.normals is None:
        normals = normals_of(positions, camera)
    else:
        normals = _finite(measured.normals).reshape(positions.shape)
        normals[empty] = np.nan
    light = np.ones(empty.size) if measured.intensity is None else measured.intensity
    intensity = _finite(light).reshape(empty.shape)
    intensity[empty] = np.nan
    keep = None if measured.keep is None else measured.keep.astype(bool).reshape(empty.shape)
    return Scan(
        positions=positions,
        normals=normals,
        intensity=intensity,
        camera=camera,
        keep=keep,
        view=measured.view,
    )


@np.errstate(all="ignore")  # damaged numbers are left out
def cloud_of(file: Contents, measured: Measured) -> Cloud:
    """Return points in metres as a cloud, those of a grid row by row.

    A point that is not finite is left out, and in a grid also one that is exactly the origin.

    Raises:
        DataError: no point is left.
    """
    gathered = without_grid(replace(measured, points=measured.points.astype(np.float32)))
    if not len(gathered.points):
        raise file.fail("holds no point; allowed: a cloud with at least one point")
    normals, intensity = gathered.normals, gathered.intensity
    return Cloud(
        points=gathered.points,
        normals=None if normals is None else _finite(normals),
        intensity=None if intensity is None else _finite(intensity),
        camera=measured.view,
    )


def without_grid(measured: Measured) -> Measured:
    """Return the valid points, row by row, without their grid."""
    valid = measured.valid
    normals, intensity, keep = measured.normals, measured.intensity, measured.keep
    return replace(
        measured,
        points=measured.points[valid],
        normals=None if normals is None else normals[valid],
        intensity=None if intensity is None else intensity[valid],
        keep=None if keep is None else keep[valid],
        grid=None,
    )


def _finite(values: Array) -> Floats:
    """Return a float32 copy in which a normal or an intensity that is not finite is 0."""
    return np.nan_to_num(values.astype(np.float32), posinf=0, neginf=0)
