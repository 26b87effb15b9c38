"""Style of figures: column width, embedded fonts, colour-blind-safe palette, reproducible bytes."""

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
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, MaxNLocator, NullLocator

from fedchain.statistics import Interval

NO_FILE_NAME = r'[<>:"/\\|?*]'
"""Characters that some operating system forbids in the name of a file."""
WIDTH_IN = 3.35
"""Width of one column of a two-column paper, inches."""
SKY, YELLOW, VERMILION, GREY = "#56B4E9", "#F0E442", "#D55E00", "#6F6F6F"
PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
"""The colours of Okabe and Ito that are visible as lines on white, in the order of use."""
STAGE_COLOURS = ("#0072B2", SKY, "#009E73", YELLOW, "#E69F00", VERMILION, "#CC79A7", "#999999")
"""Colours for areas, in an order in which neighbours differ clearly."""
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
LEGEND_LETTERS, HANDLE_LETTERS = 76, 6
"""LEGEND_LETTERS: width of a legend's line, in letters. HANDLE_LETTERS: width of a handle."""
LINES = ("-", (0, (5, 1.5)), (0, (3, 1, 1, 1)), (0, (1, 1)), (0, (6, 1, 1, 1, 1, 1)))
"""Dashes, which tell lines apart in print without colour."""
Curve = dict[float, Interval]
"""Intervals by position on the horizontal axis."""
RC_SETTINGS: dict[Any, Any] = {
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
    "text.parse_math": False,  # labels are the user's text, in which $ is a dollar
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
"""Metadata by file format, without date and version, so that equal figures give equal files."""


@dataclass(frozen=True)
class Drawing:
    """A figure, ready to be written."""

    name: str
    """File name without its ending: ``accuracy_against_epsilon``."""
    caption: str
    """What the figure shows, and what its bands and lines mean."""
    figure: Figure
    """The figure itself."""


@dataclass(frozen=True)
class Sign:
    """Colour, marker and dashes that tell a curve from the others."""

    colour: str
    """A colour of the palette."""
    marker: str
    """Marker at the points."""
    line: Any
    """Dashes of the line."""

    @property
    def look(self) -> dict[str, Any]:
        """The sign as arguments of a matplotlib line."""
        return {"color": self.colour, "marker": self.marker, "linestyle": self.line}


def sign_of(colour: int, mark: int) -> Sign:
    """Return the sign with colour number ``colour``, and marker and dashes number ``mark``."""
    marker, line = MARKERS[mark % len(MARKERS)], LINES[mark % len(LINES)]
    return Sign(PALETTE[colour % len(PALETTE)], marker, line)


@contextmanager
def styled() -> Iterator[None]:
    """Draw in fedchain's style inside the block; nothing outside it changes."""
    # The backend is not changed: a notebook's backend must survive the block.
    defaults: dict[Any, Any] = {k: v for k, v in mpl.rcParamsDefault.items() if k != "backend"}
    with mpl.rc_context({**defaults, **RC_SETTINGS}):
        yield


def figure(height_in: float) -> Figure:
    """Return an empty figure of column width, without axes."""
    return Figure(figsize=(WIDTH_IN, height_in), layout="constrained")


def axes(height_in: float = 2.3) -> tuple[Figure, Axes]:
    """Return an empty figure of column width, and its axes."""
    made = figure(height_in)
    return made, made.add_subplot()


def legend_below(figure: Figure, columns: int, handles: Sequence[Artist] = ()) -> None:
    """Put the legend under the axes, where it hides no data; add none if nothing has a label.

    Labels that are too long for their column reduce the number of columns.
    """
    shown = list(handles) or figure.axes[0].get_legend_handles_labels()[0]
    if shown:
        longest = max(len(str(handle.get_label())) for handle in shown)
        columns = max(1, min(columns, LEGEND_LETTERS // (longest + HANDLE_LETTERS)))
        figure.legend(handles=shown, loc="outside lower center", ncols=columns, columnspacing=1.2)


def logarithmic(ax: Axes) -> None:
    """Make the vertical axis logarithmic, with plain numbers at its ticks."""
    ax.set_yscale("log")
    ax.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    ax.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
    ax.yaxis.set_minor_locator(NullLocator())


def whole_numbers(axis: Axis) -> None:
    """Mark only whole numbers on an axis, also if it shows a single one."""
    axis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))


def draw_curve(ax: Axes, curve: Curve, sign: Sign, label: str, **more: Any) -> None:
    """Draw means as a line, and their intervals as a band."""
    means = [found.mean for found in curve.values()]
    ax.plot(list(curve), means, label=label, **sign.look, **more)
    banded = {x: found for x, found in curve.items() if math.isfinite(found.half)}
    low, high = [i.low for i in banded.values()], [i.high for i in banded.values()]
    ax.fill_between(list(banded), low, high, color=sign.colour, alpha=0.2, linewidth=0)


def drawn_half(found: Interval) -> float:
    """Return the half width of an error bar: 0 for one value, whose interval is infinite."""
    return found.half if math.isfinite(found.half) else 0.0


def draw_points(
    ax: Axes, places: Sequence[float], found: Sequence[Interval], sign: Sign, **more: Any
) -> None:
    """Draw means as points, with their intervals as error bars."""
    means, halves = [each.mean for each in found], [drawn_half(each) for each in found]
    ax.errorbar(places, means, halves, fmt=sign.marker, color=sign.colour, elinewidth=0.8, **more)


def finished(name: str, caption: str, figure: Figure) -> Drawing:
    """Lay out the figure, and return it as a drawing.

    In the name, characters that some system forbids in file names become underscores: a
    user-defined task may name its metrics freely.
    """
    # The layout engine moves things a little at every draw. It is switched off after the first, so
    # that the bytes of a file do not depend on how many files were written before it.
    with styled():
        figure.draw_without_rendering()
        figure.set_layout_engine("none")
    return Drawing(re.sub(NO_FILE_NAME, "_", name), caption, figure)


def render(drawing: Drawing, kind: str) -> bytes:
    """Return the bytes of the figure as ``pdf``, ``svg`` or ``png``; equal data give equal bytes.

    Raises:
        KeyError: another kind of file.
    """
    written = io.BytesIO()
    with styled():
        drawing.figure.savefig(written, format=kind, metadata=UNDATED[kind])
    return written.getvalue()
