"""Figures of chains: plots of measurements beside a published formula, and of the cost of forks.

Each drawing function returns None if the study has no data for its figure.
"""

from __future__ import annotations

from functools import partial

import numpy as np
from matplotlib.axes import Axes

from fedchain.reports.effort import forks_varied, releases_per_block, stale_blocks, until
from fedchain.reports.figures import style
from fedchain.reports.figures.axis import (
    curves,
    draw_series,
    logarithmic_axis,
    scale,
    side_by_side,
    ticks,
)
from fedchain.reports.laws import ChainLaw, Compared, compare
from fedchain.reports.study import Study, over_seeds
from fedchain.reports.words import epsilon_words, labelled, score_words, seed_words

SMOOTH = 200
"""Number of positions at which a law's curve is computed."""
DECADES = 100.0
"""A law's axis is logarithmic if its largest value divided by its smallest is above this."""
LOG_SPAN_OF_MEANS = 8.0
"""An axis of means is logarithmic if the largest divided by the smallest is at least this."""


def measured_against_law(study: Study) -> style.Drawing | None:
    """Draw measurements as points with 95 % intervals, and the law as a curve.

    If a run breaks an assumption of the law, the caption names the assumption, and no law is drawn.
    """
    found = compare(study)
    if found is None:
        return None
    law, points = found.law, found.points
    figure, ax = style.axes(2.7)
    if law.beside is not None and not found.flaw:
        label, curve = law.beside
        places = np.linspace(min(p.x for p in points), max(p.x for p in points), SMOOTH)
        heights = [curve(x) for x in places]
        ax.plot(places, heights, color=style.GREY, linestyle=":", label=label)
    for place, fixed in enumerate(dict.fromkeys(point.fixed for point in points)):
        here = [point for point in points if point.fixed == fixed]
        _draw(ax, law, here, place, curve=not found.flaw)
    heights = [point.measured.mean if found.flaw else point.formula for point in points]
    if max(heights) > DECADES * min(heights) > 0.0:
        ax.set_yscale("log")
    ax.set(xlabel=law.x, ylabel=law.y)
    if law.counts:
        style.whole_numbers(ax.xaxis)
    style.legend_below(figure, 2)
    seeds = seed_words([min(point.measured.count for point in points)])
    intervals = "with their 95 % intervals (Student's t)"
    words = f"No law is drawn, since {found.flaw}" if found.flaw else law.caption
    caption = f"{words}. Points are means over {seeds}, {intervals}."
    return style.finished(law.name, caption, figure)


def _draw(ax: Axes, law: ChainLaw, points: list[Compared], place: int, *, curve: bool) -> None:
    sign, xs, fixed = style.sign_of(place, place), [point.x for point in points], points[0].fixed
    label, measured = f"{law.fixed.format(fixed)}: measured", [p.measured for p in points]
    if curve:
        places = np.array(xs) if law.counts else np.linspace(xs[0], xs[-1], SMOOTH)
        ax.plot(places, [law.formula(x, fixed) for x in places], color=sign.colour, linewidth=0.9)
        label = f"{label}, law"
    style.draw_points(ax, xs, measured, sign, capsize=1.5, label=label)


def releases_against_stale(study: Study) -> style.Drawing | None:
    """Plot a holder's releases per block of the main chain against the share of stale blocks."""
    if not forks_varied(study):
        return None
    found = []
    for label, runs in labelled(study).items():
        stale = over_seeds(runs, stale_blocks, whole=True)
        releases = over_seeds(runs, releases_per_block, whole=True)
        if stale is not None and releases is not None:
            found.append((label, stale, releases))
    if not found:
        return None
    figure, ax = style.axes(2.9)
    shares = np.linspace(0.0, max(stale.mean for _, stale, _ in found), 100)
    words = "every block answered"
    ax.plot(shares, 1 / (1 - shares), color=style.GREY, linestyle=":", label=words)
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
    """Plot the simulated time and the epsilon spent until the score reaches the target.

    A point is left out if one of its seeds never reached the target.
    """
    if study.target is None or not study.x:
        return None
    parts = (("time_s", "simulated time (s)"), ("epsilon", epsilon_words(study, "ε spent")))
    places = ticks(study)
    drawn = [
        (words, curves(study, places, partial(until, study, name), whole=True))
        for name, words in parts
    ]
    shown = [(words, found) for words, found in drawn if any(each.curve for each in found)]
    if not shown:
        return None
    figure = style.figure(0.7 + 1.4 * len(shown))
    panels = figure.subplots(len(shown), squeeze=False, sharex=True)[:, 0]
    for ax, (words, found) in zip(panels, shown, strict=True):
        beside = side_by_side(found, places, logarithmic=logarithmic_axis(study, places))
        aside = {each.label: moved for each, moved in zip(found, beside, strict=True)}
        for each in found:
            draw_series(ax, each, aside[each.label], band=len(found) == 1)
        means = [interval.mean for each in found for interval in each.curve.values()]
        if max(means) >= LOG_SPAN_OF_MEANS * min(means) > 0.0:
            style.logarithmic(ax)
        else:
            ax.set_ylim(bottom=0)
        ax.set_ylabel(words)
    scale(panels[-1], study, places)
    style.legend_below(figure, 2)
    caption = (
        f"Until {score_words(study, study.score)} is {study.target:g} for the first time: "
        "simulated time, and what the holder with the most releases has spent of its privacy by "
        "then. Means with 95 % intervals (Student's t) over seeds; a point is left out if one of "
        "its seeds never reached the target."
    )
    return style.finished(f"effort_until_{study.score}", caption, figure)
