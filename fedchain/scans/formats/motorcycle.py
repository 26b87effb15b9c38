"""The motorcycle: the real organised scan in the package scikit-image.

Middlebury's data set of 2014 was measured with structured light. The package has a picture and the
disparities of one scene, 500 x 741 pixels.

Reference:
    Scharstein et al., "High-resolution stereo datasets with subpixel-accurate ground truth", 2014.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from fedchain.arrays import Array
from fedchain.errors import MissingExtra
from fedchain.scans.camera import Camera
from fedchain.scans.formats.columns import brightness
from fedchain.scans.formats.file_points import FilePoints

MIDDLEBURY_FOCAL_PX = 994.978
MIDDLEBURY_BASELINE_M = 0.193001
MIDDLEBURY_OFFSET_PX = 31.086
"""Difference of the two cameras' principal points, which is added to each disparity."""
MIDDLEBURY_CENTRE_PX = (311.193, 254.877)
_WITHOUT = "the motorcycle needs scikit-image; install it with: pip install 'fedchain[scans]'"


def read_motorcycle() -> FilePoints:
    """Return the motorcycle: the points of the left camera, at depth f b / (disparity + offset).

    Raises:
        MissingExtra: scikit-image is not installed.
    """
    try:
        from skimage import data
    except ImportError as error:
        raise MissingExtra(_WITHOUT) from error
    load: Callable[[], tuple[Array, Array, Array]] = data.stereo_motorcycle
    left, _, disparities = load()
    height, width = disparities.shape
    view = Camera(
        basis=np.eye(3),
        position=np.zeros(3),
        focal=np.array([MIDDLEBURY_FOCAL_PX, MIDDLEBURY_FOCAL_PX]),
        centre=np.array(MIDDLEBURY_CENTRE_PX),
        distortion=np.zeros(5),
    )
    finite = np.where(np.isfinite(disparities), disparities, np.nan).astype(np.float64)
    depth = MIDDLEBURY_FOCAL_PX * MIDDLEBURY_BASELINE_M / (finite + MIDDLEBURY_OFFSET_PX)
    points = (depth[..., None] * view.rays(height, width)).astype(np.float32)
    return FilePoints(
        points=points.reshape(-1, 3),
        intensity=brightness(left).reshape(-1),
        grid=(height, width),
        camera=view.position,
        view=view,
        unit="m",
    )
