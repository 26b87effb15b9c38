"""Figures of rounds: draws a metric, and the privacy spent, against the round.

Each drawing function returns None if the study has no data for its figure.
"""

from __future__ import annotations

import math
import textwrap
from collections.abc import Mapping
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from fedchain.names import short_kind
from fedchain.reports.figures import style
from fedchain.reports.figures.axis import draw_baseline
from fedchain.reports.figures.paper import times_as_wide
from fedchain.reports.study import Recorded, Study, best_baseline, finite_value, without
from fedchain.reports.words import baseline_words, epsilon_words, group_words, labelled, score_words
from fedchain.results.finding import bounds_of, three_digits
from fedchain.results.tables import attackers_share, sent_by_attackers
from fedchain.statistics import interval

MARKED = 8
"""Number of markers on a line."""
FAR = 0.6
"""Distance from the curves, as a share of their range, beyond which a baseline is an arrow."""
TITLE_LETTERS = 26
"""Letters per line in the title of a small panel."""
PANELS_A_ROW, MOST_PANELS = 2, 16
"""PANELS_A_ROW: number of small panels in a row of the natural width.
MOST_PANELS: limit on the panels in a figure."""
CAPTURED = "byzantine_share"
"""Column of ``metrics.csv`` with the attackers' share of the global gradient."""
SENT = "attackers' share of the messages"
"""Label of the line to which the attackers' share of the gradient is compared."""
Lines = dict[str, style.Curve]
"""Curves by label."""


def metric_over_rounds(study: Study, metric: str) -> style.Drawing | None:
    """Plot a metric against the round: one line per grid point, with 95 % intervals over seeds.

    More lines than colours are drawn in several panels.
    """
    figure = _in_panels(study, metric, score_words(study, metric))
    if figure is None:
        return None
    caption = f"{score_words(study, metric)} on held-out data after each round{_band_words(study)}."
    return style.finished(f"{metric}_over_rounds", caption, figure)


def shares_over_rounds(study: Study) -> style.Drawing | None:
    """Plot the share of the global gradient that came from attackers, against the round.

    For a run, the figure also shows the honest holders' share, and the attackers' share of the
    messages.
    """
    rows = [row for run in study.runs for row in run.metrics if row["byzantine"]]
    if (share := attackers_share(rows)) is None:
        return None
    one = study.kind == "run"
    figure = _areas(study.first) if one else _in_panels(study, CAPTURED, "attackers' share")
    if figure is None:
        return None
    for ax in figure.axes:
        ax.set_ylim(0, 1)
    sent = [sent_by_attackers(row) for row in rows]
    low, high = (f"{end:.1%}" for end in (min(sent), max(sent)))
    caption = (
        "Share of each round's global gradient that came from attackers, who sent "
        f"{low if low == high else f'{low} to {high}'} of a round's messages"
    )
    caption += f" and had {share:.1%} of the gradient on average" if one else _band_words(study)
    return style.finished("shares_over_rounds", f"{caption}.", figure)


def _areas(run: Recorded) -> Figure:
    """Draw the shares of attackers and honest holders in one run, as areas on each other."""
    figure, ax = style.axes(2.3)
    rows = [row for row in run.metrics if row["messages"]]
    edges = [float(row["round"]) - 0.5 for row in rows] + [float(rows[-1]["round"]) + 0.5]
    taken = [float(row.get(CAPTURED, 0.0)) for row in rows]
    sent = [sent_by_attackers(row) for row in rows]
    ax.stairs([1.0] * len(rows), edges, baseline=taken, fill=True, color=style.SKY, label="honest")
    ax.stairs(taken, edges, fill=True, color=style.VERMILION, label="attackers")
    ax.stairs(sent, edges, baseline=None, color="black", linestyle="--", label=SENT)
    ax.set(xlabel="round", ylabel="share of the gradient", xlim=(edges[0], edges[-1]))
    style.whole_numbers(ax.xaxis)
    style.legend_below(figure, 3, ax.get_legend_handles_labels()[0])
    return figure


def _in_panels(study: Study, metric: str, words: str) -> Figure | None:
    """Draw a metric's curves in one panel or in several; ``words`` labels the vertical axis.

    The result is None if no curve has two points, or if there would be too many panels.
    """
    curves = _curves(study, metric)
    if not any(len(curve) > 1 for curve in curves.values()):
        return None
    panels = _panels(study, metric) if len(curves) > len(style.PALETTE) else {"": curves}
    if len(panels) > MOST_PANELS:
        return None
    figure = _grid(len(panels))
    for ax, (title, lines) in zip(figure.axes, panels.items(), strict=True):
        _draw(ax, lines, bounds_of(metric))
        ax.set_title(textwrap.fill(title, TITLE_LETTERS))
        _draw_baseline(ax, study, metric)
        _mark_attacks(ax, study.first.manifest)
    a_row = _panels_a_row(len(panels))
    for ax in figure.axes[::a_row]:
        ax.set_ylabel(words)
    for ax in figure.axes[:-a_row]:
        ax.set_xlabel("")
    for ax in figure.axes[-a_row:]:  # the lowest panel of each column
        ax.tick_params(labelbottom=True)
    style.legend_below(figure, 2 if len(panels) == 1 else 3)
    return figure


def _draw_baseline(ax: Axes, study: Study, metric: str) -> None:
    """Plot the best baseline as a line if it lies near the curves, else as an arrow at the edge.

    A line far from the curves would take the space that shows how they differ.
    """
    baseline = best_baseline(study, metric)
    if baseline is None:
        return
    low, high = ax.dataLim.y0, ax.dataLim.y1
    near = FAR * (high - low)
    if low - near <= baseline[1] <= high + near:
        draw_baseline(ax, study, metric)
        return
    below = baseline[1] < low
    name, arrow = baseline_words(baseline[0], study.labels), "↓" if below else "↑"
    words = f"{name} {three_digits(baseline[1])} {arrow}"
    ax.annotate(
        words, (0.98, 0.03 if below else 0.97), xycoords="axes fraction", color=style.GREY,
        ha="right", va="bottom" if below else "top", fontsize=6.5,
    )  # fmt: skip


def _grid(panels: int) -> Figure:
    if panels == 1:
        return style.axes(2.7)[0]
    a_row = _panels_a_row(panels)
    rows = math.ceil(panels / a_row)
    figure = style.figure(0.7 + 1.3 * rows)
    shape = figure.subplots(rows, a_row, sharex=True, sharey=True, squeeze=False)
    for unused in shape.flat[panels:]:
        unused.remove()
    return figure


def _panels_a_row(panels: int) -> int:
    """Return how many of the panels stand in a row; the last row lacks as few as can be."""
    rows = math.ceil(panels / times_as_wide(PANELS_A_ROW))
    return math.ceil(panels / rows)


def _panels(study: Study, metric: str) -> dict[str, Lines]:
    """Return the curves of each panel, by the title of the panel."""
    others = without(study.keys, study.axis)
    found: dict[str, Lines] = {}
    for values, runs in study.groups().items():
        title = group_words(others, without(values, study.axis), study.blocks, study.labels)
        words = group_words((study.x,), (values[study.axis],), study.blocks, study.labels)
        found.setdefault(title, {})[words] = _curve(runs, metric)
    # A curve that one panel lacks must not change the colours of the panel's other curves.
    all_words = dict.fromkeys(words for lines in found.values() for words in lines)
    return {t: {words: lines.get(words, {}) for words in all_words} for t, lines in found.items()}


def epsilon_over_rounds(study: Study) -> style.Drawing | None:
    """Plot the budget, and the epsilon spent by the holder with the most releases, by round."""
    curves = _curves(study, "epsilon")
    if not curves or len(curves) > len(style.PALETTE):
        return None
    figure, ax = style.axes(2.5)
    _draw(ax, curves, (0.0, math.inf))
    budget = finite_value(study.first.manifest["scenario"]["privacy"], "epsilon")
    if budget is not None and study.kind == "run":
        ax.axhline(budget, color=style.GREY, linestyle="--", linewidth=1.0, label="budget")
    if study.kind == "sweep" and len(curves) > 1:
        style.logarithmic(ax)
    else:
        ax.set_ylim(bottom=0)
    ax.set_ylabel(epsilon_words(study, "ε spent"))
    style.legend_below(figure, 3)
    caption = (
        "Privacy spent so far by the holder with the most releases: tight total over its releases"
        f"{_band_words(study)}."
    )
    return style.finished("epsilon_over_rounds", caption, figure)


def _curves(study: Study, metric: str) -> Lines:
    curves = {label: _curve(runs, metric) for label, runs in labelled(study).items()}
    return {label: curve for label, curve in curves.items() if curve}


def _curve(runs: list[Recorded], metric: str) -> style.Curve:
    found: dict[int, list[float]] = {}
    for row in (row for run in runs for row in run.metrics):
        if (value := finite_value(row, metric)) is not None:
            found.setdefault(int(row["round"]), []).append(value)
    whole = max((len(values) for values in found.values()), default=0)
    return {t: interval(found[t]) for t in sorted(found) if len(found[t]) == whole}


def _draw(ax: Axes, curves: Lines, bounds: style.Bounds) -> None:
    for place, (label, curve) in enumerate(curves.items()):
        every = max(1, math.ceil(len(curve) / MARKED))
        sign = style.sign_of(place, place)
        style.draw_curve(ax, curve, sign, label or "_this run", bounds, markevery=every)
    ax.set_xlabel("round")
    style.whole_numbers(ax.xaxis)


def _mark_attacks(ax: Axes, manifest: Mapping[str, Any]) -> None:
    starts: dict[int, list[str]] = {}
    for attack in manifest["scenario"]["attacks"]:
        starts.setdefault(int(attack["from_round"]), []).append(short_kind(attack["kind"]))
    for start, kinds in starts.items():
        if start > 1:
            words = f"{', '.join(dict.fromkeys(kinds)).replace('_', ' ')} begins"
            ax.axvline(start, color="black", linestyle="-.", linewidth=0.8, label=words)


def _band_words(study: Study) -> str:
    repeated = any(len(runs) > 1 for runs in study.groups().values())
    return "; bands are 95 % intervals (Student's t) over seeds" if repeated else ""
