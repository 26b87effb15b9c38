"""Figures of two axes: a matrix of two kinds of parts, and what all figures with cells share.

A sweep with exactly two grid keys whose values are no numbers, such as attacks and rules, is drawn
as a matrix.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial

import numpy as np
from matplotlib.axes import Axes

from fedchain.arrays import Matrix
from fedchain.reports.figures import style
from fedchain.reports.planes import cells_of, is_numeric, values_of
from fedchain.reports.study import Study, final
from fedchain.reports.words import axis_words, key_words, score_words, seed_words, value_words

CELL_COLOURS = "viridis"
"""Colour map of cells; its lightness rises evenly, also for the colour-blind."""
CELL_IN, LETTER_IN, LINE_IN = 0.30, 0.062, 0.17
"""Width of a cell, width of a letter of a label, and height of a row, inches."""
CELL_LETTERS_SIZE, LETTERS_A_INCH = 5.8, 28.0
"""CELL_LETTERS_SIZE: size of the letters in cells, points. LETTERS_A_INCH: their largest size for
each inch of a cell's width, points."""
DARK_BELOW = 0.62
"""Cells whose place on the colour map is below this number have white letters."""
WORST = "worst"
"""Heading of the column with the worst value of each row."""


def matrix(study: Study) -> style.Drawing | None:
    """Draw the score for each pair of two kinds of parts; None if these are not the two grid keys.

    The values of ``study.x`` are the columns. Another column has the worst value of each row, and
    the row with the best of these stands first.
    """
    if len(study.keys) != 2 or any(is_numeric(study, key) for key in study.keys):
        return None
    across, down = study.x, study.keys[1 - study.axis]
    columns, rows = values_of(study, across), values_of(study, down)
    if min(len(columns), len(rows)) < 2:
        return None
    found = cells_of(study, down, across, partial(final, metric=study.score))
    whole = np.column_stack([found, worst_of(found, smallest=study.score != "loss")])
    order = ordered(whole[:, -1], rising=study.score == "loss")
    labels = [value_words(rows[place], study.labels) for place in order]
    heads = [*(value_words(value, study.labels) for value in columns), WORST]
    left, top = (LETTER_IN * max(map(len, words)) for words in (labels, heads))
    beside = left + 0.3
    natural_in = CELL_IN * len(heads) + beside
    figure = style.figure_of_cells(natural_in, LINE_IN * len(rows) + top + 0.5)
    cell_in = (figure.get_figwidth() - beside) / len(heads)
    ax = figure.add_subplot()
    _draw_cells(ax, whole[order], labels, heads, min(CELL_LETTERS_SIZE, LETTERS_A_INCH * cell_in))
    ax.set(xlabel=axis_words(study, across), ylabel=axis_words(study, down))
    ax.xaxis.set_label_position("top")
    words, counts = score_words(study, study.score), [len(runs) for runs in study.groups().values()]
    caption = (
        f"{words} after the last round, for each {axis_words(study, down)} (rows) and each "
        f"{axis_words(study, across)} (columns): mean over {seed_words(counts)}. The last "
        "column is the worst value of the row, and the rows are sorted by it."
    )
    name = f"{study.score}_by_{'_and_'.join(key_words(key) for key in study.keys)}"
    return style.finished(name.replace(" ", "_"), caption, figure)


def worst_of(cells: Matrix, *, smallest: bool) -> Matrix:
    """Return the smallest (or largest) value of each row without NaN; NaN if it has only these.

    >>> worst_of(np.array([[0.9, math.nan, 0.2], [math.nan] * 3]), smallest=True).tolist()
    [0.2, nan]
    """
    far = math.inf if smallest else -math.inf
    filled = np.where(np.isnan(cells), far, cells)
    found = filled.min(axis=1) if smallest else filled.max(axis=1)
    return np.where(np.isinf(found), math.nan, found)


def ordered(worst: Matrix, *, rising: bool) -> list[int]:
    """Return the indices of rows, first the best of the worst values and last those without one.

    >>> ordered(np.array([0.2, math.nan, 0.9, 0.2]), rising=False)
    [2, 0, 3, 1]
    """
    keys = [math.inf if math.isnan(value) else value if rising else -value for value in worst]
    return sorted(range(len(keys)), key=keys.__getitem__)


def _draw_cells(
    ax: Axes, cells: Matrix, rows: Sequence[str], columns: Sequence[str], size: float
) -> None:
    """Draw coloured cells with numbers of a size in points; the last column stands apart."""
    low, high = np.nanmin(cells), np.nanmax(cells)
    wide = cells.shape[1] - 1
    edges = [*np.arange(wide + 1.0), wide + 0.25, wide + 1.25]
    spaced = np.column_stack([cells[:, :-1], np.full(len(cells), math.nan), cells[:, -1]])
    ax.pcolormesh(
        edges, np.arange(len(cells) + 1.0), spaced, cmap=CELL_COLOURS, vmin=low, vmax=high
    )
    middles = [*(place + 0.5 for place in range(wide)), wide + 0.75]
    for (row, column), value in np.ndenumerate(cells):
        dark = not math.isnan(value) and (value - low) / max(high - low, 1e-300) < DARK_BELOW
        colour = "white" if dark else "black"
        words, place = cell_text(value), (middles[column], row + 0.5)
        ax.text(*place, words, color=colour, size=size, ha="center", va="center")
    ax.set_xticks(middles, columns, rotation=90)
    ax.set_yticks(np.arange(len(cells)) + 0.5, rows)
    ax.invert_yaxis()
    strip_axes(ax)
    ax.xaxis.tick_top()
    ax.tick_params(length=0)


def strip_axes(ax: Axes) -> None:
    """Take the grid and the frame from axes with cells."""
    ax.grid(visible=False)
    for spine in ax.spines.values():
        spine.set_visible(False)


def cell_text(value: float) -> str:
    """Return the text of a cell: two decimals without the zero before the point.

    >>> cell_text(0.934), cell_text(1.0), cell_text(12.34), cell_text(math.nan)
    ('.93', '1.00', '12.3', '–')
    """
    if math.isnan(value):
        return "–"
    text = f"{value:.2f}" if abs(value) < 10 else f"{value:.3g}"
    return text.replace("0.", ".", 1) if abs(value) < 1 else text
