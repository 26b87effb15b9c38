"""How every figure looks: paper width, embedded fonts, a palette for every eye, steady bytes."""

from __future__ import annotations

import io
import math
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import matplotlib as mpl
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullLocator

from fedchain.statistics import Interval

NO_FILE_NAME = r'[<>:"/\\|?*]'
"""What no file may have in its name on some system."""
WIDTH_IN = 3.35
"""Width of one column of a two-column paper, inches."""
SKY, YELLOW, VERMILION, GREY = "#56B4E9", "#F0E442", "#D55E00", "#6F6F6F"
PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
"""The colours of Okabe and Ito that show as lines on white, in the order of use."""
STAGES = ("#0072B2", "#56B4E9", "#009E73", "#F0E442", "#E69F00", "#D55E00", "#CC79A7", "#999999")
"""The same colours for areas, where neighbours must differ."""
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
LEGEND_LETTERS, HANDLE_LETTERS = 76, 6
"""Letters of a legend's line in a figure of column width, and those that a sign takes."""
LINES = ("-", (0, (5, 1.5)), (0, (3, 1, 1, 1)), (0, (1, 1)), (0, (6, 1, 1, 1, 1, 1)))
"""Dashes: a second sign beside the colour, for print without colour."""
SETTINGS: dict[Any, Any] = {
    "font.family": "DejaVu Sans",
    "font.size": 7.5,
    "axes.labelsize": 7.5,
    "axes.titlesize": 7.5,
    "xtick.labelsize": 6.5,
    "ytick.labelsize": 6.5,
    "legend.fontsize": 6.5,
    "legend.frameon": False,
    "legend.handlelength": 2.4,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.6,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.linewidth": 0.4,
    "grid.color": "#DDDDDD",
    "lines.linewidth": 1.2,
    "lines.markersize": 3.6,
    "hatch.linewidth": 0.4,
    "figure.dpi": 100,
    "savefig.dpi": 300,
    "pdf.fonttype": 42,
    "svg.fonttype": "path",
    "svg.hashsalt": "fedchain",
}
UNDATED: dict[str, dict[str, str | None]] = {
    "pdf": {"CreationDate": None, "Producer": None, "Creator": None},
    "svg": {"Date": None, "Creator": None},
    "png": {"Software": None},
}
"""Metadata by format: no date and no version, so that equal figures are equal files."""


@dataclass(frozen=True)
class Drawing:
    """A figure that is ready to be written."""

    name: str
    """File name without its ending: ``accuracy_against_epsilon``."""
    caption: str
    """What one sees, in words, with what the bands and lines mean."""
    figure: Figure
    """The drawing itself."""


@dataclass(frozen=True)
class Sign:
    """How one curve is told from the others, with and without colour."""

    colour: str
    """Of the palette."""
    marker: str
    """At the points."""
    line: Any
    """Dashes of the line."""


def sign_of(colour: int, mark: int) -> Sign:
    """Return the sign with these numbers in the palette, and in markers and dashes."""
    return Sign(
        PALETTE[colour % len(PALETTE)], MARKERS[mark % len(MARKERS)], LINES[mark % len(LINES)]
    )


@contextmanager
def styled() -> Iterator[None]:
    """Draw in fedchain's style inside the block; nothing outside it changes."""
    # The backend stays as it is: a notebook's own must outlive the block.
    defaults: dict[Any, Any] = {k: v for k, v in mpl.rcParamsDefault.items() if k != "backend"}
    with mpl.rc_context({**defaults, **SETTINGS}):
        yield


def axes(height_in: float = 2.3) -> tuple[Figure, Axes]:
    """Return an empty figure of column width, and its axes."""
    figure = Figure(figsize=(WIDTH_IN, height_in), layout="constrained")
    return figure, figure.add_subplot()


def legend_below(figure: Figure, columns: int, handles: Sequence[Artist] = ()) -> None:
    """Put the legend under the axes, where it hides no data; nothing where nothing has a name.

    Names that are too long for their column stand in fewer columns.
    """
    shown = list(handles) or figure.axes[0].get_legend_handles_labels()[0]
    if shown:
        longest = max(len(str(handle.get_label())) for handle in shown)
        columns = max(1, min(columns, LEGEND_LETTERS // (longest + HANDLE_LETTERS)))
        figure.legend(handles=shown, loc="outside lower center", ncols=columns, columnspacing=1.2)


def logarithmic(ax: Axes) -> None:
    """Make the vertical axis logarithmic, with plain numbers beside it."""
    ax.set_yscale("log")
    ax.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    ax.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
    ax.yaxis.set_minor_locator(NullLocator())


def drawn_half(found: Interval) -> float:
    """Return the half width of an error bar: none for one value, whose interval is infinite."""
    return found.half if math.isfinite(found.half) else 0.0


def finished(name: str, caption: str, figure: Figure) -> Drawing:
    """Return the figure as a drawing, laid out once.

    The layout engine goes on moving things a little at every draw; left on, the bytes of a file
    would depend on how many were written before it. What no file may have in its name on some
    system becomes an underscore: a task of the user's own names its metrics as it likes.
    """
    with styled():
        figure.draw_without_rendering()
        figure.set_layout_engine("none")
    return Drawing(re.sub(NO_FILE_NAME, "_", name), caption, figure)


def render(drawing: Drawing, kind: str) -> bytes:
    """Return the figure as a file of this kind: ``pdf``, ``svg`` or ``png``; same data, same bytes.

    Raises:
        KeyError: another kind of file.
    """
    written = io.BytesIO()
    with styled():
        drawing.figure.savefig(written, format=kind, metadata=UNDATED[kind])
    return written.getvalue()
