"""Figures of two numbers: the score as colour over two numeric grid keys, and where rules break.

A sweep is drawn so if exactly two of its grid keys have numbers alone, three or more each. One more
key, such as the rule, makes a column of panels for each of its values. If one of the two numbers is
that of the attackers, it is the vertical axis, a second row of panels shows the capture, and lines
show where each rule breaks.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from fedchain.arrays import Matrix
from fedchain.reports.figures import style
from fedchain.reports.figures.maps import CELL_COLOURS, strip_axes
from fedchain.reports.figures.paper import IN_FORCE
from fedchain.reports.planes import CAPTURED, CLOSED, KEPT, Line, Plane, plane_of
from fedchain.reports.study import EPSILON, Study
from fedchain.reports.words import (
    axis_words,
    epsilon_words,
    score_words,
    seed_words,
    value_words,
)

PANEL_IN, HEIGHT_IN, BESIDE_IN = 1.45, 1.45, 1.0
"""Width and height of a panel, and width of what stands beside the panels, inches."""
LEAST_PANEL_IN = 1.0
"""Width below which the panels of a row could not be read, inches."""
DASHES: tuple[Any, ...] = ((0, (4, 1.5)), (0, (1, 1)))
"""Dashes of the closed lines."""
SCORE_MARK, CAPTURE_MARK = "o", "s"
"""Markers of the lines where the score falls and where the capture rises."""


def phase_diagram(study: Study) -> style.Drawing | None:
    """Draw the score, and the capture by attackers, over two numeric grid keys."""
    plane = plane_of(study)
    if plane is None:
        return None
    rows = [(score_words(study, study.score), plane.scores)]
    rows += [("capture", plane.captures)] if plane.attacked else []
    upright = _is_upright(len(plane.panels))
    figure, shape = _grid(len(rows), len(plane.panels), upright=upright)
    for axes, (label, cells) in zip(shape, rows, strict=True):
        worth = cells is plane.scores
        bounds = (min(map(np.nanmin, cells)), max(map(np.nanmax, cells))) if worth else (0.0, 1.0)
        for place, ax in enumerate(axes):
            drawn = _draw_cells(ax, plane, cells[place], bounds)
            if plane.attacked:
                line = (plane.broken if worth else plane.captured)[place]
                _draw_lines(ax, plane, line, SCORE_MARK if worth else CAPTURE_MARK)
        beside = {"location": "top", "aspect": 20} if upright else {"pad": 0.01, "aspect": 14}
        figure.colorbar(drawn, ax=list(axes), label=label, **beside)
    for ax, title in zip(shape[0], plane.panels.values(), strict=True):
        ax.set_title(title)
    printed = shape.T if upright else shape
    for ax in printed[:, 0]:
        ax.set_ylabel(axis_words(plane.study, plane.down))
    for ax in printed[-1]:
        ax.set_xlabel(axis_words(plane.study, plane.across))
    if plane.attacked:
        style.legend_below(figure, 2, _legend(plane))
    return style.finished(f"{study.score}_diagram", _caption(plane), figure)


def _is_upright(panels: int) -> bool:
    """Return whether the panels stand below each other, since the paper is too narrow for a row."""
    width_in = IN_FORCE.get().width_in
    return width_in is not None and (width_in - BESIDE_IN) / panels < LEAST_PANEL_IN


def _grid(rows: int, panels: int, *, upright: bool) -> tuple[Figure, Any]:
    """Return a figure and its axes by row and panel; a column of panels if it is upright."""
    if upright:
        figure = style.figure(HEIGHT_IN * panels + 1.1)
        shape = figure.subplots(panels, rows, sharex=True, sharey=True, squeeze=False)
        return figure, shape.T
    figure = style.figure_of_cells(PANEL_IN * panels + BESIDE_IN, HEIGHT_IN * rows + 0.95)
    return figure, figure.subplots(rows, panels, sharex=True, sharey=True, squeeze=False)


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
    for label, dashes, line in _closed(plane):
        ax.plot(places, line, color=style.GREY, linestyle=dashes, label=label)
    _mark(ax, plane)
    ax.set_ylabel(axis_words(plane.study, plane.down))
    ax.set_xlabel(_across_words(plane))
    style.legend_below(figure, 2)
    caption = (
        f"The {axis_words(plane.study, plane.down)} at which each rule breaks: the "
        f"{score_words(study, study.score)} falls below {100 * KEPT:g} % of what the rule "
        f"reaches with {plane.ys[0]:g}. Where a line is missing, the rule did not break. "
        f"{_closed_words(plane)}"
    )
    return style.finished("breaking_lines", caption.strip(), figure)


def _draw_cells(
    ax: Axes, plane: Plane, cells: Matrix, bounds: tuple[float, float]
) -> ScalarMappable:
    """Draw coloured cells: the columns at equal distances, the rows around their values."""
    xs, ys = np.arange(len(plane.xs) + 1.0) - 0.5, edges_of(plane.ys)
    drawn = ax.pcolormesh(xs, ys, cells, cmap=CELL_COLOURS, vmin=bounds[0], vmax=bounds[1])
    _mark(ax, plane)
    ax.set_yticks(plane.ys, [f"{y:g}" for y in plane.ys])
    ax.set_ylim(ys[0], ys[-1])
    strip_axes(ax)
    return drawn


def _mark(ax: Axes, plane: Plane) -> None:
    ax.set_xticks(range(len(plane.xs)), [value_words(x) for x in plane.xs])


def edges_of(values: Sequence[float]) -> list[float]:
    """Return the edges of cells around increasing values: the middles, and as far beyond the ends.

    >>> edges_of([0.0, 0.5, 1.5])
    [-0.25, 0.25, 1.0, 2.0]
    """
    middles = [(low + high) / 2 for low, high in pairwise(values)]
    return [2 * values[0] - middles[0], *middles, 2 * values[-1] - middles[-1]]


def _draw_lines(ax: Axes, plane: Plane, measured: Line, mark: str) -> None:
    places = list(range(len(plane.xs)))
    drawn: list[tuple[Line, dict[str, Any]]] = [(measured, {"marker": mark, "markersize": 2.6})]
    drawn += [(line, {"linestyle": dashes}) for _, dashes, line in _closed(plane)]
    for line, look in drawn:
        ax.plot(places, line, color="white", linewidth=2.4)
        ax.plot(places, line, **look, color="black")


def _closed(plane: Plane) -> list[tuple[str, Any, Line]]:
    """Return the label, the dashes and the positions of each closed line; [] if not known."""
    pairs = zip(CLOSED, DASHES, plane.closed, strict=False)
    return [(label, dashes, line) for label, dashes, line in pairs]


def _legend(plane: Plane) -> list[Line2D]:
    score = score_words(plane.study, plane.study.score)
    looks: dict[str, dict[str, Any]] = {
        f"{score} below {100 * KEPT:g} % of clean": {"marker": SCORE_MARK},
        f"capture above {CAPTURED:g}": {"marker": CAPTURE_MARK},
        **{label: {"linestyle": dashes} for label, dashes, _ in _closed(plane)},
    }
    return [
        Line2D([], [], color="black", markersize=2.6, label=words, **look)
        for words, look in looks.items()
    ]


def _across_words(plane: Plane) -> str:
    if plane.across == EPSILON:
        return epsilon_words(plane.study)
    return axis_words(plane.study, plane.across)


def _caption(plane: Plane) -> str:
    counts = [len(runs) for runs in plane.study.groups().values()]
    score = score_words(plane.study, plane.study.score)
    words = f"{score} after the last round: mean over {seed_words(counts)}."
    if not plane.attacked:
        return words
    return (
        f"{words} Capture is the share of the attacked rounds in which the attackers' part of the "
        "gradient was at least their part of the messages. Round points are the "
        f"{axis_words(plane.study, plane.down)} at which the {score} falls below "
        f"{100 * KEPT:g} % of what the rule reaches in the lowest row, square "
        f"points where the capture exceeds {CAPTURED:g}; where they are missing, this did not "
        f"happen. {_closed_words(plane)}"
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
