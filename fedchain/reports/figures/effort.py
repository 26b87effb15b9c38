"""Figures of what forks cost a learning run: releases, and time and epsilon until a score."""

from __future__ import annotations

from functools import partial

import numpy as np
from matplotlib.figure import Figure

from fedchain.reports.effort import forks_varied, over, releases_per_block, stale_blocks, until
from fedchain.reports.figures.axis import curves, draw_curve, scale, ticks
from fedchain.reports.figures.style import (
    GREY,
    MARKERS,
    PALETTE,
    WIDTH_IN,
    Drawing,
    axes,
    drawn_half,
    finished,
    legend_below,
    logarithmic,
    styled,
)
from fedchain.reports.study import Study
from fedchain.reports.words import epsilon_words, group_words, metric_words

DECADE = 8.0
"""Ratio of the largest to the least mean from which an axis is logarithmic."""


def releases_against_stale(study: Study) -> Drawing | None:
    """Draw the releases of a holder for each block against the share of stale blocks.

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
    with styled():
        figure, ax = axes(2.9)
        shares = np.linspace(0.0, max(stale.mean for _, stale, _ in found), 100)
        ax.plot(shares, 1 / (1 - shares), color=GREY, linestyle=":", label="every block answered")
        for style, (label, stale, releases) in enumerate(sorted(found, key=lambda f: f[1].mean)):
            ax.errorbar(
                stale.mean,
                releases.mean,
                xerr=drawn_half(stale),
                yerr=drawn_half(releases),
                fmt=MARKERS[style % len(MARKERS)],
                color=PALETTE[style % len(PALETTE)],
                elinewidth=0.8,
                label=label,
            )
        ax.set(xlabel="stale share of all blocks, s", ylabel="releases per holder and block")
        legend_below(figure, 2)
    caption = (
        "Releases of a holder for each block of the main chain, against the share of blocks that "
        "became stale: means with 95 % intervals (Student's t) over seeds. Dotted is 1 / (1 - s), "
        "for a holder that answers every block; 1 is a holder that wastes nothing."
    )
    return finished("releases_against_stale_share", caption, figure)


def effort_until_target(study: Study) -> Drawing | None:
    """Draw the simulated time, and the epsilon spent, until the score has reached the target.

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
    with styled():
        figure = Figure(figsize=(WIDTH_IN, 0.7 + 1.4 * len(shown)), layout="constrained")
        panels = figure.subplots(len(shown), squeeze=False, sharex=True)[:, 0]
        for ax, (words, measured) in zip(panels, shown, strict=True):
            for each in measured:
                draw_curve(ax, each)
            means = [found.mean for each in measured for _, found in each.curve]
            if max(means) >= DECADE * min(means) > 0.0:
                logarithmic(ax)
            else:
                ax.set_ylim(bottom=0)
            ax.set_ylabel(words)
        scale(panels[-1], study, places)
        legend_below(figure, 2)
    caption = (
        f"Until {metric_words(study.score)} is {target:g} for the first time: simulated time, and "
        "what the holder with the most releases has spent of its privacy by then. Means with "
        "95 % intervals (Student's t) over seeds; points of which a seed never came there are "
        "left out."
    )
    return finished(f"effort_until_{study.score}", caption, figure)
