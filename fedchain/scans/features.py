"""From a scan to the image that the models see: the author's five channels."""

from __future__ import annotations

import numpy as np

from fedchain.scans.scan import Floats, Mask

CHANNELS = ("intensity", "depth", "nx", "ny", "nz")
"""Order of the channels."""
GAIN = 2.0
"""The author's gain on the intensity; what exceeds 8 bits is clipped."""


def features_of(intensity: Floats, distance: Floats, normals: Floats, valid: Mask) -> Floats:
    """Return the five channels of a batch of scans.

    All are rounded to 8 bits, as in the images that the author trained on, each scan by its
    own range: intensity I to min(255, 2 * 255 I / max I), camera distance inverted (near is
    bright), the three normal components with one joint range. Empty pixels are 0.

    Args:
        intensity: 0 or more, in the scanner's own unit, (s, h, w).
        distance: from the camera, in metres, (s, h, w).
        normals: unit normals, (s, h, w, 3).
        valid: pixels that hold a point, (s, h, w); elsewhere the values do not matter.

    Returns:
        Float32, (s, 5, h, w), each value a multiple of 1/255 from 0 to 1.

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
    channels = [bright[:, None], _ranged(far, valid), _ranged(across, valid)]
    image = np.concatenate(channels, axis=1)
    return np.asarray(np.round(255 * image) / 255 * valid[:, None], dtype=np.float32)


def _ranged(values: Floats, valid: Mask) -> Floats:
    """Bring the valid values of each scan to 0 to 1, its channels by one joint range."""
    inside = valid[:, None]
    axes = (1, 2, 3)
    low = np.where(inside, values, np.inf).min(axis=axes, keepdims=True, initial=np.inf)
    high = np.where(inside, values, -np.inf).max(axis=axes, keepdims=True, initial=-np.inf)
    spread = np.where(high > low, high - low, 1)
    return np.asarray(np.where(inside, values - np.where(inside, low, 0), 0) / spread)
