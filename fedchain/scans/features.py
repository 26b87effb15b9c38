"""Features of a scan: its surface normals, and the image with five channels for a model."""

from __future__ import annotations

import numpy as np

from fedchain.scans.scan import Floats, Mask

CHANNELS = ("intensity", "depth", "nx", "ny", "nz")
"""Names of the channels, in the order of the image."""
GAIN = 2.0
"""Factor on the intensity, from the reference in ``features_of``; the result is clipped at 1."""
STEEPEST = 0.05
"""Largest gap between neighbours that lie on one surface, as a share of their distance from the
camera; a larger gap is a depth edge."""


def normals_of(positions: Floats, camera: Floats) -> Floats:
    """Return the surface normal at each point, computed from its neighbours in the grid.

    A scanner computes its normals from its own noisy points, so a simulator must do the same:
    exact normals would give a network information that real scans do not have.

    The tangent along each axis of the grid is the sum of the steps from the previous point and to
    the next one. A step counts only if its two points lie on the same surface. The normal is
    the cross product of the two tangents.

    Args:
        positions: points in metres, (..., h, w, 3), NaN where a pixel is empty.
        camera: position of the camera in metres, (3,); the normals point towards it.

    Returns:
        Unit normals, (..., h, w, 3), NaN where a pixel is empty. If a point has no neighbour
        along one axis, its normal points at the camera.

    >>> plane = np.stack([*np.meshgrid(range(3), range(3)), np.full((3, 3), 40)], -1)
    >>> normals_of(plane.astype(np.float32), np.zeros(3, np.float32))[1, 1].round()
    array([-0., -0., -1.], dtype=float32)
    """
    sight = camera - positions
    distance = np.sqrt((sight * sight).sum(axis=-1))
    along_rows = _tangent(positions, distance, axis=positions.ndim - 3)
    along_columns = _tangent(positions, distance, axis=positions.ndim - 2)
    normals = np.cross(along_columns, along_rows)
    lonely = ~(np.abs(normals).max(axis=-1) > 0)
    normals[lonely] = sight[lonely]
    normals[(normals * sight).sum(axis=-1) < 0] *= -1
    length = np.sqrt((normals * normals).sum(axis=-1, keepdims=True))
    return np.asarray(np.where(np.isfinite(positions), normals / length, np.nan), np.float32)


def _tangent(positions: Floats, distance: Floats, axis: int) -> Floats:
    tangent = np.zeros_like(positions)
    points, sums = np.moveaxis(positions, axis, 0), np.moveaxis(tangent, axis, 0)
    step = points[1:] - points[:-1]
    length = np.sqrt((step * step).sum(axis=-1))
    joined = length <= STEEPEST * np.moveaxis(distance, axis, 0)[:-1]  # False beside a NaN
    step[~joined] = 0
    sums[1:] += step
    sums[:-1] += step
    return tangent


def features_of(intensity: Floats, distance: Floats, normals: Floats, valid: Mask) -> Floats:
    """Return the five channels of a batch of s scans, each of h x w pixels.

    Each scan is scaled on its own. The intensity I becomes min(1, 2 I / max I). The distance is
    scaled so that the nearest point becomes 1 and the farthest 0. The three components of the
    normals are scaled together: their minimum becomes 0, their maximum 1. All values are then
    rounded to 8 bits, as in the training images of the reference. Empty pixels are 0.

    Args:
        intensity: brightness, 0 or more, in the scanner's own unit, (s, h, w).
        distance: distance from the camera, in metres, (s, h, w).
        normals: unit normals, (s, h, w, 3).
        valid: pixels that hold a point, (s, h, w); the values of other pixels are ignored.

    Returns:
        A float32 array, (s, 5, h, w); each value is a multiple of 1/255 from 0 to 1.

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
    """Scale the valid values of each scan to 0 to 1; its channels share one minimum and maximum."""
    inside = valid[:, None]
    axes = (1, 2, 3)
    low = np.where(inside, values, np.inf).min(axis=axes, keepdims=True, initial=np.inf)
    high = np.where(inside, values, -np.inf).max(axis=axes, keepdims=True, initial=-np.inf)
    spread = np.where(high > low, high - low, 1)
    return np.asarray(np.where(inside, values - np.where(inside, low, 0), 0) / spread)
