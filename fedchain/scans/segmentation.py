"""Functions that scan tasks share: masks from logits, metrics, baselines, the initial model."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
from torch import nn

from fedchain.arrays import Array
from fedchain.errors import Problem, ScenarioError
from fedchain.learning.models import seeded
from fedchain.learning.task import TASK_SHAPES, Metrics, Records, Shapes, models
from fedchain.registry import Part
from fedchain.scans.features import CHANNELS
from fedchain.scans.ranking import ranking_metrics
from fedchain.scans.scan import Mask

UNET = Part("gajdosech_unet", {"levels": 2, "width": 2, "norm": "group"})
"""Default model. It is small, so that the privacy noise is small, and its normalisation mixes no
examples."""
BCE = Part("bce", {})
ERODE, DILATE = 5, 7
"""Sides of the squares by which ``morphology`` erodes and dilates, in pixels."""


def _shapes(given: Mapping[str, Any]) -> Shapes:
    pixels = given["size"], given["size"]
    return Shapes(inputs=(len(CHANNELS), *pixels), outputs=1, targets=pixels, score="iou")


TASK_SHAPES["scan_segmentation"] = _shapes


def targets_of(keep: Mask, valid: Mask) -> npt.NDArray[np.float32]:
    """Return the targets of a loss: 1 for a point to keep, 0 to erase, NaN where there is none."""
    return np.where(valid, keep, np.nan).astype(np.float32)


def kept_by(outputs: Array, shape: tuple[int, ...]) -> Mask:
    """Return a mask of shape ``shape``: true where the logit is at least 0 (probability 1/2).

    >>> kept_by(np.array([[[[0.0, -0.1]]]]), (1, 1, 2)).tolist()
    [[[True, False]]]
    """
    return np.asarray(outputs.reshape(shape) >= 0)


def measure(outputs: Array, records: Records) -> Metrics:
    """Return the metrics of predicted logits, one logit for each pixel of the records."""
    shape = records.targets.shape
    return mask_metrics(kept_by(outputs, shape), records, -outputs.reshape(shape))


def initial_model(part: Part, seed: int, shape: tuple[int, int, int]) -> Callable[[], nn.Module]:
    """Return a function that makes the model with the same initial weights at every call.

    ``shape`` is the shape of an image: channels, height, width.

    Raises:
        ScenarioError: the model does not fit images of this shape.
    """
    make = seeded(lambda: models.build(part, shape, 1), seed)
    try:
        make()
    except ValueError as error:
        raise ScenarioError([Problem(("task", "model"), str(error))]) from error
    return make


def mask_metrics(kept: Mask, records: Records, scores: Array | None = None) -> Metrics:
    """Return metrics of how well predicted masks clean scans.

    The intersection over union (IoU) of the kept pixels is averaged over scans. The metrics of
    outliers (points to erase) are computed over all scans together.

    Args:
        kept: pixels that the prediction keeps, shape (images, height, width).
        records: the scans, with their true masks as targets. Each record is one scan, as one image
            or as tiles.
        scores: scores in the shape of ``kept``, higher for a pixel that is more likely an outlier;
            None: 1 for a pixel that the prediction erases, 0 for others.

    Returns:
        Metrics by name: ``iou``, ``outlier_precision``, ``outlier_recall``, ``outlier_f1``,
        ``outlier_iou``, and those that rank the pixels by their scores: ``outlier_ap``, the average
        precision, and ``outlier_auc``, the area under the ROC curve. Without an outlier, or without
        another point, the area is 1/2. A ratio 0 / 0 counts as 1 in the IoU of a scan, and as 0
        elsewhere.

    >>> scan = Records(np.zeros((1, 5, 2, 2)), np.array([[[1.0, 1.0], [1.0, 0.0]]]))
    >>> mask_metrics(np.ones((1, 2, 2), bool), scan)["iou"]
    0.75
    """
    valid, keep = np.isfinite(records.targets), records.targets == 1
    kept = kept & valid
    both = np.bincount(records.places, (kept & keep).sum(axis=(1, 2)))
    either = np.bincount(records.places, (kept | keep).sum(axis=(1, 2)))
    ious = np.where(either > 0, both / np.maximum(either, 1), 1.0)
    erased, outliers = valid & ~kept, valid & ~keep
    ranked = ranking_metrics((~kept if scores is None else scores)[valid], outliers[valid])
    found, named, wanted = (int(m.sum()) for m in (erased & outliers, erased, outliers))
    return {
        "iou": float(ious.mean()),
        "outlier_precision": found / max(named, 1),
        "outlier_recall": found / max(wanted, 1),
        "outlier_f1": 2 * found / max(named + wanted, 1),
        "outlier_iou": found / max(named + wanted - found, 1),
        "outlier_ap": ranked[0],
        "outlier_auc": ranked[1],
    }


def morphology(valid: Mask) -> Mask:
    """Return the baseline mask: erode by 5x5, dilate by 7x7, then keep only pixels with a point.

    This is the baseline of the paper of ``gajdosech_unet``. Pixels beyond the border count as
    empty. ``valid`` has the pixels that hold a point, shape (images, height, width).

    >>> bool(morphology(np.ones((1, 4, 4), bool)).any())
    False
    """
    from scipy import ndimage

    core = ndimage.binary_erosion(valid, np.ones((1, ERODE, ERODE), bool))
    return np.asarray(ndimage.binary_dilation(core, np.ones((1, DILATE, DILATE), bool)) & valid)


BASELINES: Mapping[str, Callable[[Mask], Mask]] = {
    "keep_everything": lambda valid: valid,
    "erase_everything": np.zeros_like,
    "morphology": morphology,
}
"""Baselines by name: functions that map the pixels that hold a point to the pixels to keep. Both
arrays have shape (images, height, width)."""
