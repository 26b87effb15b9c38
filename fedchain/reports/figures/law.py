"""Figure of what a sweep of chains measured, beside the published law."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from fedchain.reports.comparison import Compared, Law, compare
from fedchain.reports.figures.style import (
    GREY,
    MARKERS,
    PALETTE,
    Drawing,
    axes,
    drawn_half,
    finished,
    legend_below,
    styled,
)
from fedchain.reports.study import Study

SMOOTH = 200
"""Number of places between the first and the last point at which a law is drawn."""
DECADES = 100.0
"""Ratio of the largest to the least value from which the axis is logarithmic."""


def measured_against_law(study: Study) -> Drawing | None:
    """Draw measurements as points with 95 % intervals, and the law as a curve."""
    found = compare(study)
    if found is None:
        return None
    law, points = found
    with styled():
        figure, ax = axes(2.7)
        if law.beside is not None:
            places = np.linspace(min(p.x for p in points), max(p.x for p in points), SMOOTH)
            words, curve = law.beside
            ax.plot(places, [curve(x) for x in places], color=GREY, linestyle=":", label=words)
        for style, fixed in enumerate(dict.fromkeys(point.fixed for point in points)):
            _draw(ax, law, [point for point in points if point.fixed == fixed], style)
        heights = [point.formula for point in points]
        if max(heights) > DECADES * min(heights) > 0.0:
            ax.set_yscale("log")
        ax.set(xlabel=law.x, ylabel=law.y)
        if law.counts:
            ax.xaxis.set_major_locator(MaxNLocator(integer=True))
        legend_below(figure, 2)
    seeds = min(point.measured.count for point in points)
    caption = (
        f"{law.caption}. Points are means over {seeds} seed{'s' if seeds > 1 else ''}, with their "
        "95 % intervals (Student's t)."
    )
    return finished(law.name, caption, figure)


def _draw(ax: Axes, law: Law, points: list[Compared], style: int) -> None:
    colour, xs = PALETTE[style % len(PALETTE)], [point.x for point in points]
    places = np.array(xs) if law.counts else np.linspace(xs[0], xs[-1], SMOOTH)
    ax.plot(places, [law.formula(x, points[0].fixed) for x in places], color=colour, linewidth=0.9)
    ax.errorbar(
        xs,
        [point.measured.mean for point in points],
        [drawn_half(point.measured) for point in points],
        fmt=MARKERS[style % len(MARKERS)],
        color=colour,
        elinewidth=0.8,
        capsize=1.5,
        label=f"{law.fixed.format(points[0].fixed)}: measured, law",
    )
