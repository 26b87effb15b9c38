"""Page: every stage of every scan side by side, and the table of stages, in one HTML file."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping
from pathlib import Path

from fedchain.document import document, facts_html, table_html, text_html
from fedchain.errors import cannot
from fedchain.names import counted_words
from fedchain.surfaces.process.records import (
    PANEL_NAMES,
    Processed,
    ProcessedSet,
    StageChange,
    StageName,
)
from fedchain.surfaces.process.table import HEADS, stage_cells
from fedchain.surfaces.reconstruction import method_of

PAGE = "index.html"
"""Name of the page in the folder of results."""
PAGE_TITLE = "From scans to surfaces"
PAGE_STYLE = """main { max-width: 76rem; }
.stages { display: grid; grid-template-columns: repeat(var(--columns), minmax(0, 1fr));
  gap: .6rem 1rem; align-items: start; }
.stages figure { margin: .2rem 0; }
.stages img { display: block; width: 100%; height: auto; background: var(--box);
  border: 1px solid var(--line); border-radius: 6px; }
section { margin: 1.2rem 0 1.8rem; }
td { vertical-align: top; }
@media (max-width: 45rem) { .stages { grid-template-columns: repeat(2, minmax(0, 1fr)); } }
"""
"""Rules of style beside those of all pages."""
UNITS = (
    "Spacings are in mm, and so is the mean distance by which the vertices of a surface are off "
    "its points."
)
"""Units of the table."""
LEGEND = (
    "All pictures of a scan are seen from its camera. Original points are grey; kept points are "
    "blue, and erased ones vermilion. A surface is blue where it is seen from outside, and orange "
    "where it is seen from inside, through a hole. What is merged is shown with every scan that it "
    "was made of."
)
"""What the colours mean."""


def page_of(done: Processed, out: Path) -> str:
    """Return the HTML page of a folder of results, which has no scripts and loads no other file.

    Args:
        done: what became of the scans.
        out: the folder of results, which has the pictures.

    Raises:
        RunRefused: a picture cannot be read.
    """
    blocks = [f"<h1>{PAGE_TITLE}</h1>", f'<p class="finding">{text_html(outcome_of(done))}</p>']
    blocks += [
        f'<p class="warning">{text_html(f"{each.name}: {each.stage}: {each.reason}")}</p>'
        for each in done.failures
    ]
    blocks += [facts_html(_facts(done)), f"<p>{LEGEND}</p>"]
    for each in done.sets:
        blocks += _set_blocks(each, done, out)
    rows = ([text_html(cell) for cell in cells] for cells in stage_cells(done))
    caption = f"What each stage changed. {UNITS} stages.csv has the same, and the notes."
    blocks.append(f"<h2>Stages</h2>{table_html(HEADS, rows, caption)}")
    return document(PAGE_TITLE, "\n".join(blocks), style=PAGE_STYLE)


def outcome_of(done: Processed) -> str:
    """Return what became of the scans, in one sentence."""
    filtered = [each for each in done.changes if each.stage == "filter"]
    surfaces = sum(each.stage == "reconstruct" for each in done.changes)
    before, after = sum(each.before for each in filtered), sum(each.after or 0 for each in filtered)
    scans = counted_words(len(done.folder.scans), "scan")
    scans = scans if len(filtered) == len(done.folder.scans) else f"{len(filtered)} of {scans}"
    failed = f"; {counted_words(len(done.failures), 'failure')}" if done.failures else ""
    return (
        f"{scans} became {counted_words(surfaces, 'surface')}; filtering erased "
        f"{1 - after / max(before, 1):.1%} of {before:,} points{failed}."
    )


def _facts(done: Processed) -> dict[str, str]:
    settings = done.settings
    unlike = "erased, too" if settings.even_unlike else "kept whole"
    denser = f"{settings.upsample} for 1, by {settings.upsampling}"
    return {
        "model": settings.model[:16],
        "scans unlike the training scans": unlike,
        "merged scans": "moved onto each other" if settings.refine else "in their stored poses",
        "points": denser if settings.upsample else "not made denser",
        "surfaces": f"{method_of(settings.surface)}, depth {settings.depth}",
    }


def _set_blocks(of: ProcessedSet, done: Processed, out: Path) -> Iterator[str]:
    """Yield what the page shows of one set."""
    changes = {(each.name, each.stage): each for each in of.changes}
    yield f"<h2>{text_html(of.name or 'Scans')}</h2>"
    if of.joined is not None:
        yield from _joined_blocks(of, changes)
    for scan in of.scans:
        yield _scan_block(scan, of, changes, done, out)


def _joined_blocks(
    of: ProcessedSet, changes: Mapping[tuple[str, StageName], StageChange]
) -> Iterator[str]:
    """Yield what was merged, and why scans have surfaces of their own."""
    assert of.joined is not None
    if change := of.joined.change:
        words = (
            f"{counted_words(len(of.joined.merged), 'scan')} merged: {change.before:,} points, of "
            f"which {change.after:,} remain, one in each place"
        )
        if surface := changes.get((change.name, "reconstruct")):
            words += f". Surface: {_surface_words(surface)}"
        yield f'<p class="lead">{text_html(words)}.</p>'
        yield from (f"<p>{text_html(note)}.</p>" for note in change.notes)
    for name, why in of.joined.alone.items():
        yield f"<p>{text_html(f'{name} is not merged: {why}')}.</p>"


def _scan_block(
    scan: str,
    of: ProcessedSet,
    changes: Mapping[tuple[str, StageName], StageChange],
    done: Processed,
    out: Path,
) -> str:
    """Return the pictures of one scan in a row."""
    surface = of.surface_of(scan)
    known: dict[str, StageChange | None] = {
        "original": changes.get((scan, "filter")),
        "kept": changes.get((scan, "filter")),
        "denser": changes.get((surface, "upsample")),
        "surface": changes.get((surface, "reconstruct")),
    }
    shown = [each for each in PANEL_NAMES if each != "denser" or done.settings.upsample]
    files = dict(zip(_kinds(of.pictures.get(scan, ())), of.pictures.get(scan, ()), strict=True))
    figures = "".join(_figure(each, files.get(each), known[each], scan, out) for each in shown)
    notes = known["kept"].notes if known["kept"] is not None else ()
    warned = "".join(f'<p class="warning">{text_html(note)}</p>' for note in notes)
    return (
        f'<section><h3>{text_html(scan)}</h3>{warned}<div class="stages" '
        f'style="--columns: {len(shown)}">{figures}</div></section>'
    )


def _kinds(files: tuple[str, ...]) -> list[str]:
    """Return what the pictures show: ``kept`` of ``pictures/scan.kept.png``."""
    return [file.rsplit(".", 2)[1] for file in files]


def _figure(shown: str, file: str | None, change: StageChange | None, scan: str, out: Path) -> str:
    """Return one picture with its caption, or the caption alone if there is no picture."""
    image = ""
    if file is not None:
        try:
            data = base64.b64encode((out / file).read_bytes()).decode()
        except OSError as error:
            raise cannot(out / file, "be read", error) from error
        image = f'<img alt="{text_html(f"{scan}, {shown}")}" src="data:image/png;base64,{data}">'
    words = text_html(_caption(shown, change))
    return f"<figure>{image}<figcaption><b>{shown}</b> {words}</figcaption></figure>"


def _caption(shown: str, change: StageChange | None) -> str:
    if change is None:
        return "none"
    if shown == "surface":
        return _surface_words(change)
    points = change.before if shown == "original" else change.after
    erased = f", {change.erased:.1%} erased" if shown == "kept" else ""
    spacing = change.spacing_before_m if shown == "original" else change.spacing_m
    return f"{points:,} points{erased}, spacing {1000 * (spacing or 0):.2f} mm"


def _surface_words(change: StageChange) -> str:
    distance = 1000 * (change.distance_m or 0)
    return f"{change.triangles:,} triangles, {distance:.3f} mm to the points"
