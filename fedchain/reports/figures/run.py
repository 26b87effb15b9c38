"""Figures of one run: draws the heads of nodes, samples, and time by stage.

Each drawing function returns None if the study has no data for its figure.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from PIL import Image

from fedchain.errors import RunRefused
from fedchain.files import read_bytes
from fedchain.reports.figures import style
from fedchain.reports.figures.paper import width
from fedchain.reports.study import Recorded, Study, finite_value
from fedchain.scans.pictures import ERRORS, PANEL_HEADS, panels_of

Stay = tuple[float, float, int, bool]
"""One head of a node: begin and end in simulated seconds, height, and whether the block is in the
final main chain."""
MOST_PICTURES = 6
"""Limit on the pictures in the figure."""
PIXELS = 4_000_000
"""Limit on the pixels of a picture."""
PREFIX = "seconds_"
"""Prefix of the columns of ``metrics.csv`` that hold wall time."""
NO_PICTURE = (
    OSError, ValueError, SyntaxError, EOFError, struct.error, Image.DecompressionBombError,
)  # fmt: skip
"""Errors of Pillow for damaged pictures."""
BARS = 50
"""Limit on the bars in a figure."""
MOST_STAGES, LEAST_SHARE = 4, 0.03
"""Limit on the stages that have a colour of their own, and their least share of all wall time."""


def heads_over_time(study: Study) -> style.Drawing | None:
    """Plot the height of each node's head over time, and whether the head becomes stale."""
    run = study.first
    if study.kind == "sweep" or not run.heads:
        return None
    nodes = sorted({int(row["node"]) for row in run.heads})
    stays = {node: list(stays_of(run, node)) for node in nodes}
    apart = run.manifest["scenario"]["gossip"]["partitions"]
    figure = style.figure(2.4 + 0.14 * len(nodes))
    above, below = figure.subplots(2, sharex=True, height_ratios=(1.4, 0.3 + 0.1 * len(nodes)))
    for place, (node, own) in enumerate(stays.items()):
        sign, heights = style.sign_of(place, place), [height for _, _, height, _ in own]
        steps = above.stairs(
            heights, [own[0][0], *(until for _, until, _, _ in own)], baseline=None
        )
        steps.set(color=sign.colour, linestyle=sign.line, linewidth=1.0)
        bars = [(since, until - since) for since, until, _, _ in own]
        below.broken_barh(
            bars,
            (node - 0.4, 0.8),
            facecolors=[style.SKY if kept else style.VERMILION for _, _, _, kept in own],
            rasterized=len(bars) >= style.RASTERED,
        )
    look = {"color": "black", "linestyle": "-.", "linewidth": 0.8, "label": "falls apart, heals"}
    edges = [edge for each in apart for edge in (each["from_s"], each["to_s"])]
    cuts = [ax.axvline(edge, **look) for ax in (above, below) for edge in edges]
    above.set_ylabel("height of the head")
    below.set(xlabel="simulated time (s)", ylabel="compute node")
    style.whole_numbers(below.yaxis)
    below.grid(visible=False)
    stays_there = Patch(facecolor=style.SKY, label="head on the chain that stays")
    becomes_stale = Patch(facecolor=style.VERMILION, label="head that becomes stale")
    style.legend_below(figure, 2, [stays_there, becomes_stale, *cuts[:1]])
    caption = (
        "The head of each compute node over simulated time: above its height, a line a node; "
        "below whether it is a block of the chain that is there at the end."
    )
    return style.finished("heads_over_time", caption, figure)


def stays_of(run: Recorded, node: int) -> Iterator[Stay]:
    """Yield the heads of a node in the order of time."""
    main = {row["block"] for row in run.metrics}
    own: list[dict[str, Any]] = [row for row in run.heads if row["node"] == node]
    end = max(float(row["time_s"]) for row in run.heads)
    until = [*(float(row["time_s"]) for row in own[1:]), end]
    for row, last in zip(own, until, strict=True):
        yield float(row["time_s"]), last, int(row["round"]), row["block"] in main


def samples(study: Study) -> style.Drawing | None:
    """Plot the pictures in ``samples/``, one below the other, with a heading on each column."""
    files = sorted((study.first.folder / "samples").glob("*.png"))[:MOST_PICTURES]
    if study.kind == "sweep" or not files:
        return None
    pictures = [_read(file) for file in files]
    masks = all(panels_of(picture) is not None for picture in pictures)
    rows = [panels_of(p) or [p] for p in pictures] if masks else [[p] for p in pictures]
    heights = [0.16 + width() * p.shape[0] / p.shape[1] for p in pictures]
    figure = style.figure(sum(heights) + (0.5 if masks else 0.0))
    shape = figure.subplots(len(rows), len(rows[0]), squeeze=False, height_ratios=heights)
    for line, file, panels in zip(shape, files, rows, strict=True):
        for ax, panel in zip(line, panels, strict=True):
            ax.imshow(panel, interpolation="nearest")
            ax.set_axis_off()
        line[0].set_title(file.stem.replace("_", " "), pad=2, loc="left", fontsize=6.5)
    caption = "Held-out samples."
    if masks:
        _name_panels(figure, shape[0])
        caption = (
            "Held-out samples: intensity and depth as scanned, the points that are right to keep, "
            "the points that the model keeps, and where the two differ."
        )
    return style.finished("samples", caption, figure)


def _name_panels(figure: Figure, first: npt.NDArray[Any]) -> None:
    """Write a heading above each column of panels, and say what the colours of errors mean."""
    for ax, words in zip(first, PANEL_HEADS, strict=True):
        ax.annotate(
            words, (0.5, 1), (0, 11), xycoords="axes fraction", textcoords="offset points",
            ha="center", fontsize=7.5,
        )  # fmt: skip
    handles = [Patch(color=f"#{bytes(rgb).hex()}", label=words) for words, rgb in ERRORS.items()]
    style.legend_below(figure, 2, handles)


def _read(file: Path) -> npt.NDArray[np.uint8]:
    try:
        with Image.open(io.BytesIO(read_bytes(file)), formats=["PNG"]) as picture:
            if picture.width * picture.height > PIXELS:
                size = f"{picture.width} x {picture.height}"
                raise RunRefused(f"{file}: more than {PIXELS} pixels, got {size}")
            return np.asarray(picture.convert("RGB"))
    except NO_PICTURE as error:
        raise RunRefused(f"{file}: not a picture that can be read: {error}") from error


def time_per_round(study: Study) -> style.Drawing | None:
    """Plot the wall time of each round, stacked by stage; short stages are one colour together."""
    rows = study.first.metrics
    stages = {key for row in rows for key in row if key.startswith(PREFIX)}
    if study.kind == "sweep" or not stages:
        return None
    spent = _long_stages(
        {s: np.array([finite_value(row, s) or 0.0 for row in rows]) for s in stages}
    )
    whole = sum(float(seconds.sum()) for seconds in spent.values())
    width = -(-len(rows) // BARS)  # rounds per bar
    starts = np.arange(0, len(rows), width)
    sizes = np.diff(np.append(starts, len(rows)))
    centres = np.add.reduceat([float(row["round"]) for row in rows], starts) / sizes
    below = np.zeros(len(starts))
    figure, ax = style.axes(2.7)
    for (stage, seconds), colour in zip(spent.items(), style.STAGE_COLOURS, strict=False):
        height = np.add.reduceat(seconds, starts) / sizes
        share = f"{seconds.sum() / whole:.0%}" if whole else "0%"
        ax.bar(
            centres, height, width=0.9 * width, bottom=below, color=colour, label=f"{stage} {share}"
        )
        below += height
    ax.grid(visible=False, axis="x")
    ax.set(xlabel="round", ylabel="wall time (s)")
    style.whole_numbers(ax.xaxis)
    style.legend_below(figure, 3)
    grouped = f"; each bar is the mean of {width} rounds" if width > 1 else ""
    caption = f"Wall time of each round by stage, with its share of all rounds{grouped}."
    return style.finished("time_per_round", caption, figure)


def _long_stages(spent: dict[str, npt.NDArray[np.float64]]) -> dict[str, npt.NDArray[np.float64]]:
    """Return the wall time by name of stage, longest first, with the short stages added up."""
    order = sorted(spent, key=lambda s: (-float(spent[s].sum()), s))
    least = LEAST_SHARE * sum(float(seconds.sum()) for seconds in spent.values())
    own = [s for s in order[:MOST_STAGES] if float(spent[s].sum()) >= least]
    short = [s for s in order if s not in own]
    named = {_stage_words(s): spent[s] for s in own}
    if short:
        words = _stage_words(short[0]) if len(short) == 1 else f"{len(short)} others"
        named[words] = np.sum([spent[s] for s in short], axis=0)
    return named


def _stage_words(column: str) -> str:
    return column.removeprefix(PREFIX).replace("_", " ")
