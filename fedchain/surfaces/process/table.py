"""Table: what each stage changed in each scan, as CSV, as JSON and in words."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from typing import Any

from fedchain.surfaces.process.records import Processed, StageChange

TABLE_FILES = ("stages.csv", "stages.json")
"""Names of the tables, in the folder of results."""
STAGE_COLUMNS = (
    "name", "stage", "points_before", "points_after", "share_erased", "spacing_before_mm",
    "spacing_after_mm", "vertices", "triangles", "mean_distance_mm", "file", "notes",
)  # fmt: skip
"""Columns of the table."""
HEADS = (
    "scan", "stage", "points", "after", "erased", "spacing", "after", "vertices", "triangles",
    "off",
)  # fmt: skip
"""Headings of the columns that a terminal and the page have room for: points and their spacing
before and after the stage, and how far a surface is off its points."""


def table_rows(done: Processed) -> list[dict[str, Any]]:
    """Return a row for each stage that was done or has failed, with the keys of ``STAGE_COLUMNS``.

    A stage that has failed has its reason in the column of notes, and no file.
    """
    rows = [_row(change) for change in done.changes]
    nothing = dict.fromkeys(STAGE_COLUMNS)
    for each in done.failures:
        notes = f"failed: {each.reason}"
        rows.append({**nothing, "name": each.name, "stage": each.stage, "notes": notes})
    return rows


def _row(change: StageChange) -> dict[str, Any]:
    return {
        "name": change.name,
        "stage": change.stage,
        "points_before": change.before,
        "points_after": change.after,
        "share_erased": change.erased if change.stage == "filter" else None,
        "spacing_before_mm": _in_mm(change.spacing_before_m),
        "spacing_after_mm": _in_mm(change.spacing_m),
        "vertices": change.vertices,
        "triangles": change.triangles,
        "mean_distance_mm": _in_mm(change.distance_m),
        "file": change.file,
        "notes": "; ".join(change.notes),
    }


def _in_mm(metres: float | None) -> float | None:
    return None if metres is None else 1000 * metres


def table_file(done: Processed, name: str) -> str:
    """Return the table as a file: ``stages.csv`` or ``stages.json``."""
    rows = table_rows(done)
    if name.endswith(".json"):
        return json.dumps({"settings": done.settings.words(), "stages": rows}, indent=1) + "\n"
    text = io.StringIO()
    table = csv.DictWriter(text, STAGE_COLUMNS, lineterminator="\n")
    table.writeheader()
    table.writerows(rows)
    return text.getvalue()


def stage_cells(done: Processed) -> Iterator[tuple[str, ...]]:
    """Yield the cells under ``HEADS`` for each stage that was done."""
    for change in done.changes:
        row = _row(change)
        counts = (row[key] for key in ("points_before", "points_after"))
        sizes = (row[key] for key in ("vertices", "triangles"))
        share = row["share_erased"]
        yield (
            change.name,
            change.stage,
            *(_count(each) for each in counts),
            "" if share is None else f"{share:.1%}",
            _length(row["spacing_before_mm"]),
            _length(row["spacing_after_mm"]),
            *(_count(each) for each in sizes),
            _length(row["mean_distance_mm"]),
        )


def _count(number: int | None) -> str:
    return "" if number is None else f"{number:,}"


def _length(millimetres: float | None) -> str:
    return "" if millimetres is None else f"{millimetres:.3f}"
