"""Figure of a sweep: draws a metric against a grid key, such as the score against epsilon."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise

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
    axis_words,
    baseline_words,
    epsilon_words,
    group_words,
    score_words,
    seed_words,
    value_words,
)
from fedchain.results.finding import bounds_of
from fedchain.statistics import Interval

LEGEND_LINE_IN = 0.13
"""Height of a legend's line, inches."""
ASIDE, MOST_ASIDE = 0.018, 0.6
"""ASIDE: distance of neighbouring curves at one value, as a share of the axis. MOST_ASIDE: limit on
the distance of the outer ones, as a share of the distance to the next value."""
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
    beside = side_by_side(found, places, logarithmic=logarithmic_axis(study, places))
    for each, moved in zip(found, beside, strict=True):
        draw_series(ax, each, moved, bounds=bounds_of(study.score), band=len(found) == 1)
        if each.beyond is not None and math.inf in places:
            right = {moved[places[math.inf]]: each.beyond}
            style.draw_bars(ax, right, each.sign, bounds_of(study.score))
            ax.plot(list(right), [each.beyond.mean], **{**each.sign.look, "linestyle": ""})
        elif each.beyond is not None:
            _draw_level(ax, each.beyond, style.PALETTE[1])
    draw_baseline(ax, study, study.score)
    scale(ax, study, places)
    ax.set_ylabel(score_words(study, study.score))
    others = [line for line in ax.lines if line.get_linestyle() == ":"][-1:]
    style.legend_below(figure, 2, [*legend, *others] if len(found) > 1 else ())
    last = "epsilon" if study.x == EPSILON else re.sub(r"[.\[\]]+", "_", study.x)
    counts = [len(runs) for runs in study.groups().values()]
    drawn_as = "a band" if len(found) == 1 else "bars; curves are moved aside to show them"
    caption = (
        f"{score_words(study, study.score)} after the last round against "
        f"{axis_words(study, study.x)}: mean over {seed_words(counts)}, with the 95 % interval "
        f"(Student's t) as {drawn_as}. "
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
            group_words(key, (value,), study.blocks, study.labels): style.Sign(colour, "", "-")
            for value, colour in hues.items()
        }
        signs |= {
            group_words(left, rest, study.blocks, study.labels): style.Sign(
                style.GREY, sign.marker, sign.line
            )
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
            label=group_words(others, rest, study.blocks, study.labels),
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


def side_by_side(
    found: Sequence[Series], places: Mapping[GridValue, float], *, logarithmic: bool
) -> list[dict[float, float]]:
    """Return the position of each place for each curve: beside each other, not on each other."""
    spots = [math.log(place) if logarithmic else place for place in sorted(places.values())]
    gaps = [high - low for low, high in pairwise(spots)] or [1.0]
    step = min(ASIDE * sum(gaps), MOST_ASIDE * min(gaps) / len(found))
    moves = [step * (number - (len(found) - 1) / 2) for number in range(len(found))]
    return [
        {
            place: place if not move else place * math.exp(move) if logarithmic else place + move
            for place in places.values()
        }
        for move in moves
    ]


def draw_series(
    ax: Axes,
    series: Series,
    moved: Mapping[float, float],
    *,
    bounds: style.Bounds = style.NO_BOUNDS,
    band: bool = True,
) -> None:
    """Plot a curve with a vertical bar at each point, and with a band.

    Args:
        ax: where.
        series: the curve.
        moved: where the curve has each place of the axis.
        bounds: the least and the largest value that can be measured.
        band: whether to draw the band; bands of several curves would cover each other.
    """
    label = series.label or "mean, 95 % interval"
    curve = {moved[place]: found for place, found in series.curve.items()}
    if band:
        style.draw_curve(ax, curve, series.sign, label, bounds)
    else:
        ax.plot(
            list(curve), [each.mean for each in curve.values()], label=label, **series.sign.look
        )
    style.draw_bars(ax, curve, series.sign, bounds)


def _draw_level(ax: Axes, level: Interval, colour: str) -> None:
    words = "no privacy (ε = ∞)"
    ax.axhline(level.mean, color=colour, linestyle="--", linewidth=1.0, label=words)
    if math.isfinite(level.half):
        ax.axhspan(level.low, level.high, color=colour, alpha=0.15, linewidth=0)


def draw_baseline(ax: Axes, study: Study, metric: str) -> None:
    """Plot the best baseline of a metric as a dotted line, if there is one."""
    baseline = best_baseline(study, metric)
    if baseline is not None:
        words = baseline_words(baseline[0], study.labels)
        ax.axhline(baseline[1], color=style.GREY, linestyle=":", linewidth=1.2, label=words)


def scale(ax: Axes, study: Study, places: dict[GridValue, float]) -> None:
    """Mark the values on the horizontal axis. It is logarithmic for epsilon and for wide ranges."""
    if logarithmic_axis(study, places):
        ax.set_xscale("log")
    step = max(1, math.ceil(len(places) / MOST_TICKS))  # 0 places if infinity is the only value
    ax.xaxis.set_major_locator(FixedLocator(list(places.values())[::step]))
    ax.xaxis.set_minor_locator(NullLocator())
    names = {place: value_words(value, study.labels) for value, place in places.items()}
    ax.xaxis.set_major_formatter(lambda place, _: names.get(place, ""))
    ax.set_xlabel(epsilon_words(study) if study.x == EPSILON else axis_words(study, study.x))


def logarithmic_axis(study: Study, places: dict[GridValue, float]) -> bool:
    """Return whether the horizontal axis is logarithmic."""
    taken = list(places.values())
    positive = all(isinstance(v, float) and v > 0 for v in places)
    return positive and (study.x == EPSILON or max(taken) / min(taken) >= LOG_SPAN)


def _right_of(study: Study, places: dict[GridValue, float]) -> float:
    """Return the position for infinity: one step to the right of the last value."""
    *_, before, last = [0.0, *places.values()] if len(places) == 1 else places.values()
    if logarithmic_axis(study, places):
        return last * (last / before if before else 2.0)
    return 2 * last - before
