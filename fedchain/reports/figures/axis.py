"""Figure of a metric against a grid key of a sweep, such as the score against epsilon."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, NullLocator

from fedchain.reports.figures import style
from fedchain.reports.study import (
    EPSILON,
    GridValue,
    GridValues,
    Recorded,
    Study,
    best_baseline,
    over_seeds,
)
from fedchain.reports.words import (
    baseline_words,
    epsilon_words,
    group_words,
    key_words,
    metric_words,
    value_words,
)
from fedchain.statistics import Interval

Curve = list[tuple[float, Interval]]
"""Pairs of a position on the axis and the interval there, from left to right."""
LEGEND_LINE_IN = 0.13
"""Height of a legend's line, inches."""
BESIDE = 1.03
"""Ratio of the positions of two neighbouring points at infinity; it keeps them from overlapping."""
LOG_SPAN = 20.0
"""An axis of positive values is logarithmic from this ratio of the largest to the smallest."""


@dataclass(frozen=True, kw_only=True)
class Series:
    """A curve along the axis, for one combination of values of the other grid keys."""

    rest: GridValues
    """The combination: a value for each grid key except that of the axis."""
    label: str
    """The combination in words; empty if there are no other keys."""
    sign: style.Sign
    """Colour, marker and dashes."""
    curve: Curve
    """The points of the curve."""
    beyond: Interval | None
    """The measurement at infinity, which has no place on the axis; None if there is none."""


def metric_against_axis(study: Study) -> style.Drawing | None:
    """Draw the score against the swept key: mean and 95 % interval over seeds.

    Infinity has no place on an axis. If there is one curve, the score at an infinite epsilon is
    drawn as a dashed line; if there are several, as a point to the right of each curve. The dotted
    line is the best baseline, which needs no data holder.
    """
    if study.x is None or study.x not in study.keys:
        return None
    places = ticks(study)
    drawn = curves(study, places, lambda runs: over_seeds(runs, study.score))
    found = [each for each in drawn if each.curve or each.beyond]
    if not found:
        return None
    if len(found) > 1 and places and any(each.beyond for each in found):
        places[math.inf] = _right_of(study, places)
    with style.styled():
        figure, ax = style.axes(2.6 + LEGEND_LINE_IN * max(0, len(_legend(study, found)) // 2 - 2))
        for number, each in enumerate(found):
            draw_curve(ax, each)
            if each.beyond is not None and math.inf in places:
                right = places[math.inf] * BESIDE ** (number - len(found) / 2)
                style.draw_points(ax, [right], [each.beyond], each.sign)
            elif each.beyond is not None:
                _draw_level(ax, each.beyond, style.PALETTE[1])
        draw_baseline(ax, study, study.score)
        scale(ax, study, places)
        ax.set_ylabel(metric_words(study.score))
        others = [line for line in ax.lines if line.get_linestyle() == ":"][-1:]
        style.legend_below(figure, 2, [*_legend(study, found), *others] if len(found) > 1 else ())
    last = "epsilon" if study.x == EPSILON else study.x.replace(".", "_")
    caption = (
        f"{metric_words(study.score)} after the last round against {key_words(study.x)}: mean "
        f"over {_seed_words(study)}, with the 95 % interval (Student's t) as a band. "
        "The dotted line is the best baseline, which needs no data holder."
    )
    return style.finished(f"{study.score}_against_{last}", caption, figure)


def _legend(study: Study, found: Sequence[Series]) -> list[Artist]:
    """Return the handles of the legend: one for each curve.

    If two or more grid keys are not on the axis: one for each colour, and one for each marker.
    """
    others = tuple(key for key in study.keys if key != study.x)
    if len(others) < 2:
        return [_handle(each.sign, each.label) for each in found]
    place = _coloured(others, [each.rest for each in found])
    colours = {each.rest[place]: each.sign for each in found}
    marks = {each.rest[:place] + each.rest[place + 1 :]: each.sign for each in found}
    left = others[:place] + others[place + 1 :]
    hues = {
        group_words((others[place],), (value,), study.blocks): style.Sign(sign.colour, "", "-")
        for value, sign in colours.items()
    }
    kinds = {
        group_words(left, rest, study.blocks): style.Sign(style.GREY, sign.marker, sign.line)
        for rest, sign in marks.items()
    }
    return [_handle(sign, label) for label, sign in {**hues, **kinds}.items()]


def _handle(sign: style.Sign, label: str) -> Artist:
    return Line2D([], [], color=sign.colour, marker=sign.marker, linestyle=sign.line, label=label)


def ticks(study: Study) -> dict[GridValue, float]:
    """Return the position of every swept value on the axis; infinity has none."""
    position = study.keys.index(study.x or "")
    values = list(dict.fromkeys(run.values[position] for run in study.runs))
    if all(isinstance(v, float) for v in values):
        return {v: v for v in sorted(v for v in values if isinstance(v, float)) if math.isfinite(v)}
    return {value: float(place) for place, value in enumerate(values)}


def curves(
    study: Study,
    places: dict[GridValue, float],
    measure: Callable[[list[Recorded]], Interval | None],
) -> list[Series]:
    """Return a curve for each combination of values of the grid keys that are not on the axis.

    ``measure`` computes the interval at a point from its runs. If two or more keys are not on the
    axis, the one with most values sets the colour, and the others set marker and dashes.
    """
    position = study.keys.index(study.x or "")
    series: dict[GridValues, dict[GridValue, list[Recorded]]] = {}
    for values, runs in study.groups().items():
        rest = values[:position] + values[position + 1 :]
        series.setdefault(rest, {})[values[position]] = runs
    others = study.keys[:position] + study.keys[position + 1 :]
    signs = _signs(others, list(series))
    found = []
    for (rest, by_value), sign in zip(series.items(), signs, strict=True):
        measured = {v: i for v, runs in by_value.items() if (i := measure(runs)) is not None}
        placed = [(places[v], i) for v, i in measured.items() if v in places]
        beyond = next((i for v, i in measured.items() if v not in places), None)
        label = group_words(others, rest, study.blocks)
        found.append(
            Series(
                rest=rest,
                label=label,
                sign=sign,
                curve=sorted(placed, key=lambda pair: pair[0]),
                beyond=beyond,
            )
        )
    return found


def _coloured(others: tuple[str, ...], rests: Sequence[GridValues]) -> int:
    """Return the index of the grid key that sets the colour: the one with most values."""
    return max(range(len(others)), key=lambda place: (len({rest[place] for rest in rests}), place))


def _signs(others: tuple[str, ...], rests: Sequence[GridValues]) -> list[style.Sign]:
    if len(others) < 2:
        return [style.sign_of(number, number) for number in range(len(rests))]
    place = _coloured(others, rests)
    hues = list(dict.fromkeys(rest[place] for rest in rests))
    kinds = list(dict.fromkeys(rest[:place] + rest[place + 1 :] for rest in rests))
    return [
        style.sign_of(hues.index(rest[place]), kinds.index(rest[:place] + rest[place + 1 :]))
        for rest in rests
    ]


def draw_curve(ax: Axes, series: Series) -> None:
    """Draw means as a line, their intervals as a band."""
    sign, curve = series.sign, series.curve
    ax.plot(
        [x for x, _ in curve],
        [i.mean for _, i in curve],
        color=sign.colour,
        marker=sign.marker,
        linestyle=sign.line,
        label=series.label or "mean, 95 % interval",
    )
    known = [(x, i) for x, i in curve if math.isfinite(i.half)]
    if len(known) > 1:
        low, high = [i.low for _, i in known], [i.high for _, i in known]
        places = [x for x, _ in known]
        ax.fill_between(places, low, high, color=sign.colour, alpha=0.2, linewidth=0)
    for x, i in known:
        ax.plot([x, x], [i.low, i.high], color=sign.colour, linewidth=0.8)


def _draw_level(ax: Axes, level: Interval, colour: str) -> None:
    words = "no privacy (ε = ∞)"
    ax.axhline(level.mean, color=colour, linestyle="--", linewidth=1.0, label=words)
    if math.isfinite(level.half):
        ax.axhspan(level.low, level.high, color=colour, alpha=0.15, linewidth=0)


def draw_baseline(ax: Axes, study: Study, metric: str) -> None:
    """Draw the best baseline of a metric as a dotted line, if there is one."""
    baseline = best_baseline(study, metric)
    if baseline is not None:
        words = baseline_words(baseline[0])
        ax.axhline(baseline[1], color=style.GREY, linestyle=":", linewidth=1.2, label=words)


def scale(ax: Axes, study: Study, places: dict[GridValue, float]) -> None:
    """Mark the swept values on the horizontal axis, logarithmic for epsilon and wide spans."""
    taken = list(places.values())
    if _logarithmic(study, places):
        ax.set_xscale("log")
    ax.xaxis.set_major_locator(FixedLocator(_thin_out(taken)))
    ax.xaxis.set_minor_locator(NullLocator())
    names = {place: value_words(value) for value, place in places.items()}
    ax.xaxis.set_major_formatter(lambda place, _: names.get(place, ""))
    key = study.x or ""
    ax.set_xlabel(epsilon_words(study) if key == EPSILON else key_words(key))


def _logarithmic(study: Study, places: dict[GridValue, float]) -> bool:
    taken = list(places.values())
    positive = all(isinstance(v, float) and v > 0 for v in places)
    return positive and (study.x == EPSILON or max(taken) / min(taken) >= LOG_SPAN)


def _right_of(study: Study, places: dict[GridValue, float]) -> float:
    """Return the place of infinity: one step beyond the last value."""
    *_, before, last = [0.0, *places.values()] if len(places) == 1 else places.values()
    if _logarithmic(study, places):
        return last * (last / before if before else 2.0)
    return 2 * last - before


def _thin_out(places: list[float], most: int = 9) -> list[float]:
    step = max(1, math.ceil(len(places) / most))  # 0 places if infinity is the only value
    return list(itertools.islice(places, 0, None, step))


def _seed_words(study: Study) -> str:
    counts = {len(runs) for runs in study.groups().values()}
    low, high = min(counts), max(counts)
    return f"{low} seed{'s' if low > 1 else ''}" if low == high else f"{low} to {high} seeds"
