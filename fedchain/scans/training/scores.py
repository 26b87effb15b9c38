"""Scores: how well predicted masks clean scans, for each scan and in the mean."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from fedchain.learning.task import Records
from fedchain.scans.scan import Floats, Mask
from fedchain.scans.segmentation import mask_metrics, targets_of

SCAN_METRICS = ("iou", "precision", "recall", "f1", "ap", "auc")
"""Names of the metrics: IoU of the kept points; precision, recall and F1 of the erased points;
average precision and area under the ROC curve of the outliers, for methods that rank points."""


@dataclass(frozen=True, eq=False)
class Judged:
    """One scan that a method has cleaned, beside the truth; all arrays have shape (h, w)."""

    valid: Mask
    """Pixels that are judged."""
    keep: Mask
    """Pixels that should be kept."""
    kept: Mask
    """Pixels that the method keeps."""
    chance: Floats | None
    """Probability, or any other score, to keep each point; None if the method ranks nothing."""


def scores_of(judged: Judged) -> Mapping[str, float]:
    """Return the metrics of one scan, as ``mask_metrics`` computes them.

    AP and AUC are those of the points to erase, ranked by ``1 - chance``. Both are left out if
    nothing is ranked or no point is to be erased, and AUC also if no point is to be kept.

    >>> two, first = np.ones((1, 2), bool), np.array([[True, False]])
    >>> scores_of(Judged(two, first, first, np.array([[0.9, 0.2]])))["auc"]
    1.0
    """
    record = Records(np.zeros((1, 0)), targets_of(judged.keep, judged.valid)[None])
    ranks = None if judged.chance is None else -judged.chance[None]
    found = mask_metrics(judged.kept[None], record, ranks)
    keep = judged.keep[judged.valid]
    ranked = judged.chance is not None and not keep.all()
    missing = {"ap": not ranked, "auc": not ranked or not keep.any()}
    return {
        name: found["iou" if name == "iou" else f"outlier_{name}"]
        for name in SCAN_METRICS
        if not missing.get(name)
    }


def mean_of(scores: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Return the mean of each metric over the scans that have it.

    >>> mean_of([{"iou": 1.0, "ap": 0.5}, {"iou": 0.0}])
    {'iou': 0.5, 'ap': 0.5}
    """
    found = {}
    for metric in SCAN_METRICS:
        values = [each[metric] for each in scores if metric in each]
        if values:
            found[metric] = float(np.mean(values))
    return found
