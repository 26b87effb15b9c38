"""Figure of a sweep: draws a metric against a grid key, such as the score against epsilon."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, NullLocator

from fedchain.reports.figures import style
from fedchain.reports.study import (
    EPSILON,
    GridValue,
    GridValues,
    Reading,
    Study,
    best_baseline,
    final,
    over_seeds,
    without,
)
from fedchain.reports.words import (
    baseline_words,
    epsilon_words,
    group_words,
    key_words,
    seed_words,
    value_words,
)
from fedchain.results.finding import metric_words
from fedchain.statistics import Interval

LEGEND_LINE_IN = 0.13
"""Height of a legend's line, inches."""
BESIDE = 1.03
"""Ratio of neighbouring horizontal positions if several curves have a point at infinity."""
LOG_SPAN = 20.0
"""An axis is logarithmic if its largest value divided by its smallest is at least this number."""
MOST_TICKS = 9
"""Maximum number of values written at the axis."""


@dataclass(frozen=True, kw_only=True)
class Series:
    """A curve along the axis, for one combination of values of the other grid keys."""

    rest: GridValues
    """The combination: a value for each grid key that is not on the axis."""
    label: str
    """The combination in words; empty if all grid keys are on the axis."""
    sign: style.Sign
    """Colour, marker and dashes of the curve."""
    curve: style.Curve
    """Means with their 95 % intervals, by position on the axis."""
    beyond: Interval | None
    """Mean with its 95 % interval at the grid value infinity; None without this value."""


def metric_against_axis(study: Study) -> style.Drawing | None:
    """Plot the score against the grid key on the axis; None if the study has no data for it."""
    if study.x not in study.keys:
        return None
    places = ticks(study)
    drawn = curves(study, places, partial(final, metric=study.score))
    found = [each for each in drawn if each.curve or each.beyond]
    if not found:
        return None
    if len(found) > 1 and places and any(each.beyond for each in found):
        places[math.inf] = _right_of(study, places)
    legend = _legend(study, found)
    figure, ax = style.axes(2.6 + LEGEND_LINE_IN * max(0, len(legend) // 2 - 2))
    for number, each in enumerate(found):
        draw_series(ax, each)
        if each.beyond is not None and math.inf in places:
            right = places[math.inf] * BESIDE ** (number - len(found) / 2)
            style.draw_points(ax, [right], [each.beyond], each.sign)
        elif each.beyond is not None:
            _draw_level(ax, each.beyond, style.PALETTE[1])
    draw_baseline(ax, study, study.score)
    scale(ax, study, places)
    ax.set_ylabel(metric_words(study.score))
    others = [line for line in ax.lines if line.get_linestyle() == ":"][-1:]
    style.legend_below(figure, 2, [*legend, *others] if len(found) > 1 else ())
    last = "epsilon" if study.x == EPSILON else re.sub(r"[.\[\]]+", "_", study.x)
    counts = [len(runs) for runs in study.groups().values()]
    caption = (
        f"{metric_words(study.score)} after the last round against {key_words(study.x)}: mean "
        f"over {seed_words(counts)}, with the 95 % interval (Student's t) as a band. "
        "The dotted line is the best baseline, which needs no data holder."
    )
    return style.finished(f"{study.score}_against_{last}", caption, figure)


def _legend(study: Study, found: Sequence[Series]) -> list[Artist]:
    signs = {each.label: each.sign for each in found}
    others = without(study.keys, study.axis)
    if len(others) >= 2:  # one entry for each colour and for each marker, not for each curve
        place = _coloured([each.rest for each in found])
        key, left = others[place : place + 1], without(others, place)
        hues = {each.rest[place]: each.sign.colour for each in found}
        kinds = {without(each.rest, place): each.sign for each in found}
        signs = {
            group_words(key, (value,), study.blocks): style.Sign(colour, "", "-")
            for value, colour in hues.items()
        }
        signs |= {
            group_words(left, rest, study.blocks): style.Sign(style.GREY, sign.marker, sign.line)
            for rest, sign in kinds.items()
        }
    return [Line2D([], [], label=label, **sign.look) for label, sign in signs.items()]


def ticks(study: Study) -> dict[GridValue, float]:
    """Return the position of each value on the axis. Infinity is left out."""
    values = list(dict.fromkeys(run.values[study.axis] for run in study.runs))
    if all(isinstance(v, float) for v in values):
        return {v: v for v in sorted(v for v in values if isinstance(v, float)) if math.isfinite(v)}
    return {value: float(place) for place, value in enumerate(values)}


def curves(
    study: Study,
    places: dict[GridValue, float],
    measure: Reading,
    *,
    whole: bool = False,
) -> list[Series]:
    """Return a curve for each combination of values of the grid keys that are not on the axis.

    ``measure`` and ``whole`` are as in ``over_seeds``.
    """
    series: dict[GridValues, dict[GridValue, Interval]] = {}
    for values, runs in study.groups().items():
        measured = series.setdefault(without(values, study.axis), {})
        if (interval := over_seeds(runs, measure, whole=whole)) is not None:
            measured[values[study.axis]] = interval
    others = without(study.keys, study.axis)
    return [
        Series(
            rest=rest,
            label=group_words(others, rest, study.blocks),
            sign=sign,
            curve=dict(sorted((places[v], i) for v, i in found.items() if v in places)),
            beyond=next((i for v, i in found.items() if v not in places), None),
        )
        for (rest, found), sign in zip(series.items(), _signs(list(series)), strict=True)
    ]


def _coloured(rests: Sequence[GridValues]) -> int:
    """Return the index of the grid key with the most values, which determines the colour."""
    counts = [len(set(values)) for values in zip(*rests, strict=True)]
    return max(range(len(counts)), key=lambda place: (counts[place], place))


def _signs(rests: Sequence[GridValues]) -> list[style.Sign]:
    if len(rests[0]) < 2:
        return [style.sign_of(number, number) for number in range(len(rests))]
    place = _coloured(rests)
    hues = list(dict.fromkeys(rest[place] for rest in rests))
    kinds = list(dict.fromkeys(without(rest, place) for rest in rests))
    return [style.sign_of(hues.index(r[place]), kinds.index(without(r, place))) for r in rests]


def draw_series(ax: Axes, series: Series) -> None:
    """Plot a curve with a band, and with a vertical bar at each point."""
    style.draw_curve(ax, series.curve, series.sign, series.label or "mean, 95 % interval")
    for x, found in series.curve.items():
        if math.isfinite(found.half):
            ax.plot([x, x], [found.low, found.high], color=series.sign.colour, linewidth=0.8)


def _draw_level(ax: Axes, level: Interval, colour: str) -> None:
    words = "no privacy (ε = ∞)"
    ax.axhline(level.mean, color=colour, linestyle="--", linewidth=1.0, label=words)
    if math.isfinite(level.half):
        ax.axhspan(level.low, level.high, color=colour, alpha=0.15, linewidth=0)


def draw_baseline(ax: Axes, study: Study, metric: str) -> None:
    """Plot the best baseline of a metric as a dotted line, if there is one."""
    baseline = best_baseline(study, metric)
    if baseline is not None:
        words = baseline_words(baseline[0])
        ax.axhline(baseline[1], color=style.GREY, linestyle=":", linewidth=1.2, label=words)


def scale(ax: Axes, study: Study, places: dict[GridValue, float]) -> None:
    """Mark the values on the horizontal axis. It is logarithmic for epsilon and for wide ranges."""
    if _logarithmic(study, places):
        ax.set_xscale("log")
    step = max(1, math.ceil(len(places) / MOST_TICKS))  # 0 places if infinity is the only value
    ax.xaxis.set_major_locator(FixedLocator(list(places.values())[::step]))
    ax.xaxis.set_minor_locator(NullLocator())
    names = {place: value_words(value) for value, place in places.items()}
    ax.xaxis.set_major_formatter(lambda place, _: names.get(place, ""))
    ax.set_xlabel(epsilon_words(study) if study.x == EPSILON else key_words(study.x))


def _logarithmic(study: Study, places: dict[GridValue, float]) -> bool:
    taken = list(places.values())
    positive = all(isinstance(v, float) and v > 0 for v in places)
    return positive and (study.x == EPSILON or max(taken) / min(taken) >= LOG_SPAN)


def _right_of(study: Study, places: dict[GridValue, float]) -> float:
    """Return the position for infinity: one step to the right of the last value."""
    *_, before, last = [0.0, *places.values()] if len(places) == 1 else places.values()
    if _logarithmic(study, places):
        return last * (last / before if before else 2.0)
    return 2 * last - before
