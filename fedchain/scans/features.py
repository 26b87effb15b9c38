"""Features of a scan: the surface normals, and the image with five channels for a model."""

from __future__ import annotations

import numpy as np

from fedchain.elementary import dot
from fedchain.scans.scan import Floats, Mask

CHANNELS = ("intensity", "depth", "nx", "ny", "nz")
"""Names of the channels, in the order of the image."""
GAIN = 2.0
"""Number that multiplies the intensity before it is cut at 1."""
STEEPEST = 0.05
"""Largest gap between neighbours on one surface, as a share of their distance from the camera; a
larger gap is a depth edge."""


def normals_of(positions: Floats, camera: Floats) -> Floats:
    """Return the surface normal at each point, computed from its neighbours in the grid.

    Args:
        positions: points in metres, shape (..., height, width, 3), NaN where a pixel is empty.
        camera: position of the camera in metres, shape (3,); the normals point towards the camera.

    Returns:
        Unit normals in the shape of ``positions``, NaN where a pixel is empty. If a point has no
        neighbour on its surface along one axis, its normal points at the camera.

    >>> plane = np.stack([*np.meshgrid(range(3), range(3)), np.full((3, 3), 40)], -1)
    >>> normals_of(plane.astype(np.float32), np.zeros(3, np.float32))[1, 1].round()
    array([-0., -0., -1.], dtype=float32)
    """
    # A scanner computes its normals from its own noisy points. A simulator must do the same: exact
    # normals would give a network information that real scans do not have.
    sight = camera - positions
    distance = lengths_of(sight)
    along_rows = _tangent(positions, distance, axis=positions.ndim - 3)
    along_columns = _tangent(positions, distance, axis=positions.ndim - 2)
    normals = np.cross(along_columns, along_rows)
    lonely = ~(np.abs(normals).max(axis=-1) > 0)
    normals[lonely] = sight[lonely]
    normals[dot(np.moveaxis(normals, -1, 0), np.moveaxis(sight, -1, 0)) < 0] *= -1
    unit = normals / lengths_of(normals)[..., None]
    return np.asarray(np.where(np.isfinite(positions), unit, np.nan), np.float32)


def lengths_of(vectors: Floats) -> Floats:
    """Return the length of each vector; an array (..., 3) becomes an array (...)."""
    parts = np.moveaxis(vectors, -1, 0)
    return np.asarray(np.sqrt(dot(parts, parts)))


def _tangent(positions: Floats, distance: Floats, axis: int) -> Floats:
    tangent = np.zeros_like(positions)
    points, sums = np.moveaxis(positions, axis, 0), np.moveaxis(tangent, axis, 0)
    step = points[1:] - points[:-1]
    near = STEEPEST * np.moveaxis(distance, axis, 0)[:-1]
    step[~(lengths_of(step) <= near)] = 0  # also beside a NaN
    sums[1:] += step
    sums[:-1] += step
    return tangent


def features_of(intensity: Floats, distance: Floats, normals: Floats, valid: Mask) -> Floats:
    """Return the five channels of each scan: intensity, depth, and three components of the normals.

    Each scan is scaled by itself, to multiples of 1/255 from 0 to 1. The intensity I becomes min(1,
    2 I / max I). The nearest point has the depth 1, the farthest 0. The three components of the
    normals share one minimum and one maximum. Empty pixels are 0.

    Args:
        intensity: brightness, 0 or more, in the scanner's own unit, shape (scans, height, width).
        distance: distance from the camera, in metres, shape (scans, height, width).
        normals: unit normals, shape (scans, height, width, 3).
        valid: pixels that hold a point, shape (scans, height, width); other pixels are ignored.

    Returns:
        A float32 array, shape (scans, 5, height, width).

    Reference:
        Gajdošech, "Processing of 3D Scans using Machine Learning", 2020.

    >>> one = np.ones((1, 2, 2), np.float32)
    >>> features_of(one, one, np.ones((1, 2, 2, 3)), one > 0)[0, :, 0, 0].tolist()
    [1.0, 0.0, 0.0, 0.0, 0.0]
    """
    light = np.where(valid, intensity, 0)
    brightest = light.max(axis=(1, 2), keepdims=True, initial=0)
    bright = np.minimum(GAIN * light / np.maximum(brightest, 1e-12), 1)
    far = -distance[:, None]
    across = np.moveaxis(normals, -1, 1)
    channels = [bright[:, None], _scale_to_range(far, valid), _scale_to_range(across, valid)]
    image = np.concatenate(channels, axis=1)
    return np.asarray(np.round(255 * image) / 255 * valid[:, None], dtype=np.float32)


def _scale_to_range(values: Floats, valid: Mask) -> Floats:
    """Scale the valid values of each scan to 0 to 1; all channels share the minimum and maximum."""
    inside = valid[:, None]
    axes = (1, 2, 3)
    low = np.where(inside, values, np.inf).min(axis=axes, keepdims=True, initial=np.inf)
    high = np.where(inside, values, -np.inf).max(axis=axes, keepdims=True, initial=-np.inf)
    spread = np.where(high > low, high - low, 1)
    return np.asarray(np.where(inside, values - np.where(inside, low, 0), 0) / spread)
