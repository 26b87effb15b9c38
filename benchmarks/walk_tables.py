"""The tables of the walks in docs/scans.md and docs/surfaces.md."""

from __future__ import annotations

from collections.abc import Sequence

from page_tables import Outcome, short, table

KINDS = {"scans": "as measured", "filtered": "filtered", "true": "without outliers"}
"""Kinds of scans of the surfaces, by their names in ``surface_walk.py``."""
METRICS = ("iou", "precision", "recall", "f1", "ap", "auc")
"""Metrics of the table, by their names in ``scan evaluate``."""


def walk_table(done: Sequence[Outcome]) -> str:
    """Return the mean of each metric over the scans, a row for each method."""
    rows = [
        [method.replace("_", " "), *(short(scores[m]) if m in scores else "-" for m in METRICS)]
        for method, scores in done[0].told["mean"].items()
    ]
    return table(["method", "IoU", "precision", "recall", "F1", "AP", "AUC"], rows)


def surface_table(done: Sequence[Outcome]) -> str:
    """Return the distances of surfaces to the true points, a row for each kind of scans."""
    told = done[0].told
    rows = []
    for kind, words in KINDS.items():
        own = [told[f"{method}, {kind}"] for method in ("poisson", "marching")]
        rows.append([words, *(f"{each['mean']:.2f} ({each['far']:.1%})" for each in own)])
    return table(["scans", "poisson", "marching"], rows)
