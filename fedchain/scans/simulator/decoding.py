"""Decoding of depth: the projector column that a camera pixel sees determines its depth."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from fedchain.arrays import Flags
from fedchain.scans.scan import Floats
from fedchain.scans.simulator.optics import BASELINE_M
from fedchain.scans.simulator.scenes import DISTANCE_M

FOCAL_COLUMNS = 1500.0
"""Focal length of the projector, in columns."""
EDGE = 0.02
"""Neighbouring pixels lie across an edge if their distances differ by more than this share of the
distance."""
NEIGHBOURS = ((0, 1), (0, -1), (1, 0), (-1, 0))


@dataclass(frozen=True, kw_only=True)
class Projector:
    """A projector beside the camera, turned toward the middle of the turntable."""

    baseline: float = BASELINE_M
    """Distance from the camera to the projector, in metres."""
    away: float = DISTANCE_M
    """Working distance from the camera to the middle of the turntable, in metres."""

    def columns(self, points: Floats) -> Floats:
        """Return the projector column that lights each point, as a real number.

        Args:
            points: coordinates in the camera's frame, in metres, shape (3, points).
        """
        c, s = self._slant
        x, z = points[0] - np.float32(self.baseline), points[2]
        across, ahead = c * x + s * z, c * z - s * x
        return np.asarray(np.float32(FOCAL_COLUMNS) * across / ahead)

    def distance(self, columns: Floats, sight: Floats) -> Floats:
        """Return the distance at which each camera ray meets the plane lit by its column.

        This is the inverse of ``columns``.

        Args:
            columns: decoded projector columns, shape (rays,).
            sight: unit directions of the camera rays, shape (3, rays).

        Returns:
            Distances in metres, shape (rays,); negative or huge where ray and plane do not meet in
            front of the camera.

        >>> ray, projector = np.array([[0.1], [0.0], [0.995]], np.float32), Projector()
        >>> round(float(projector.distance(projector.columns(0.5 * ray), ray)[0]), 4)
        0.5
        """
        # On a ray of direction d the distance is b (c + s u) / (d_x (c + s u) + d_z (s - c u)),
        # with baseline b, cosine c and sine s of the slant, and u = column / focal length.
        u = columns / np.float32(FOCAL_COLUMNS)
        c, s = self._slant
        across, ahead = c + s * u, s - c * u
        cut = sight[0] * across + sight[2] * ahead
        cut = np.where(np.abs(cut) < 1e-6, np.float32(1e-6), cut)
        return np.asarray(np.float32(self.baseline) * across / cut)

    @property
    def _slant(self) -> tuple[np.float32, np.float32]:
        """Cosine and sine of the angle by which the projector is turned."""
        reach = math.sqrt(self.baseline * self.baseline + self.away * self.away)
        return np.float32(self.away / reach), np.float32(self.baseline / reach)


def across_edges(
    columns: Floats, distance: Floats, side: Floats, share: Floats, gap: float = EDGE
) -> tuple[Floats, Flags]:
    """Make flying pixels: mix the column of a pixel at a depth edge with a neighbour's column.

    Args:
        columns: projector columns, shape (scans, height, width), NaN where nothing is seen.
        distance: distance along the camera rays in metres, in the same shape.
        side: random numbers from 0 to 1 that choose one neighbour of each pixel.
        share: share of the pixel's light that comes from this neighbour, 0 to 1.
        gap: a larger difference of distances, as a share of the distance, is an edge.

    Returns:
        The columns, mixed where the chosen neighbour lies across an edge and ``share`` is above
        0.15; and a mask that is true for the mixed pixels.
    """
    mixed, flying = columns.copy(), np.zeros(columns.shape, bool)
    for number, step in enumerate(NEIGHBOURS):
        other, far = _neighbour(columns, step), _neighbour(distance, step)
        edge = np.abs(far - distance) > gap * distance
        chosen = edge & (np.floor(side * len(NEIGHBOURS)) == number) & np.isfinite(other)
        chosen &= share > 0.15
        mixed[chosen] += share[chosen] * (other[chosen] - columns[chosen])
        flying |= chosen
    return mixed, flying


def _neighbour(grid: Floats, step: tuple[int, int]) -> Floats:
    """Return the value of each pixel's neighbour in one direction; NaN beyond the border."""
    (down, right), (_, height, width) = step, grid.shape
    padded = np.pad(grid, ((0, 0), (1, 1), (1, 1)), constant_values=np.nan)
    return padded[:, 1 + down : 1 + down + height, 1 + right : 1 + right + width]
