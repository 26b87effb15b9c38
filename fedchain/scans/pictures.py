"""Pictures of a scan and its masks, in colours that colour-blind readers can tell apart."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from fedchain.arrays import Array
from fedchain.learning.task import ShownScan
from fedchain.scans.scan import Floats, Mask

Picture = npt.NDArray[np.uint8]

KEPT = (86, 180, 233)
"""Sky blue: a point that remains."""
ERASED = (110, 110, 110)
"""Grey: a point that is rightly erased."""
MISSED = (213, 94, 0)
"""Vermilion: an outlier that the prediction keeps."""
LOST = (240, 228, 66)
"""Yellow: a good point that the prediction erases."""
PANEL_HEADS = ("intensity", "depth", "truth", "model", "errors")
"""Headings of the panels of ``draw_panels``."""
ERRORS = {
    "rightly kept": KEPT,
    "rightly erased": ERASED,
    "should be erased": MISSED,
    "should be kept": LOST,
}
"""Meanings of the colours in the panel of errors."""
PANEL_SIDE = 192
"""Longest side of an enlarged panel, in pixels; panels are enlarged by a whole factor."""
GAP = 4
"""White pixels between two panels."""


def draw_shown(scans: Sequence[ShownScan], outputs: Array) -> dict[str, Picture]:
    """Return the panels of scans by name, given the model's outputs for all held-out examples."""
    return {
        f"scan-{scan.name}": draw_panels(
            scan.image, scan.valid, scan.keep, scan.kept(outputs[scan.examples])
        )
        for scan in scans
    }


def draw_panels(image: Floats, valid: Mask, keep: Mask, kept: Mask) -> Picture:
    """Return a picture of five panels in a row: intensity, depth, truth, prediction, errors.

    Empty pixels are black. The panels of truth and prediction show the points that remain, in blue.
    In the panel of errors, vermilion points should have been erased, and yellow points should have
    been kept.

    Args:
        image: the channels of ``features_of``.
        valid: pixels that hold a point.
        keep: pixels that should be kept.
        kept: pixels that the prediction keeps.

    Returns:
        An RGB picture of all panels, larger than the image.
    """
    # The square root brightens the scan: without it, all but a few highlights would be dark.
    light, depth = np.sqrt(image[0]), image[1]
    errors = np.zeros((*valid.shape, 3))
    for where, colour in (
        (keep & kept, KEPT), (~keep & ~kept, ERASED), (~keep & kept, MISSED), (keep & ~kept, LOST)
    ):  # fmt: skip
        errors[where & valid] = colour
    panels = [_grey(light, valid), _grey(depth, valid), _mask(light, keep & valid)]
    panels += [_mask(light, kept & valid), errors]
    times = max(1, PANEL_SIDE // max(valid.shape))
    whole = [np.kron(panel, np.ones((times, times, 1))) for panel in panels]
    gap = np.full((whole[0].shape[0], GAP, 3), 255.0)
    row = [part for panel in whole for part in (panel, gap)][:-1]
    return np.round(np.concatenate(row, axis=1)).astype(np.uint8)


def panels_of(picture: Picture) -> list[Picture] | None:
    """Return the panels of a picture of ``draw_panels``; None if the picture is another one."""
    width = (picture.shape[1] - (len(PANEL_HEADS) - 1) * GAP) // len(PANEL_HEADS)
    gaps = [slice(end, end + GAP) for end in range(width, picture.shape[1] - 1, width + GAP)]
    if (width + GAP) * len(PANEL_HEADS) - GAP != picture.shape[1] or width < 1:
        return None
    if not all((picture[:, gap] == 255).all() for gap in gaps):
        return None
    return [picture[:, i * (width + GAP) :][:, :width] for i in range(len(PANEL_HEADS))]


def _grey(values: Floats, valid: Mask) -> npt.NDArray[np.float64]:
    return np.repeat(np.where(valid, 50 + 205.0 * values, 0)[..., None], 3, axis=-1)


def _mask(light: Floats, remains: Mask) -> npt.NDArray[np.float64]:
    shade = np.where(remains, 0.65 + 0.35 * light, 0)
    return np.asarray(shade[..., None] * np.array(KEPT))
