"""Decoding of depth: the projector column that a camera pixel sees determines its depth."""

from __future__ import annotations

import numpy as np

from fedchain.arrays import Flags
from fedchain.scans.scan import Floats
from fedchain.scans.simulator.optics import BASELINE_M
from fedchain.scans.simulator.scenes import DISTANCE_M

FOCAL_COLUMNS = 1500.0
"""Focal length of the projector, in columns; at 0.55 m, one column is 1.6 mm of depth."""
EDGE = 0.02
"""Neighbouring pixels lie across an edge if their distances differ by more than this share."""
SLANT = float(np.arctan2(BASELINE_M, DISTANCE_M))
"""Angle by which the projector is turned toward the middle of the turntable, in radians."""
NEIGHBOURS = ((0, 1), (0, -1), (1, 0), (-1, 0))


def projector_columns(points: Floats) -> Floats:
    """Return the projector column that lights each point, (n,), of points (3, n) in metres.

    The column of a point (X, Y, Z) in the projector's frame is u = f X / Z, where f is the focal
    length. Each column lights a plane through the projector.
    """
    c, s = np.float32(np.cos(SLANT)), np.float32(np.sin(SLANT))
    x, z = points[0] - np.float32(BASELINE_M), points[2]
    across, ahead = c * x + s * z, c * z - s * x
    return np.asarray(np.float32(FOCAL_COLUMNS) * across / ahead)


def distance_of(columns: Floats, sight: Floats) -> Floats:
    """Return the distance at which each camera ray meets the plane lit by its projector column.

    This is the inverse of :func:`projector_columns`. On a ray of direction d the distance is
    t = b (c + s u) / (d_x (c + s u) + d_z (s - c u)). Here b is the baseline, c and s are cosine
    and sine of the slant, and u is the column divided by the focal length.

    Args:
        columns: decoded projector columns, (n,).
        sight: unit directions of the camera rays, (3, n).

    Returns:
        Distances in metres, (n,); negative or huge where ray and plane do not meet in front of
        the camera.

    >>> ray = np.array([[0.1], [0.0], [0.995]], np.float32)
    >>> round(float(distance_of(projector_columns(0.5 * ray), ray)[0]), 4)
    0.5
    """
    u = columns / np.float32(FOCAL_COLUMNS)
    c, s = np.float32(np.cos(SLANT)), np.float32(np.sin(SLANT))
    across, ahead = c + s * u, s - c * u
    cut = sight[0] * across + sight[2] * ahead
    cut = np.where(np.abs(cut) < 1e-6, np.float32(1e-6), cut)
    return np.asarray(np.float32(BASELINE_M) * across / cut)


def across_edges(
    columns: Floats, distance: Floats, side: Floats, share: Floats
) -> tuple[Floats, Flags]:
    """Make flying pixels: mix the column of a pixel on a depth edge with a neighbour's column.

    Args:
        columns: projector columns, (s, h, w), NaN where nothing is seen.
        distance: distance along the camera rays, (s, h, w), in metres.
        side: random numbers from 0 to 1 that choose one of each pixel's neighbours, (s, h, w).
        share: share of the pixel's light that comes from this neighbour, 0 to 1, (s, h, w).

    Returns:
        The columns, mixed where the chosen neighbour lies across an edge; and a mask that is true
        for these pixels. Both are (s, h, w).
    """
    mixed, flying = columns.copy(), np.zeros(columns.shape, bool)
    for number, step in enumerate(NEIGHBOURS):
        other, far = _neighbour(columns, step), _neighbour(distance, step)
        edge = np.abs(far - distance) > EDGE * distance
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
