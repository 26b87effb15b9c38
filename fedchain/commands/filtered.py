"""Printing of scans that were cleaned: what became of each scan of a folder."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from fedchain.commands.formats import Format, print_result, table
from fedchain.names import counted_words

if TYPE_CHECKING:
    from rich.console import RenderableType

    from fedchain.scans.training.filtering import FilteredFolder
    from fedchain.scans.training.folders import ScanFolder
    from fedchain.scans.training.model_file import TrainedModel

MISSING = 3
"""Exit code if a scan could not be read or filtered."""
NAMED_FILES = 10
"""Number of files left out that are named; the others are counted."""


def show_filtered(
    done: FilteredFolder, trained: TrainedModel, folder: Path, out: Path, form: Format
) -> None:
    """Print which scans of a folder were cleaned, and which were not."""
    told = [*_warnings(done), *(f"{name}: {why}" for name, why in done.failed.items())]
    values = {
        "model": {"trained_on": trained.card.trained_on, "fedchain": trained.card.fedchain},
        "scans": [each.model_dump() for each in done.scans],
        "skipped": sorted(done.before),
        "failed": dict(done.failed),
        "left_out": dict(done.folder.left_out),
    }
    lines = _filtered_lines(done, trained, folder, out)
    print_result(form, values, lines, told, MISSING if done.failed else 0)


def _warnings(done: FilteredFolder) -> Iterator[str]:
    for each in done.scans:
        if each.unlike:
            became = "kept whole (--even-unlike erases)" if each.whole else "erased all the same"
            yield f"{each.name}: unlike the training scans, {became}: {'; '.join(each.unlike)}"


def _filtered_lines(
    done: FilteredFolder, trained: TrainedModel, folder: Path, out: Path
) -> Iterator[RenderableType]:
    from fedchain.scans.training.images import COMPARED

    yield f"model     trained on {trained.card.trained_on}"
    cleaned, views = sum(len(each.cleaned) for each in done.folder.sets), ""
    if cleaned and trained.card.kind in COMPARED:
        views = f" and {counted_words(cleaned, 'cleaned scan')} to compare with"
    yield f"read      {counted_words(len(done.folder.scans), 'scan')} in {folder}{views}"
    yield from left_out_lines(done.folder)
    rows = (
        (
            each.name,
            f"{each.points:,}",
            f"{each.kept:,}",
            f"{1 - each.kept / max(each.points, 1):.1%}",
            "before" if each.name in done.before else "whole: unlike" if each.whole else "now",
            each.cloud,
        )
        for each in done.scans
    )
    yield table(("scan", "points", "kept", "erased", "filtered", "cloud"), rows)
    failed = f", {len(done.failed)} failed" if done.failed else ""
    yield f"files     {out}: {len(done.scans)} clouds and masks{failed}"


def left_out_lines(folder: ScanFolder) -> Iterator[str]:
    """Yield a line for each file that was not read, and one that counts the rest."""
    for name, why in list(folder.left_out.items())[:NAMED_FILES]:
        yield f"left out  {name}: {why}"
    if (more := len(folder.left_out) - NAMED_FILES) > 0:
        yield f"left out  {more} more files"
