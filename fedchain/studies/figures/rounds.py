"""What changes from round to round: a metric, and the privacy spent."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from fedchain.studies.figures.style import (
    GREY,
    LINES,
    MARKERS,
    PALETTE,
    Drawing,
    axes,
    finished,
    legend_below,
    logarithmic,
    styled,
)
from fedchain.studies.statistics import Interval, interval
from fedchain.studies.study import Recorded, Study, best_baseline, number
from fedchain.studies.words import baseline_words, epsilon_words, group_words, metric_words

MARKED = 8
"""Markers on one line: enough to tell lines apart, few enough to see them."""


def metric_over_rounds(study: Study, metric: str) -> Drawing | None:
    """Draw a metric against the round, a line a group of seeds with its 95 % interval."""
    curves = _curves(study, metric)
    if not any(len(curve) > 1 for curve in curves.values()):
        return None
    with styled():
        figure, ax = axes(2.7)
        _draw(ax, curves)
        baseline = best_baseline(study, metric)
        if baseline is not None:
            words = baseline_words(baseline[0])
            ax.axhline(baseline[1], color=GREY, linestyle=":", linewidth=1.2, label=words)
        _mark_attacks(ax, study.first.manifest)
        ax.set_ylabel(metric_words(metric))
        legend_below(figure, 2)
    caption = f"{metric_words(metric)} on held-out data after each round{_band_words(study)}."
    return finished(f"{metric}_over_rounds", caption, figure)


def epsilon_over_rounds(study: Study) -> Drawing | None:
    """Draw the privacy spent by the worst holder against the round, and the budget."""
    curves = _curves(study, "epsilon")
    if not curves:
        return None
    with styled():
        figure, ax = axes(2.5)
        _draw(ax, curves)
        budget = _budget(study)
        if budget is not None:
            ax.axhline(budget, color=GREY, linestyle="--", linewidth=1.0, label="budget")
        if study.kind == "sweep" and len(curves) > 1:
            logarithmic(ax)
        else:
            ax.set_ylim(bottom=0)
        ax.set_ylabel(epsilon_words(study, "ε spent"))
        legend_below(figure, 3)
    caption = (
        "Privacy spent so far by the holder with the most releases: tight total over its releases"
        f"{_band_words(study)}."
    )
    return finished("epsilon_over_rounds", caption, figure)


def _curves(study: Study, metric: str) -> dict[str, dict[int, Interval]]:
    curves = {}
    for values, runs in study.groups().items():
        curve = _curve(runs, metric)
        if curve:
            curves[group_words(study.keys, values)] = curve
    return curves


def _curve(runs: list[Recorded], metric: str) -> dict[int, Interval]:
    found: dict[int, list[float]] = {}
    for run in runs:
        for row in run.metrics:
            value = number(row, metric)
            if value is not None:
                found.setdefault(int(row["round"]), []).append(value)
    whole = max((len(values) for values in found.values()), default=0)
    return {t: interval(found[t]) for t in sorted(found) if len(found[t]) == whole}


def _draw(ax: Axes, curves: Mapping[str, Mapping[int, Interval]]) -> None:
    for style, (label, curve) in enumerate(curves.items()):
        colour = PALETTE[style % len(PALETTE)]
        ax.plot(
            list(curve),
            [i.mean for i in curve.values()],
            color=colour,
            linestyle=LINES[style % len(LINES)],
            marker=MARKERS[style % len(MARKERS)],
            markevery=max(1, math.ceil(len(curve) / MARKED)),
            label=label or "_this run",
        )
        banded = {t: i for t, i in curve.items() if math.isfinite(i.half)}
        low, high = [i.low for i in banded.values()], [i.high for i in banded.values()]
        ax.fill_between(list(banded), low, high, color=colour, alpha=0.18, linewidth=0)
    ax.set_xlabel("round")
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))


def _mark_attacks(ax: Axes, manifest: Mapping[str, Any]) -> None:
    starts: dict[int, list[str]] = {}
    for attack in manifest.get("scenario", {}).get("attacks", []):
        starts.setdefault(int(attack.get("from_round", 1)), []).append(str(attack["kind"]))
    for start, kinds in starts.items():
        if start > 1:
            words = f"{', '.join(dict.fromkeys(kinds)).replace('_', ' ')} begins"
            ax.axvline(start, color="black", linestyle="-.", linewidth=0.8, label=words)


def _budget(study: Study) -> float | None:
    if study.kind == "sweep":
        return None
    return number(study.first.manifest.get("scenario", {}).get("privacy", {}), "epsilon")


def _band_words(study: Study) -> str:
    repeated = any(len(runs) > 1 for runs in study.groups().values())
    return "; bands are 95 % intervals (Student's t) over seeds" if repeated else ""
