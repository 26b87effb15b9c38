"""Scores: how well predicted masks clean scans, for each scan and in the mean."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from fedchain.scans.ranking import ranking_metrics
from fedchain.scans.scan import Floats, Mask

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
    """Return the metrics of one scan.

    A ratio 0 / 0 counts as 1 in the IoU, and as 0 elsewhere. AP and AUC are those of the points to
    erase, ranked by ``1 - chance``; they are left out if nothing is ranked, and AUC also if a scan
    has points of one class only.

    >>> two, first = np.ones((1, 2), bool), np.array([[True, False]])
    >>> scores_of(Judged(two, first, first, np.array([[0.9, 0.2]])))["auc"]
    1.0
    """
    keep, kept = judged.keep[judged.valid], judged.kept[judged.valid]
    found, erased, outliers = (int(m.sum()) for m in (~keep & ~kept, ~kept, ~keep))
    both, either = int((keep & kept).sum()), int((keep | kept).sum())
    scores = {
        "iou": both / either if either else 1.0,
        "precision": found / max(erased, 1),
        "recall": found / max(outliers, 1),
        "f1": 2 * found / max(erased + outliers, 1),
    }
    if judged.chance is None or not outliers:
        return scores
    ap, auc = ranking_metrics(-judged.chance[judged.valid], ~keep)
    scores["ap"] = ap
    if keep.any():
        scores["auc"] = auc
    return scores


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
