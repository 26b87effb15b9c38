"""Figure of the wall time of each round, by stage."""

from __future__ import annotations

import numpy as np
from matplotlib.ticker import MaxNLocator

from fedchain.reports.figures.style import STAGES, Drawing, axes, finished, legend_below, styled
from fedchain.reports.study import Study, number

PREFIX = "seconds_"
"""Prefix of the columns of metrics.csv that hold wall time."""
BARS = 50
"""Most bars in one figure: longer runs show the mean of neighbouring rounds."""


def time_per_round(study: Study) -> Drawing | None:
    """Draw the wall time of each round, stacked by stage, the most expensive stage lowest."""
    rows = study.first.metrics
    stages = {key for row in rows for key in row if key.startswith(PREFIX)}
    if study.kind == "sweep" or not stages:
        return None
    spent = {s: np.array([number(row, s) or 0.0 for row in rows]) for s in stages}
    width = -(-len(rows) // BARS)
    starts = np.arange(0, len(rows), width)
    sizes = np.diff(np.append(starts, len(rows)))
    centres = np.add.reduceat([float(row["round"]) for row in rows], starts) / sizes
    below = np.zeros(len(starts))
    with styled():
        figure, ax = axes(2.7)
        order = sorted(spent, key=lambda s: (-float(spent[s].sum()), s))
        for place, stage in enumerate(order):
            height = np.add.reduceat(spent[stage], starts) / sizes
            ax.bar(
                centres,
                height,
                width=0.9 * width,
                bottom=below,
                color=STAGES[place % len(STAGES)],
                label=stage.removeprefix(PREFIX).replace("_", " "),
            )
            below += height
        ax.grid(visible=False, axis="x")
        ax.set(xlabel="round", ylabel="wall time (s)")
        ax.xaxis.set_major_locator(MaxNLocator(integer=True))
        legend_below(figure, 3)
    grouped = f"; each bar is the mean of {width} rounds" if width > 1 else ""
    return finished("time_per_round", f"Wall time of each round by stage{grouped}.", figure)
