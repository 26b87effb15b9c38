"""Figures of one run: draws the use of gradients, heads of nodes, samples, and time by stage.

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
from matplotlib.colors import BoundaryNorm, ListedColormap
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from PIL import Image

from fedchain.errors import RunRefused
from fedchain.files import read_bytes
from fedchain.reports.figures import style
from fedchain.reports.study import Recorded, Study, finite_value

ABSENT, USED, REJECTED = 0, 1, 2
"""Fate of a holder's gradient in a round. ABSENT: the block has no message of the holder."""
FILLS = {"#FFFFFF": "in no block", style.SKY: "used", style.VERMILION: "rejected"}
"""Colour and label of each fate, in the order of ABSENT, USED and REJECTED."""
Stay = tuple[float, float, int, bool]
"""One head of a node: begin and end in simulated seconds, height, and whether the block is in the
final main chain."""
MOST_PICTURES = 6
"""Limit on the pictures in the figure."""
PIXELS = 4_000_000
"""Limit on the pixels of a picture."""
RASTERED = 2_000
"""Number of cells, dots or bars from which a figure draws them as pixels, for a small file."""
PREFIX = "seconds_"
"""Prefix of the columns of ``metrics.csv`` that hold wall time."""
NO_PICTURE = (
    OSError, ValueError, SyntaxError, EOFError, struct.error, Image.DecompressionBombError,
)  # fmt: skip
"""Errors of Pillow for damaged pictures."""
BARS = 50
"""Limit on the bars in a figure."""


def used_and_rejected(study: Study) -> style.Drawing | None:
    """Plot the fate of each holder's gradient in each round: used, rejected or absent."""
    run = study.first
    if study.kind == "sweep" or not run.messages:
        return None
    fates, attacks = holder_fates(run)
    figure, ax = style.axes(min(4.5, 1.3 + 0.09 * len(fates)))
    ax.pcolormesh(
        np.arange(0.5, fates.shape[1] + 1),
        np.arange(-0.5, len(fates)),
        fates,
        cmap=ListedColormap([*FILLS]),
        norm=BoundaryNorm([-0.5, 0.5, 1.5, 2.5], 3),
        rasterized=fates.size >= RASTERED,
    )
    holders, rounds = np.nonzero(attacks)
    dots = ax.plot(rounds + 1, holders, ".", color="black", markersize=1.8)
    dots[0].set_rasterized(len(rounds) >= RASTERED)
    ax.grid(visible=False)
    ax.set(xlabel="round", ylabel="data holder")
    for axis in (ax.xaxis, ax.yaxis):
        style.whole_numbers(axis)
    ax.invert_yaxis()
    fills = [
        Patch(facecolor=colour, edgecolor="#999999", linewidth=0.5, label=words)
        for colour, words in FILLS.items()
    ]
    dot = Line2D([], [], color="black", marker=".", markersize=3, linestyle="", label="attack")
    style.legend_below(figure, 4, [*fills[1:], fills[0], dot])
    caption = (
        "Each holder's gradient in each round: used by the aggregation rule, rejected by it, or in "
        "no block of the main chain. A dot marks a gradient that an attack made."
    )
    return style.finished("used_and_rejected", caption, figure)


def holder_fates(run: Recorded) -> tuple[npt.NDArray[np.int8], npt.NDArray[np.bool_]]:
    """Return the fate of each holder's gradient in each round.

    Returns:
        Two arrays of shape (holders, rounds): the fate (``ABSENT``, ``USED`` or ``REJECTED``), and
        whether an attack made the gradient.
    """
    blocks = {int(row["round"]): row["block"] for row in run.metrics}
    messages = [row for row in run.messages if row["members"]]  # without the public root
    holders = 1 + max(int(row["holder"]) for row in messages)
    fates = np.zeros((holders, max(blocks)), dtype=np.int8)
    attacks = np.zeros(fates.shape, dtype=np.bool_)
    for row in messages:
        cell = int(row["holder"]), int(row["round"]) - 1
        if cell[1] >= fates.shape[1]:
            continue
        attacks[cell] |= bool(row["attack"])
        if row["block"] == blocks.get(cell[1] + 1):
            fates[cell] = USED if row["used"] else REJECTED
    return fates, attacks


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
            rasterized=len(bars) >= RASTERED,
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
    """Plot the pictures in ``samples/``, one below the other."""
    files = sorted((study.first.folder / "samples").glob("*.png"))[:MOST_PICTURES]
    if study.kind == "sweep" or not files:
        return None
    pictures = [_read(file) for file in files]
    heights = [0.22 + style.WIDTH_IN * p.shape[0] / p.shape[1] for p in pictures]
    figure = style.figure(sum(heights))
    rows = figure.subplots(len(files), squeeze=False, height_ratios=heights)[:, 0]
    for ax, file, picture in zip(rows, files, pictures, strict=True):
        ax.imshow(picture, interpolation="nearest")
        ax.set_title(file.stem.replace("_", " "), pad=2)
        ax.set_axis_off()
    caption = (
        "Held-out samples: intensity and depth as scanned, the truth, what the model keeps, and "
        "its errors (orange: should be erased; yellow: should be kept)."
    )
    return style.finished("samples", caption, figure)


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
    """Plot the wall time of each round, stacked by stage."""
    rows = study.first.metrics
    stages = {key for row in rows for key in row if key.startswith(PREFIX)}
    if study.kind == "sweep" or not stages:
        return None
    spent = {s: np.array([finite_value(row, s) or 0.0 for row in rows]) for s in stages}
    width = -(-len(rows) // BARS)  # rounds per bar
    starts = np.arange(0, len(rows), width)
    sizes = np.diff(np.append(starts, len(rows)))
    centres = np.add.reduceat([float(row["round"]) for row in rows], starts) / sizes
    below = np.zeros(len(starts))
    figure, ax = style.axes(2.7)
    order = sorted(spent, key=lambda s: (-float(spent[s].sum()), s))
    for place, stage in enumerate(order):
        height = np.add.reduceat(spent[stage], starts) / sizes
        ax.bar(
            centres,
            height,
            width=0.9 * width,
            bottom=below,
            color=style.STAGE_COLOURS[place % len(style.STAGE_COLOURS)],
            label=stage.removeprefix(PREFIX).replace("_", " "),
        )
        below += height
    ax.grid(visible=False, axis="x")
    ax.set(xlabel="round", ylabel="wall time (s)")
    style.whole_numbers(ax.xaxis)
    style.legend_below(figure, 3)
    grouped = f"; each bar is the mean of {width} rounds" if width > 1 else ""
    return style.finished("time_per_round", f"Wall time of each round by stage{grouped}.", figure)
