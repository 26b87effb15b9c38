"""Float channels of a scan, each scaled by public constants alone.

The five channels of ``features`` have 8 bits and are scaled by the least and the largest value of
the picture. That loses the signal of small outliers (one level of the depth is about 1 mm), and a
single glint changes every pixel. The channels here keep the signal, and a pixel's channels depend
only on points in its windows. A window stops at the edge of the grid that is given.
"""

from __future__ import annotations

import numpy as np

from fedchain.arrays import Array
from fedchain.elementary import dot, log2
from fedchain.scans.features import lengths_of, normals_of
from fedchain.scans.scan import Floats, Mask

RELIEF_WINDOWS = (9, 31, 91)
"""Sides of the squares over which the depth is averaged, in pixels."""
LOCAL = (
    "point",
    "log_intensity",
    "contrast",
    *(f"relief_{side}" for side in RELIEF_WINDOWS),
    "view_angle",
    "coherence",
    "height",
)
"""Names of the local channels, in the order of the image."""
LOG_INTENSITY_ORIGIN = 2.0**-9
"""Intensity whose logarithm counts as 0. Those of a PhoXi scanner are 0 to .06."""
DARKEST, OCTAVES = 2.0**-20, 8.0
"""Least intensity that is told from 0, and the factors of 2 that make one unit of the channel."""
RELIEF_M = (1e-3, 2e-3, 5e-3)
"""Depth from the local mean that gives a relief of one half, for each window, in metres."""
HEIGHT_M = 0.1
"""Height that makes one unit of the channel, in metres."""
UP = np.array([0.0, 1.0, 0.0])
"""Direction of the height in the coordinates of a PhoXi scanner's turntable."""


def local_channels(positions: Floats, intensity: Floats, camera: Floats, up: Array = UP) -> Floats:
    """Return the local channels of grids of points.

    A pixel without a point has zeros. A scan without brightness, in which every intensity is 1,
    has zeros in the two channels of brightness.

    Args:
        positions: points in metres, shape (grids, height, width, 3); NaN where a pixel is empty.
        intensity: brightness, 0 or more, shape (grids, height, width).
        camera: position of the camera in metres, shape (3,).
        up: unit vector along which the height is measured, shape (3,).

    Returns:
        A float32 array, shape (grids, channels, height, width), between -1 and 1. The channels:

        - ``point``: 1 where the pixel holds a point;
        - ``log_intensity``: logarithm of the intensity; 8 powers of two are one unit;
        - ``contrast``: logarithm of the intensity minus its mean over 31 x 31 pixels;
        - ``relief_9``, ``relief_31``, ``relief_91``: distance from the camera minus its mean over
          the square, r, as r / (s + |r|) with s of 1, 2 and 5 mm;
        - ``view_angle``: cosine of the angle between the normal and the line to the camera;
        - ``coherence``: length of the mean of the unit normals over 9 x 9 pixels;
        - ``height``: height over the origin in units of 10 cm.
    """
    valid = np.asarray(np.isfinite(positions).all(axis=-1))
    filled = np.where(valid[..., None], positions, camera + np.float32(1)).astype(np.float64)
    sight = camera - filled
    distance = lengths_of(sight)
    normals = np.where(valid[..., None], normals_of(positions, camera), 0)
    turned = np.moveaxis(normals, -1, 0)
    counts = {side: box_sums(valid, side) for side in RELIEF_WINDOWS}
    bright = _octaves(np.where(valid, intensity, 1))
    mean = np.stack([box_sums(np.where(valid, part, 0), RELIEF_WINDOWS[0]) for part in turned])
    channels = [
        valid,
        _clipped(bright / OCTAVES),
        _clipped(bright - _mean(bright, valid, counts, RELIEF_WINDOWS[1])),
        *(
            _squash(distance - _mean(distance, valid, counts, side), scale)
            for side, scale in zip(RELIEF_WINDOWS, RELIEF_M, strict=True)
        ),
        dot(turned, np.moveaxis(sight, -1, 0)) / distance,
        np.sqrt(dot(mean, mean)) / np.maximum(counts[RELIEF_WINDOWS[0]], 1),
        _clipped(dot(up, np.moveaxis(filled, -1, 0)) / HEIGHT_M),
    ]
    image = np.stack([np.where(valid, channel, 0) for channel in channels], axis=1)
    return np.asarray(image, np.float32)


def box_sums(values: Array, side: int) -> Array:
    """Return the sum of the values in the square of ``side`` pixels around each pixel.

    The squares stop at the edges of a grid. The sums are float64, and are added up in rows and then
    in columns, in the order of the pixels. ``values`` has shape (grids, height, width), ``side`` is
    odd.

    >>> box_sums(np.ones((1, 3, 4)), 3)[0].tolist()
    [[4.0, 6.0, 6.0, 4.0], [6.0, 9.0, 9.0, 6.0], [4.0, 6.0, 6.0, 4.0]]
    """
    return _sums_along(_sums_along(np.asarray(values, np.float64), side, 2), side, 1)


def _sums_along(values: Array, side: int, axis: int) -> Array:
    # The tail of a cumulative sum is a sum in a written order; a convolution by FFT is not.
    moved = np.moveaxis(values, axis, 0)
    length, half = len(moved), side // 2
    running = np.zeros((length + 1, *moved.shape[1:]))
    np.cumsum(moved, axis=0, out=running[1:])
    places = np.arange(length)
    above, below = np.minimum(places + half + 1, length), np.maximum(places - half, 0)
    return np.moveaxis(running[above] - running[below], 0, axis)


def _mean(values: Array, valid: Mask, counts: dict[int, Array], side: int) -> Array:
    return np.asarray(box_sums(np.where(valid, values, 0), side) / np.maximum(counts[side], 1))


def _octaves(intensity: Floats) -> Array:
    """Return the logarithm of the intensity to base 2; 0 for 1, the intensity of a missing one."""
    octaves = log2(np.maximum(intensity, DARKEST) / LOG_INTENSITY_ORIGIN)
    return np.where(intensity == 1, 0, octaves)


def _squash(values: Array, scale: float) -> Array:
    return np.asarray(values / (scale + np.abs(values)))


def _clipped(values: Array) -> Array:
    return np.clip(values, -1, 1)
