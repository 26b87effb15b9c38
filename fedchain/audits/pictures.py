"""How near pictures are to the true ones."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Pictures = npt.NDArray[np.float64]
"""Inputs of records, (n, height, width) or (n, channels, height, width)."""
WINDOW = 7
"""Side of the windows of structural similarity, pixels."""


def matched(truth: Pictures, found: Pictures) -> Pictures:
    """Return the found pictures in the order in which they fit the true ones best.

    >>> truth = np.array([[[0.0]], [[5.0]]])
    >>> matched(truth, truth[::-1]).ravel().tolist()
    [0.0, 5.0]
    """
    from scipy.optimize import linear_sum_assignment

    flat, other = truth.reshape(len(truth), -1), found.reshape(len(found), -1)
    costs = ((flat[:, None] - other[None]) ** 2).sum(axis=2)
    return np.asarray(found[linear_sum_assignment(costs)[1]])


def mean_psnr(truth: Pictures, found: Pictures, peak: float) -> float:
    """Return the mean peak signal-to-noise ratio, 10 log10(peak^2 / mean squared error), dB.

    Args:
        truth: pictures, (n, ..).
        found: as many, of the same shape.
        peak: the range of the values.

    >>> round(mean_psnr(np.zeros((1, 4, 4)), np.full((1, 4, 4), 0.1), 1.0), 3)
    20.0
    """
    squares = ((truth - found) ** 2).reshape(len(truth), -1).mean(axis=1)
    return float(np.mean(10 * np.log10(peak**2 / np.maximum(squares, 1e-20 * peak**2))))


def mean_ssim(truth: Pictures, found: Pictures, peak: float) -> float:
    """Return the mean structural similarity over all whole windows of 7 x 7 pixels.

    Args:
        truth: pictures, (n, .., height, width).
        found: as many, of the same shape.
        peak: the range of the values.

    Reference:
        Wang et al., "Image Quality Assessment: From Error Visibility to Structural Similarity",
        2004; sample covariances, K1 = .01, K2 = .03.

    >>> round(mean_ssim(np.eye(8)[None], np.eye(8)[None], 1.0), 6)
    1.0
    """
    side = min(WINDOW, *truth.shape[-2:])
    first, second = (
        np.lib.stride_tricks.sliding_window_view(each, (side, side), axis=(-2, -1))
        for each in (truth, found)
    )
    sides, bessel = (-2, -1), side**2 / max(1, side**2 - 1)
    one, two = first.mean(sides), second.mean(sides)
    spread = bessel * (first.var(sides) + second.var(sides))
    shared = bessel * ((first * second).mean(sides) - one * two)
    low, high = (0.01 * peak) ** 2, (0.03 * peak) ** 2
    found_ = (2 * one * two + low) * (2 * shared + high)
    return float((found_ / ((one**2 + two**2 + low) * (spread + high))).mean())


def shown(pictures: Pictures) -> npt.NDArray[np.float64]:
    """Return the pictures of a figure: of several channels the first, (n, height, width)."""
    return np.round(pictures if pictures.ndim == 3 else pictures[:, 0], 4)
