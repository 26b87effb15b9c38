"""Borders: weights of pixels that are large between two parts of a mask that nearly touch."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fedchain.scans.scan import Mask


def border_weights(keep: Mask, valid: Mask, border: float, sigma: float) -> NDArray[np.float64]:
    """Return the weight map of U-Net for one mask, shape (height, width).

    The weight of a pixel is w_c + border exp(-(d1 + d2)^2 / (2 sigma^2)), with the second term only
    for pixels to erase. Here d1 and d2 are the distances to the nearest and the second nearest part
    of the mask, in pixels; a part is a set of pixels to keep that touch at a side or a corner. The
    class weight w_c is half of the number of valid pixels, divided by the number of those of the
    pixel's class, so that both classes weigh the same.

    Args:
        keep: pixels to keep, shape (height, width).
        valid: pixels that hold a point, the same shape; the other pixels get the weight 0.
        border: largest weight that the nearness of two parts adds.
        sigma: standard deviation of the nearness, in pixels.

    Reference:
        Ronneberger, Fischer and Brox, "U-Net", 2015, equation (2).

    >>> row = np.array([[True, False, True, False]])
    >>> border_weights(row, np.ones_like(row), 10.0, 5.0).round(2).tolist()
    [[1.0, 10.23, 1.0, 8.26]]
    """
    from scipy import ndimage

    keep = keep & valid
    many, kept = int(valid.sum()), int(keep.sum())
    weights = np.where(keep, many / (2 * max(kept, 1)), many / (2 * max(many - kept, 1)))
    parts, count = ndimage.label(keep, np.ones((3, 3)))
    if count > 1:
        nearest = np.full((2, *keep.shape), np.inf)
        for part in range(1, count + 1):
            distance = ndimage.distance_transform_edt(parts != part)
            nearest[1] = np.minimum(nearest[1], np.maximum(nearest[0], distance))
            nearest[0] = np.minimum(nearest[0], distance)
        near = np.exp(-(nearest.sum(axis=0) ** 2) / (2 * sigma**2))
        weights += border * near * ~keep
    return np.asarray(weights * valid)
