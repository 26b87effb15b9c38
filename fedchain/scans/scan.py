"""Scans: points on a grid of pixels (organised), or a bare cloud of points."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from fedchain.arrays import read_only
from fedchain.scans.camera import Camera

Floats = npt.NDArray[np.floating[Any]]
"""Floating-point array: float32 where it is stored, wider only during a computation."""
Mask = npt.NDArray[np.bool_]
ClassLabels = npt.NDArray[np.uint8]
MaskName = Literal["object", "outliers"]
"""Name of a cleaning task. ``object``: keep the object; erase the table, flying points (mixed
depths at an edge) and ghosts (mirror images). ``outliers``: the same, after the table is
cropped."""

CLASSES = ("none", "object", "table", "flying", "ghost")
"""Names of the classes, in the order of their labels; a pixel of class ``none`` has no point."""
NONE, OBJECT, TABLE, FLYING, GHOST = range(5)
TABLE_CROP_M = 0.0025
"""Height above the table, in metres, below which points are cropped."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Scan:
    """A point cloud on a grid of pixels, as a structured-light scanner measures it."""

    positions: Floats
    """Points in metres, shape (height, width, 3); NaN where a pixel is empty."""
    normals: Floats
    """Unit normals, shape (height, width, 3); NaN where a pixel is empty."""
    intensity: Floats
    """Brightness in the scanner's own unit, shape (height, width), 0 or more; NaN where a pixel is
    empty."""
    camera: Floats
    """Position of the camera in metres, shape (3,), in the same coordinates as the points."""
    keep: Mask | None = None
    """Pixels whose point remains after cleaning, shape (height, width), or None if not known."""
    view: Camera | None = None
    """Camera that maps the points to their pixels, or None if not known."""

    def __post_init__(self) -> None:
        grid = self.positions.shape[:2]
        shapes = {"positions": (*grid, 3), "normals": (*grid, 3), "intensity": grid}
        for name, wanted in {**shapes, "keep": grid, "camera": (3,)}.items():
            array = getattr(self, name)
            if array is not None and array.shape != wanted:
                raise ValueError(f"scan: {name} has shape {array.shape}; allowed: {wanted}")
            if array is not None:
                object.__setattr__(self, name, read_only(array.view()))

    @property
    def valid(self) -> Mask:
        """Pixels that hold a point, shape (height, width)."""
        return np.asarray(np.isfinite(self.positions).all(axis=-1))

    def only(self, keep: Mask) -> Scan:
        """Return the scan of which only some points remain; it has no mask ``keep``.

        ``keep`` has the pixels whose point remains, shape (height, width).
        """
        nan = np.float32(np.nan)
        return replace(
            self,
            positions=np.where(keep[..., None], self.positions, nan),
            normals=np.where(keep[..., None], self.normals, nan),
            intensity=np.where(keep, self.intensity, nan),
            keep=None,
        )

    def part(self, box: tuple[slice, slice]) -> Scan:
        """Return the part of the scan within a box: a slice of rows and a slice of columns.

        A part that skips rows or columns has no ``view``.
        """
        top, left = box[0].start or 0, box[1].start or 0
        whole = all(side.step in (None, 1) for side in box)
        return Scan(
            positions=self.positions[box],
            normals=self.normals[box],
            intensity=self.intensity[box],
            camera=self.camera,
            keep=None if self.keep is None else self.keep[box],
            view=self.view.cropped(top, left) if self.view is not None and whole else None,
        )


@dataclass(frozen=True, eq=False, kw_only=True)
class Cloud:
    """A cloud of points without a grid; every point is finite."""

    points: Floats
    """Points in metres, float32, shape (n, 3)."""
    intensity: Floats | None = None
    """Brightness in the scanner's own unit, shape (n,), or None if not known."""
    normals: Floats | None = None
    """Unit normals, shape (n, 3), or None if not known; zeros where a point has none."""
    camera: Camera | None = None
    """Camera that measured the points, or None if not known."""

    def __post_init__(self) -> None:
        count = len(self.points)
        for name, wanted in {
            "points": (count, 3),
            "normals": (count, 3),
            "intensity": (count,),
        }.items():
            array = getattr(self, name)
            if array is not None and array.shape != wanted:
                raise ValueError(f"cloud: {name} has shape {array.shape}; allowed: {wanted}")
            if array is not None:
                object.__setattr__(self, name, read_only(array.view()))


def bounding_box(valid: Mask) -> tuple[slice, slice]:
    """Return the slices of rows and columns of the smallest box that holds every valid pixel.

    Both slices are empty if no pixel is valid.

    >>> bounding_box(np.eye(5, dtype=bool)[:, :3])
    (slice(0, 3, None), slice(0, 3, None))
    """
    rows, columns = np.flatnonzero(valid.any(axis=1)), np.flatnonzero(valid.any(axis=0))
    if not len(rows):
        return slice(0, 0), slice(0, 0)
    return slice(int(rows[0]), int(rows[-1]) + 1), slice(int(columns[0]), int(columns[-1]) + 1)
