"""Features of a scan: an image with five channels that a model sees in place of the scan."""

from __future__ import annotations

import numpy as np

from fedchain.scans.scan import Floats, Mask

CHANNELS = ("intensity", "depth", "nx", "ny", "nz")
"""Order of the channels."""
GAIN = 2.0
"""Gain on the intensity, from the reference below; values that exceed 8 bits are clipped."""


def features_of(intensity: Floats, distance: Floats, normals: Floats, valid: Mask) -> Floats:
    """Return the five channels of a batch of s scans, each of h x w pixels.

    All channels are rounded to 8 bits, as in the training images of the reference. Each scan
    is scaled by its own range. The intensity I becomes min(255, 2 * 255 I / max I). The distance
    from the camera is inverted: near points are bright. The three components of the normals share
    one range. Empty pixels are 0.

    Args:
        intensity: 0 or more, in the scanner's own unit, (s, h, w).
        distance: distance from the camera, in metres, (s, h, w).
        normals: unit normals, (s, h, w, 3).
        valid: pixels that hold a point, (s, h, w); elsewhere the values do not matter.

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
    """Scale the valid values of each scan to 0 to 1, with one range for all its channels."""
    inside = valid[:, None]
    axes = (1, 2, 3)
    low = np.where(inside, values, np.inf).min(axis=axes, keepdims=True, initial=np.inf)
    high = np.where(inside, values, -np.inf).max(axis=axes, keepdims=True, initial=-np.inf)
    spread = np.where(high > low, high - low, 1)
    return np.asarray(np.where(inside, values - np.where(inside, low, 0), 0) / spread)
