"""Figure of the heads of compute nodes over time, while a network is partitioned and heals."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from fedchain.reports.figures.style import (
    LINES,
    PALETTE,
    SKY,
    VERMILION,
    WIDTH_IN,
    Drawing,
    finished,
    legend_below,
    styled,
)
from fedchain.reports.study import Recorded, Study

Stay = tuple[float, float, int, bool]
"""Begin and end in simulated seconds, height of the head, and whether that block stays."""


def heads_over_time(study: Study) -> Drawing | None:
    """Draw the height of each node's head over time, and whether it is on the final main chain."""
    run = study.first
    if study.kind == "sweep" or not run.heads:
        return None
    nodes = sorted({int(row["node"]) for row in run.heads})
    stays = {node: list(stays_of(run, node)) for node in nodes}
    apart = run.manifest["scenario"]["gossip"]["partitions"]
    with styled():
        figure = Figure(figsize=(WIDTH_IN, 2.4 + 0.14 * len(nodes)), layout="constrained")
        above, below = figure.subplots(2, sharex=True, height_ratios=(1.4, 0.3 + 0.1 * len(nodes)))
        for style, (node, own) in enumerate(stays.items()):
            above.stairs(
                [height for _, _, height, _ in own],
                np.array([own[0][0], *(until for _, until, _, _ in own)]),
                baseline=None,
                color=PALETTE[style % len(PALETTE)],
                linestyle=LINES[style % len(LINES)],
                linewidth=1.0,
            )
            bars = [(since, until - since) for since, until, _, _ in own]
            below.broken_barh(
                bars,
                (node - 0.4, 0.8),
                facecolors=[SKY if kept else VERMILION for _, _, _, kept in own],
                rasterized=len(bars) > 2_000,
            )
        for ax in (above, below):
            for edge in (edge for each in apart for edge in (each["from_s"], each["to_s"])):
                ax.axvline(edge, color="black", linestyle="-.", linewidth=0.8)
        above.set_ylabel("height of the head")
        below.set(xlabel="simulated time (s)", ylabel="compute node")
        below.yaxis.set_major_locator(MaxNLocator(integer=True))
        below.grid(visible=False)
        key = [
            Patch(facecolor=SKY, label="head on the chain that stays"),
            Patch(facecolor=VERMILION, label="head that becomes stale"),
        ]
        edge = Line2D(
            [], [], color="black", linestyle="-.", linewidth=0.8, label="falls apart, heals"
        )
        legend_below(figure, 2, [*key, *([edge] if apart else [])])
    caption = (
        "The head of each compute node over simulated time: above its height, a line a node; "
        "below whether it is a block of the chain that is there at the end."
    )
    return finished("heads_over_time", caption, figure)


def stays_of(run: Recorded, node: int) -> Iterator[Stay]:
    """Yield the stay of a node at each of its heads, up to the last change of any node's head."""
    main = {row["block"] for row in run.metrics}
    own: list[dict[str, Any]] = [row for row in run.heads if row["node"] == node]
    end = max(float(row["time_s"]) for row in run.heads)
    until = [*(float(row["time_s"]) for row in own[1:]), end]
    for row, last in zip(own, until, strict=True):
        yield float(row["time_s"]), last, int(row["round"]), row["block"] in main
