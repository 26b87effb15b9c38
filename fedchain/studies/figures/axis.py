"""A metric against what a sweep varied: above all, convergence against epsilon."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator

from matplotlib.axes import Axes
from matplotlib.ticker import FixedLocator, NullLocator

from fedchain.studies.figures.style import (
    GREY,
    LINES,
    MARKERS,
    PALETTE,
    Drawing,
    axes,
    finished,
    legend_below,
    styled,
)
from fedchain.studies.statistics import Interval
from fedchain.studies.study import EPSILON, Recorded, Study, Value, best_baseline, over_seeds
from fedchain.studies.words import (
    baseline_words,
    epsilon_words,
    group_words,
    key_words,
    metric_words,
    value_words,
)

Curve = list[tuple[float, Interval]]
"""Positions on the axis with the interval at each, from left to right."""
DECADE = 20.0
"""A span of positive values from which an axis is logarithmic."""


def metric_against_axis(study: Study) -> Drawing | None:
    """Draw the score against the swept key: mean and 95 % interval over seeds.

    Infinity has no place on an axis: an unbounded epsilon is the dashed non-private line. What
    needs no data holder is the dotted one, so that one sees what privacy costs and what is left.
    """
    if study.x is None or study.x not in study.keys:
        return None
    places = ticks(study)
    drawn = curves(study, places, lambda runs: over_seeds(runs, study.score))
    found = [each for each in drawn if each[1] or each[2]]
    if not found:
        return None
    with styled():
        figure, ax = axes(2.6)
        for style, (label, curve, beyond) in enumerate(found):
            draw_curve(ax, label, curve, style)
            if beyond is not None:
                _draw_level(ax, label, beyond, PALETTE[(style + 1) % len(PALETTE)])
        _draw_baseline(ax, study)
        scale(ax, study, places)
        ax.set_ylabel(metric_words(study.score))
        legend_below(figure, 2)
    last = "epsilon" if study.x == EPSILON else study.x.replace(".", "_")
    caption = (
        f"{metric_words(study.score)} after the last round against {key_words(study.x)}: mean "
        f"over {_seed_words(study)}, with the 95 % interval (Student's t) as a band. "
        "The dotted line is the best baseline, which needs no data holder."
    )
    return finished(f"{study.score}_against_{last}", caption, figure)


def ticks(study: Study) -> dict[Value, float]:
    """Return the place of every swept value on the axis; infinity has none."""
    position = study.keys.index(study.x or "")
    values = list(dict.fromkeys(m.values[position] for m in study.members))
    if all(isinstance(v, float) for v in values):
        return {v: v for v in sorted(v for v in values if isinstance(v, float)) if math.isfinite(v)}
    return {value: float(place) for place, value in enumerate(values)}


def curves(
    study: Study,
    places: dict[Value, float],
    measure: Callable[[list[Recorded]], Interval | None],
) -> Iterator[tuple[str, Curve, Interval | None]]:
    """Yield a curve for what else was varied: its words, its points, and the one at infinity."""
    position = study.keys.index(study.x or "")
    series: dict[tuple[Value, ...], dict[Value, list[Recorded]]] = {}
    for values, runs in study.groups().items():
        rest = values[:position] + values[position + 1 :]
        series.setdefault(rest, {})[values[position]] = runs
    others = study.keys[:position] + study.keys[position + 1 :]
    for rest, by_value in series.items():
        found = {v: measure(runs) for v, runs in by_value.items()}
        placed = [(places[v], i) for v, i in found.items() if v in places and i is not None]
        beyond = next((i for v, i in found.items() if v not in places), None)
        yield group_words(others, rest), sorted(placed, key=lambda pair: pair[0]), beyond


def draw_curve(ax: Axes, label: str, curve: Curve, style: int) -> None:
    """Draw means as a line, their intervals as a band."""
    xs = [x for x, _ in curve]
    colour = PALETTE[style % len(PALETTE)]
    ax.plot(
        xs,
        [i.mean for _, i in curve],
        color=colour,
        marker=MARKERS[style % len(MARKERS)],
        linestyle=LINES[style % len(LINES)],
        label=label or "mean, 95 % interval",
    )
    known = [(x, i) for x, i in curve if math.isfinite(i.half)]
    if len(known) > 1:
        low, high = [i.low for _, i in known], [i.high for _, i in known]
        ax.fill_between([x for x, _ in known], low, high, color=colour, alpha=0.2, linewidth=0)
    for x, i in known:
        ax.plot([x, x], [i.low, i.high], color=colour, linewidth=0.8)


def _draw_level(ax: Axes, label: str, level: Interval, colour: str) -> None:
    words = ", ".join(["no privacy (ε = ∞)"] + ([label] if label else []))
    ax.axhline(level.mean, color=colour, linestyle="--", linewidth=1.0, label=words)
    if math.isfinite(level.half):
        ax.axhspan(level.low, level.high, color=colour, alpha=0.15, linewidth=0)


def _draw_baseline(ax: Axes, study: Study) -> None:
    baseline = best_baseline(study, study.score)
    if baseline is not None:
        words = baseline_words(baseline[0])
        ax.axhline(baseline[1], color=GREY, linestyle=":", linewidth=1.2, label=words)


def scale(ax: Axes, study: Study, places: dict[Value, float]) -> None:
    """Name the swept values on the horizontal axis: logarithmic for epsilon and for wide spans."""
    taken = list(places.values())
    positive = all(isinstance(v, float) and v > 0 for v in places)
    if positive and (study.x == EPSILON or max(taken) / min(taken) >= DECADE):
        ax.set_xscale("log")
    ax.xaxis.set_major_locator(FixedLocator(_apart(taken)))
    ax.xaxis.set_minor_locator(NullLocator())
    names = {place: value_words(value) for value, place in places.items()}
    ax.xaxis.set_major_formatter(lambda place, _: names.get(place, ""))
    key = study.x or ""
    ax.set_xlabel(epsilon_words(study) if key == EPSILON else key_words(key))


def _apart(places: list[float], most: int = 9) -> list[float]:
    step = max(1, math.ceil(len(places) / most))  # of infinity alone there is no place
    return list(itertools.islice(places, 0, None, step))


def _seed_words(study: Study) -> str:
    counts = {len(runs) for runs in study.groups().values()}
    low, high = min(counts), max(counts)
    return f"{low} seed{'s' if low > 1 else ''}" if low == high else f"{low} to {high} seeds"
