"""How good a mask is, beside what needs no learning at all."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from fedchain.scans.scan import Mask

ERODE, DILATE = 5, 7
"""Sides of the squares of the author's morphology, in pixels."""


def mask_metrics(
    kept: Mask, keep: Mask, valid: Mask, scan: npt.NDArray[np.int64] | None = None
) -> Mapping[str, float]:
    """Return how well a predicted mask cleans scans; only pixels that hold a point count.

    Intersection over union (IoU) is that of the kept pixels, averaged over scans. It is high
    for a mask that keeps everything, so the outlier class (points to erase, over all scans
    together) stands beside it, always.

    Args:
        kept: pixels that the prediction keeps, (n, h, w).
        keep: pixels that are right to keep, (n, h, w).
        valid: pixels that hold a point, (n, h, w).
        scan: the scan that each image is a tile of, (n,); without it, each is a scan.

    Returns:
        ``iou``, and ``outlier_precision``, ``outlier_recall``, ``outlier_f1``,
        ``outlier_iou``; a ratio of nothing to nothing is 1 for the IoU of a scan and 0 else.

    >>> ones = np.ones((1, 2, 2), bool)
    >>> mask_metrics(ones, np.array([[[True, True], [True, False]]]), ones)["iou"]
    0.75
    """
    kept, keep = kept & valid, keep & valid
    owner = np.arange(len(kept)) if scan is None else np.unique(scan, return_inverse=True)[1]
    both = np.bincount(owner, (kept & keep).sum(axis=(1, 2)))
    either = np.bincount(owner, (kept | keep).sum(axis=(1, 2)))
    ious = np.where(either > 0, both / np.maximum(either, 1), 1.0)
    erased, outliers = valid & ~kept, valid & ~keep
    found, named, wanted = (int(m.sum()) for m in (erased & outliers, erased, outliers))
    return {
        "iou": float(ious.mean()),
        "outlier_precision": found / max(named, 1),
        "outlier_recall": found / max(wanted, 1),
        "outlier_f1": 2 * found / max(named + wanted, 1),
        "outlier_iou": found / max(named + wanted - found, 1),
    }


def keep_everything(valid: Mask) -> Mask:
    """Return the mask that erases nothing: the baseline that real scans make strong."""
    return valid


def morphology(valid: Mask) -> Mask:
    """Return the author's baseline: erode by 5x5, dilate by 7x7, and keep what is a point.

    It erases thin fringes and islands and leaves large patches alone. Beyond the border
    there are no points.

    Args:
        valid: pixels that hold a point, (n, h, w).

    >>> bool(morphology(np.ones((1, 4, 4), bool)).any())
    False
    """
    from scipy import ndimage

    core = ndimage.binary_erosion(valid, np.ones((1, ERODE, ERODE), bool))
    return np.asarray(ndimage.binary_dilation(core, np.ones((1, DILATE, DILATE), bool)) & valid)
