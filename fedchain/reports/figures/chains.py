"""Figures of sweeps of chains: measurements beside a published law, and the cost of forks."""

from __future__ import annotations

from functools import partial

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from fedchain.reports.effort import forks_varied, over, releases_per_block, stale_blocks, until
from fedchain.reports.figures import style
from fedchain.reports.figures.axis import curves, draw_curve, scale, ticks
from fedchain.reports.laws import ChainLaw, Compared, compare
from fedchain.reports.study import Study
from fedchain.reports.words import epsilon_words, group_words, metric_words

SMOOTH = 200
"""Number of positions at which a law's curve is computed."""
DECADES = 100.0
"""A vertical axis is logarithmic above this ratio of a law's largest to its smallest value."""
LOG_SPAN_OF_MEANS = 8.0
"""A vertical axis is logarithmic from this ratio of the largest to the smallest mean."""


def measured_against_law(study: Study) -> style.Drawing | None:
    """Draw measurements as points with 95 % intervals, and the law as a curve."""
    found = compare(study)
    if found is None:
        return None
    law, points = found
    with style.styled():
        figure, ax = style.axes(2.7)
        if law.beside is not None:
            places = np.linspace(min(p.x for p in points), max(p.x for p in points), SMOOTH)
            words, curve = law.beside
            ax.plot(
                places, [curve(x) for x in places], color=style.GREY, linestyle=":", label=words
            )
        for place, fixed in enumerate(dict.fromkeys(point.fixed for point in points)):
            _draw(ax, law, [point for point in points if point.fixed == fixed], place)
        heights = [point.formula for point in points]
        if max(heights) > DECADES * min(heights) > 0.0:
            ax.set_yscale("log")
        ax.set(xlabel=law.x, ylabel=law.y)
        if law.counts:
            ax.xaxis.set_major_locator(MaxNLocator(integer=True))
        style.legend_below(figure, 2)
    seeds = min(point.measured.count for point in points)
    caption = (
        f"{law.caption}. Points are means over {seeds} seed{'s' if seeds > 1 else ''}, with their "
        "95 % intervals (Student's t)."
    )
    return style.finished(law.name, caption, figure)


def _draw(ax: Axes, law: ChainLaw, points: list[Compared], place: int) -> None:
    sign, xs = style.sign_of(place, place), [point.x for point in points]
    places = np.array(xs) if law.counts else np.linspace(xs[0], xs[-1], SMOOTH)
    ax.plot(
        places, [law.formula(x, points[0].fixed) for x in places], color=sign.colour, linewidth=0.9
    )
    label = f"{law.fixed.format(points[0].fixed)}: measured, law"
    measured = [point.measured for point in points]
    style.draw_points(ax, xs, measured, sign, capsize=1.5, label=label)


def releases_against_stale(study: Study) -> style.Drawing | None:
    """Draw a holder's releases per block of the main chain against the share s of stale blocks.

    A holder that answers every block releases 1 / (1 - s) times for each block of the main chain.
    """
    if not forks_varied(study):
        return None
    found = []
    for values, runs in study.groups().items():
        stale, releases = over(runs, stale_blocks), over(runs, releases_per_block)
        if stale is not None and releases is not None:
            found.append((group_words(study.keys, values, study.blocks), stale, releases))
    if not found:
        return None
    with style.styled():
        figure, ax = style.axes(2.9)
        shares = np.linspace(0.0, max(stale.mean for _, stale, _ in found), 100)
        ax.plot(
            shares, 1 / (1 - shares), color=style.GREY, linestyle=":", label="every block answered"
        )
        for place, (label, stale, releases) in enumerate(sorted(found, key=lambda f: f[1].mean)):
            sign, wide = style.sign_of(place, place), [style.drawn_half(stale)]
            style.draw_points(ax, [stale.mean], [releases], sign, xerr=wide, label=label)
        ax.set(xlabel="stale share of all blocks, s", ylabel="releases per holder and block")
        style.legend_below(figure, 2)
    caption = (
        "Releases of a holder for each block of the main chain, against the share of blocks that "
        "became stale: means with 95 % intervals (Student's t) over seeds. Dotted is 1 / (1 - s), "
        "for a holder that answers every block; 1 is a holder that wastes nothing."
    )
    return style.finished("releases_against_stale_share", caption, figure)


def effort_until_target(study: Study) -> style.Drawing | None:
    """Draw the simulated time and the epsilon spent until the score reaches the target.

    A point is left out if one of its seeds never reached the target: the mean over the others
    would be too good.
    """
    target = study.target
    if target is None or study.x is None:
        return None
    parts = (("time_s", "simulated time (s)"), ("epsilon", epsilon_words(study, "ε spent")))
    places = ticks(study)
    shown = []
    for column, words in parts:
        measured = curves(study, places, partial(until, study, column))
        if any(each.curve for each in measured):
            shown.append((words, measured))
    if not shown:
        return None
    with style.styled():
        figure = Figure(figsize=(style.WIDTH_IN, 0.7 + 1.4 * len(shown)), layout="constrained")
        panels = figure.subplots(len(shown), squeeze=False, sharex=True)[:, 0]
        for ax, (words, measured) in zip(panels, shown, strict=True):
            for each in measured:
                draw_curve(ax, each)
            means = [found.mean for each in measured for _, found in each.curve]
            if max(means) >= LOG_SPAN_OF_MEANS * min(means) > 0.0:
                style.logarithmic(ax)
            else:
                ax.set_ylim(bottom=0)
            ax.set_ylabel(words)
        scale(panels[-1], study, places)
        style.legend_below(figure, 2)
    caption = (
        f"Until {metric_words(study.score)} is {target:g} for the first time: simulated time, and "
        "what the holder with the most releases has spent of its privacy by then. Means with "
        "95 % intervals (Student's t) over seeds; points of which a seed never came there are "
        "left out."
    )
    return style.finished(f"effort_until_{study.score}", caption, figure)
