"""Pictures of records: their types, measures of their similarity, and how they are drawn."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import numpy.typing as npt
from pydantic import AfterValidator, BaseModel, Field

from fedchain.audits.record import ROW_CONFIG

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Pictures = npt.NDArray[np.float64]
"""Inputs of n records, shape (n, height, width) or (n, channels, height, width)."""
WINDOW = 7
"""Side of the windows for structural similarity, in pixels."""
PICTURED = 8
"""Largest number of records whose pictures are kept in a finding and drawn."""


def _even(pictures: list[list[list[float]]]) -> list[list[list[float]]]:
    rows = [row for picture in pictures for row in picture]
    if not all(pictures) or len({len(row) for row in rows}) != 1 or not rows[0]:
        raise ValueError("pictures must have rows of one length, one or more")
    return pictures


def _rising(ends: list[float]) -> list[float]:
    if ends[0] >= ends[1]:
        raise ValueError("range must be the least and the largest value")
    return ends


ValueRange = Annotated[list[float], Field(min_length=2, max_length=2), AfterValidator(_rising)]
"""Least and largest value of a picture."""
PictureStrip = Annotated[list[list[list[float]]], Field(min_length=1), AfterValidator(_even)]
"""One picture per record; a picture is a list of rows of values."""


class PictureStrips(BaseModel):
    """Three pictures of each record: true, guessed and reconstructed."""

    model_config = ROW_CONFIG
    truth: PictureStrip
    """The true pictures, as the model gets them."""
    prior: PictureStrip
    """The best guesses without any gradient."""
    found: PictureStrip
    """The reconstructions."""


def matched(truth: Pictures, found: Pictures) -> Pictures:
    """Return the reconstructions in the order that best matches the true pictures.

    >>> truth = np.array([[[0.0]], [[5.0]]])
    >>> matched(truth, truth[::-1]).ravel().tolist()
    [0.0, 5.0]
    """
    from scipy.optimize import linear_sum_assignment

    flat, other = truth.reshape(len(truth), -1), found.reshape(len(found), -1)
    costs = ((flat[:, None] - other[None]) ** 2).sum(axis=2)
    return np.asarray(found[linear_sum_assignment(costs)[1]])


def mean_psnr(truth: Pictures, found: Pictures, peak: float) -> float:
    """Return the mean peak signal-to-noise ratio (PSNR) of the pictures in dB.

    The PSNR of a picture is 10 log10(peak^2 / mean squared error). ``peak`` is the largest possible
    difference between two values.

    >>> round(mean_psnr(np.zeros((1, 4, 4)), np.full((1, 4, 4), 0.1), 1.0), 3)
    20.0
    """
    squares = ((truth - found) ** 2).reshape(len(truth), -1).mean(axis=1)
    return float(np.mean(10 * np.log10(peak**2 / np.maximum(squares, 1e-20 * peak**2))))


def mean_ssim(truth: Pictures, found: Pictures, peak: float) -> float:
    """Return the mean structural similarity over all whole windows of 7 x 7 pixels.

    Reference:
        Wang et al., "Image Quality Assessment: From Error Visibility to Structural Similarity",
        2004.

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


def first_channel(pictures: Pictures) -> npt.NDArray[np.float64]:
    """Return the first channel of each picture, rounded to 4 decimals, shape (n, height, width)."""
    return np.round(pictures if pictures.ndim == 3 else pictures[:, 0], 4)


def draw_strip(line: Sequence[Axes], pictures: Sequence[Any], bounds: Sequence[float]) -> None:
    """Draw pictures side by side, one on each axes, until pictures or axes run out.

    The first of ``bounds`` is the value that is drawn black, the second the value drawn white.
    """
    for ax, picture in zip(line, pictures, strict=False):
        ax.imshow(picture, cmap="gray", vmin=bounds[0], vmax=bounds[1], interpolation="nearest")
        ax.set(xticks=(), yticks=())
        ax.grid(visible=False)
        for spine in ax.spines.values():
            spine.set_visible(False)
