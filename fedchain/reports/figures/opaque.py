"""Opaque: draws a figure without transparency, which EPS files cannot hold."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from matplotlib.artist import Artist
from matplotlib.collections import Collection
from matplotlib.colors import ListedColormap, to_rgba, to_rgba_array
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch


@contextmanager
def opaque(figure: Figure) -> Iterator[None]:
    """Paint every line and area in its colour on white, inside a ``with`` block.

    What is transparent alone is mixed with white. Where it lies on something else, it covers it.
    """
    undo: list[Callable[[], object]] = []
    for artist in figure.findobj():
        undo += _painted(artist)
    try:
        yield
    finally:
        for each in reversed(undo):
            each()


def _painted(artist: Artist) -> list[Callable[[], object]]:
    """Paint one artist opaque, and return what puts its colours back."""
    if isinstance(artist, Line2D):
        return _set(artist, color=on_white(to_rgba(artist.get_color(), artist.get_alpha())))
    if isinstance(artist, Patch | Collection):
        if isinstance(artist, Collection) and artist.get_array() is not None:
            return _repainted_cells(artist)
        colours: dict[str, Any] = {
            "facecolor": on_white(artist.get_facecolor()),
            "edgecolor": on_white(artist.get_edgecolor()),
        }
        return _set(artist, **colours)
    return []


def _repainted_cells(cells: Collection) -> list[Callable[[], object]]:
    """Paint cells, whose colours are those of their values, opaque."""
    before = cells.get_cmap()
    colours = np.asarray(before(np.arange(before.N)))
    mixed = colours[:, :3] * colours[:, 3:] + 1 - colours[:, 3:]
    cells.set_cmap(ListedColormap(mixed))
    return [lambda: cells.set_cmap(before)]


def _set(artist: Any, **colours: Any) -> list[Callable[[], object]]:
    alpha = artist.get_alpha()
    before = {name: getattr(artist, f"get_{name}")() for name in colours}
    artist.set_alpha(None)
    artist.set(**colours)
    return [lambda: (artist.set_alpha(None), artist.set(**before), artist.set_alpha(alpha))]


def on_white(colour: Any) -> Any:
    """Return a colour, or several, as they look on white paper.

    A colour that cannot be seen at all is returned as it is.

    >>> [round(float(part), 2) for part in on_white((0.0, 0.5, 1.0, 0.5))]
    [0.5, 0.75, 1.0, 1.0]
    """
    if isinstance(colour, tuple):
        return tuple(on_white(np.array([colour]))[0])
    rows = to_rgba_array(colour)
    seen, alpha = rows[:, 3] > 0, rows[:, 3:]
    mixed = np.column_stack([rows[:, :3] * alpha + 1 - alpha, np.ones(len(rows))])
    return np.where(seen[:, None], mixed, rows)
