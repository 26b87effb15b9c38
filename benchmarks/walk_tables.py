"""The table of the walk in docs/scans.md: a model beside every baseline."""

from __future__ import annotations

from collections.abc import Sequence

from page_tables import Outcome, short, table

METRICS = ("iou", "precision", "recall", "f1", "ap", "auc")
"""Metrics of the table, by their names in ``scan evaluate``."""


def walk_table(done: Sequence[Outcome]) -> str:
    """Return the mean of each metric over the scans, a row for each method."""
    rows = [
        [method.replace("_", " "), *(short(scores[m]) if m in scores else "-" for m in METRICS)]
        for method, scores in done[0].told["mean"].items()
    ]
    return table(["method", "IoU", "precision", "recall", "F1", "AP", "AUC"], rows)
