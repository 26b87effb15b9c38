"""Figures of two numbers: the score as colour over two numeric grid keys, and where rules break.

A sweep is drawn so if exactly two of its grid keys have numbers alone, three or more each. One more
key, such as the rule, makes a column of panels for each of its values. If one of the two numbers is
that of the attackers, it is the vertical axis, a second row of panels shows the capture, and lines
show where each rule breaks.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from itertools import pairwise
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.lines import Line2D

from fedchain.arrays import Matrix
from fedchain.reports.capture import (
    CAPTURE_WORDS,
    breaking_share,
    capture,
    crossing,
    is_attackers,
    rho_of_messages,
)
from fedchain.reports.figures import style
from fedchain.reports.figures.maps import COLOURS, bare, cells_of, is_number, values_of
from fedchain.reports.study import EPSILON, GridValues, Recorded, Study, final, read_run
from fedchain.reports.words import (
    epsilon_words,
    group_words,
    key_words,
    metric_words,
    seed_words,
    value_words,
)

LEAST_VALUES, MOST_PANELS = 3, 6
"""LEAST_VALUES: least number of values of each numeric key. MOST_PANELS: most panels in a row."""
PANEL_IN, HEIGHT_IN = 1.45, 1.45
"""Width and height of a panel, inches."""
KEPT, CAPTURED = 0.9, 0.5
"""A rule breaks where its score falls below KEPT times its score under the fewest attackers, and is
captured where its capture exceeds CAPTURED."""
CLOSED: dict[str, tuple[Any, bool]] = {
    "closed line of l-nearest, sign flip": ((0, (4, 1.5)), False),
    "the same, orthogonal to the gradient": ((0, (1, 1)), True),
}
"""Dashes of the closed lines, and whether the colluders' direction is orthogonal, by label."""
SCORE_MARK, CAPTURE_MARK = "o", "s"
"""Markers of the lines where the score falls and where the capture rises."""
Line = list[float]
"""A position on the vertical axis for each value of the horizontal axis; NaN: beyond the axis."""


@dataclass(frozen=True)
class Plane:
    """A sweep with two numeric grid keys."""

    study: Study
    """The sweep."""
    across: str
    """The grid key of the horizontal axis."""
    down: str
    """The grid key of the vertical axis."""
    panels: dict[GridValues, str]
    """The title of each panel, by the value of the third grid key; by () without a third key."""

    @cached_property
    def xs(self) -> list[float]:
        """Values of the horizontal axis, increasing."""
        return [float(value) for value in values_of(self.study, self.across)]

    @cached_property
    def ys(self) -> list[float]:
        """Values of the vertical axis, increasing."""
        return [float(value) for value in values_of(self.study, self.down)]

    @property
    def attacked(self) -> bool:
        """Whether the vertical axis is the number or the share of attackers."""
        return is_attackers(self.down)

    @cached_property
    def scores(self) -> list[Matrix]:
        """The mean score of each cell, (ys, xs), by panel."""
        return self._cells(partial(final, metric=self.study.score))

    @cached_property
    def captures(self) -> list[Matrix]:
        """The mean capture of each cell, (ys, xs), by panel; 0 where nobody attacks."""
        return self._cells(lambda run: capture(run) or 0.0)

    def _cells(self, measure: Callable[[Recorded], float | None]) -> list[Matrix]:
        return [cells_of(self.study, self.down, self.across, measure, r) for r in self.panels]

    @cached_property
    def broken(self) -> list[Line]:
        """Where each panel's score falls below KEPT times the score in the lowest row."""
        return [
            [crossing(self.ys, column, KEPT * column[0]) for column in cells.T.tolist()]
            for cells in self.scores
        ]

    @cached_property
    def captured(self) -> list[Line]:
        """Where each panel's capture exceeds CAPTURED."""
        return [
            [crossing(self.ys, column, -CAPTURED) for column in (-cells).T.tolist()]
            for cells in self.captures
        ]

    @cached_property
    def closed(self) -> list[Line]:
        """The closed lines of l-nearest, in the order of CLOSED; [] if they are not known.

        The cosine rho of honest directions is measured in the runs by l-nearest without attackers.
        """
        rhos = [self._rho(x) for x in self.xs]
        if any(map(math.isnan, rhos)):
            return []
        nodes = self.study.first.manifest["scenario"]["nodes"]
        holders, counted = int(nodes["holders"]), self.down.endswith("count")
        unit = holders if counted else 1
        return [
            [unit * breaking_share(rho, holders, orthogonal=flat) for rho in rhos]
            for _, flat in CLOSED.values()
        ]

    def _rho(self, x: float) -> float:
        places = self.study.keys.index(self.across), self.study.keys.index(self.down)
        found = []
        for run in self.study.runs:
            rule = run.manifest["scenario"]["aggregation"]["kind"]
            if rule == "l_nearest" and tuple(run.values[place] for place in places) == (x, 0.0):
                rho = rho_of_messages(read_run(run.folder, messages=True).messages)
                found += [] if rho is None else [rho]
        return statistics.fmean(found) if found else math.nan


def plane_of(study: Study) -> Plane | None:
    """Return the axes of a sweep that fits these figures; None if it does not."""
    numeric = [key for key in study.keys if is_number(study, key)]
    others = [key for key in study.keys if key not in numeric]
    if len(numeric) != 2 or len(others) > 1:
        return None
    if any(len(values_of(study, key)) < LEAST_VALUES for key in numeric):
        return None
    across = study.x if study.x in numeric else numeric[0]
    if is_attackers(across):
        (across,) = (key for key in numeric if key != across)
    (down,) = (key for key in numeric if key != across)
    rests: list[GridValues] = [(v,) for key in others for v in values_of(study, key)] or [()]
    titles = {rest: group_words(tuple(others), rest, study.blocks) for rest in rests}
    return Plane(study, across, down, titles) if len(rests) <= MOST_PANELS else None


def phase_diagram(study: Study) -> style.Drawing | None:
    """Draw the score, and the capture by attackers, over two numeric grid keys."""
    plane = plane_of(study)
    if plane is None:
        return None
    rows = [(metric_words(study.score), plane.scores)]
    rows += [("capture", plane.captures)] if plane.attacked else []
    figure = style.figure(HEIGHT_IN * len(rows) + 0.95)
    figure.set_figwidth(PANEL_IN * len(plane.panels) + 1.0)
    shape = figure.subplots(len(rows), len(plane.panels), sharex=True, sharey=True, squeeze=False)
    for axes, (label, cells) in zip(shape, rows, strict=True):
        worth = cells is plane.scores
        bounds = (min(map(np.nanmin, cells)), max(map(np.nanmax, cells))) if worth else (0.0, 1.0)
        for place, ax in enumerate(axes):
            drawn = _draw_cells(ax, plane, cells[place], bounds)
            if plane.attacked:
                line = (plane.broken if worth else plane.captured)[place]
                _draw_lines(ax, plane, line, SCORE_MARK if worth else CAPTURE_MARK)
        figure.colorbar(drawn, ax=list(axes), pad=0.01, aspect=14, label=label)
    for ax, title in zip(shape[0], plane.panels.values(), strict=True):
        ax.set_title(title)
    for ax in shape[:, 0]:
        ax.set_ylabel(key_words(plane.down))
    for ax in shape[-1]:
        ax.set_xlabel(key_words(plane.across))
    if plane.attacked:
        style.legend_below(figure, 2, _legend(plane))
    return style.finished(f"{study.score}_diagram", _caption(plane), figure)


def breaking_lines(study: Study) -> style.Drawing | None:
    """Draw the share of attackers at which each rule breaks, and the closed lines of l-nearest."""
    plane = plane_of(study)
    if plane is None or not plane.attacked or np.isnan(plane.broken).all():
        return None
    figure, ax = style.axes(2.9)
    places = list(range(len(plane.xs)))
    for number, (title, line) in enumerate(zip(plane.panels.values(), plane.broken, strict=True)):
        sign = style.sign_of(number, number)
        ax.plot(places, line, label=title or "this rule", **sign.look)
    for label, ((dashes, _), line) in _closed(plane).items():
        ax.plot(places, line, color=style.GREY, linestyle=dashes, label=label)
    _mark(ax, plane)
    ax.set_ylabel(key_words(plane.down))
    ax.set_xlabel(_across_words(plane))
    style.legend_below(figure, 2)
    caption = (
        f"The {key_words(plane.down)} at which each rule breaks: the {metric_words(study.score)} "
        f"falls below {100 * KEPT:g} % of what the rule reaches with {plane.ys[0]:g}. Where a line "
        f"is missing, the rule did not break. {_closed_words(plane)}"
    )
    return style.finished("breaking_lines", caption.strip(), figure)


def _draw_cells(
    ax: Axes, plane: Plane, cells: Matrix, bounds: tuple[float, float]
) -> ScalarMappable:
    """Draw coloured cells: the columns at equal distances, the rows around their values."""
    xs, ys = np.arange(len(plane.xs) + 1.0) - 0.5, edges_of(plane.ys)
    drawn = ax.pcolormesh(xs, ys, cells, cmap=COLOURS, vmin=bounds[0], vmax=bounds[1])
    _mark(ax, plane)
    ax.set_yticks(plane.ys, [f"{y:g}" for y in plane.ys])
    ax.set_ylim(ys[0], ys[-1])
    bare(ax)
    return drawn


def _mark(ax: Axes, plane: Plane) -> None:
    ax.set_xticks(range(len(plane.xs)), [value_words(x) for x in plane.xs])


def edges_of(values: Sequence[float]) -> list[float]:
    """Return the edges of cells around increasing values: the middles, and as far beyond the ends.

    >>> edges_of([0.0, 0.1, 0.3])
    [-0.05, 0.05, 0.2, 0.4]
    """
    middles = [(low + high) / 2 for low, high in pairwise(values)]
    return [2 * values[0] - middles[0], *middles, 2 * values[-1] - middles[-1]]


def _draw_lines(ax: Axes, plane: Plane, measured: Line, mark: str) -> None:
    places = list(range(len(plane.xs)))
    drawn = [(measured, {"marker": mark, "markersize": 2.6, "linestyle": "-"})]
    drawn += [(line, {"linestyle": dashes}) for (dashes, _), line in _closed(plane).values()]
    for line, look in drawn:
        ax.plot(places, line, **{**look, "linestyle": "-"}, color="white", linewidth=2.4)
        ax.plot(places, line, **look, color="black")


def _closed(plane: Plane) -> dict[str, tuple[tuple[Any, bool], Line]]:
    """Return the looks and the positions of the closed lines, by label; {} if not known."""
    pairs = zip(CLOSED.items(), plane.closed, strict=False)
    return {label: (look, line) for (label, look), line in pairs}


def _legend(plane: Plane) -> list[Line2D]:
    looks: dict[str, dict[str, Any]] = {
        f"{metric_words(plane.study.score)} below {100 * KEPT:g} % of clean": {
            "marker": SCORE_MARK
        },
        f"capture above {CAPTURED:g}": {"marker": CAPTURE_MARK},
        **{words: {"linestyle": look[0]} for words, (look, _) in _closed(plane).items()},
    }
    return [
        Line2D([], [], color="black", markersize=2.6, label=words, **look)
        for words, look in looks.items()
    ]


def _across_words(plane: Plane) -> str:
    if plane.across == EPSILON:
        return epsilon_words(plane.study)
    return key_words(plane.across)


def _caption(plane: Plane) -> str:
    counts = [len(runs) for runs in plane.study.groups().values()]
    score = metric_words(plane.study.score)
    words = f"{score} after the last round: mean over {seed_words(counts)}."
    if not plane.attacked:
        return words
    return (
        f"{words} {CAPTURE_WORDS}. The lines with points are the {key_words(plane.down)} at which "
        f"the {score} falls below {100 * KEPT:g} % of what the rule reaches in the lowest row, and "
        f"at which the capture exceeds {CAPTURED:g}; where a line is missing, this did not happen. "
        f"{_closed_words(plane)}"
    ).strip()


def _closed_words(plane: Plane) -> str:
    if not plane.closed:
        return ""
    return (
        "The other lines are the closed form for l-nearest: f colluders among n_h honest holders "
        "win if f > 1 + (n_h - 1) rho (sign flip) or f > 1 + (n_h - 1) rho^2 (a direction "
        "orthogonal to the gradient), with the cosine rho of honest messages with their mean, "
        "measured in the runs without attackers."
    )
