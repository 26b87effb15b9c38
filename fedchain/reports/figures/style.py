"""Style of figures: sets their size, fonts, colours and legends, and writes their files."""

from __future__ import annotations

import io
import math
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import matplotlib as mpl
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, MaxNLocator, NullLocator

from fedchain.reports.figures.embedding import placed_fonts
from fedchain.reports.figures.opaque import opaque
from fedchain.reports.figures.paper import IN_FORCE, NATURAL_IN, USUAL, Paper, width
from fedchain.statistics import Interval

NO_FILE_NAME = r'[<>:"/\\|?*]'
"""Characters that an operating system forbids in file names."""
SKY, YELLOW, VERMILION, GREY = "#56B4E9", "#F0E442", "#D55E00", "#6F6F6F"
PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
"""Colours of lines, by Okabe and Ito, in the order of use."""
STAGE_COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", GREY)
"""Colours of areas, in the order of use: neighbours differ in hue and in lightness."""
RASTERED = 2_000
"""Number of cells, crosses or bars from which a figure draws them as pixels, for a small file."""
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
LEGEND_LETTERS, HANDLE_LETTERS = 76, 6
"""LEGEND_LETTERS: width of a legend of natural width, in letters. HANDLE_LETTERS: width of a
handle, in letters."""
LINES = ("-", (0, (5, 1.5)), (0, (3, 1, 1, 1)), (0, (1, 1)), (0, (6, 1, 1, 1, 1, 1)))
"""Dashes of lines, in the order of use."""
Bounds = tuple[float, float]
"""The least and the largest value that something can have."""
NO_BOUNDS: Bounds = (-math.inf, math.inf)
"""Bounds of what can have any value."""
Curve = dict[float, Interval]
"""Means with their intervals, by position on the horizontal axis."""
RC_SETTINGS: dict[Any, Any] = {
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
    "grid.color": "black",
    "grid.alpha": 0.14,  # on a dark page ink is light, and so must the grid be
    "lines.linewidth": 1.2,
    "lines.markersize": 3.6,
    "hatch.linewidth": 0.4,
    "text.parse_math": False,  # labels are the user's text, in which $ is a dollar
    "figure.dpi": 100,
    "savefig.dpi": 300,
    "pdf.fonttype": 42,
    "ps.fonttype": 42,
    "svg.fonttype": "none",
    "svg.hashsalt": "fedchain",
}
UNDATED: dict[str, dict[str, str | None]] = {
    "pdf": {"CreationDate": None, "Producer": None, "Creator": None},
    "svg": {"Date": None, "Creator": None},
    "png": {"Software": None},
    "eps": {"Creator": "fedchain"},
}
"""Metadata by file format, without date and version."""
DATE = rb"%%CreationDate: .*\n"
"""The line of an EPS file with its date, which no metadata takes away."""


@dataclass(frozen=True)
class Drawing:
    """A finished figure."""

    name: str
    """File name without its ending, such as ``accuracy_against_epsilon``."""
    caption: str
    """Caption of the figure."""
    figure: Figure
    """The figure."""
    paper: Paper = USUAL
    """What the figure is drawn for."""

    @cached_property
    def svg(self) -> bytes:
        """The figure as SVG, which a file and the page share."""
        return _saved(self, "svg")


@dataclass(frozen=True)
class Sign:
    """Colour, marker and dashes of a curve."""

    colour: str
    """Colour of the curve."""
    marker: str
    """Marker at the points."""
    line: Any
    """Dashes of the line."""

    @property
    def look(self) -> dict[str, Any]:
        """Arguments of a matplotlib line for this sign."""
        return {"color": self.colour, "marker": self.marker, "linestyle": self.line}


def sign_of(colour: int, mark: int) -> Sign:
    """Return the sign for two indices: one of the colour, one of the marker and the dashes."""
    marker, line = MARKERS[mark % len(MARKERS)], LINES[mark % len(LINES)]
    return Sign(PALETTE[colour % len(PALETTE)], marker, line)


@contextmanager
def styled(paper: Paper | None = None) -> Iterator[None]:
    """Use fedchain's style for figures inside a ``with`` block.

    Without ``paper``, the paper stays that of the block around this one.
    """
    # The backend is not changed: a notebook's backend must survive the block.
    defaults: dict[Any, Any] = {k: v for k, v in mpl.rcParamsDefault.items() if k != "backend"}
    token = IN_FORCE.set(paper or IN_FORCE.get())
    fonts: dict[Any, Any] = {"font.family": IN_FORCE.get().fonts}
    try:
        with mpl.rc_context({**defaults, **RC_SETTINGS, **fonts}):
            yield
    finally:
        IN_FORCE.reset(token)


def figure(height_in: float) -> Figure:
    """Return an empty figure as wide as the paper, without axes."""
    return Figure(figsize=(width(), height_in), layout="constrained")


def figure_of_cells(natural_in: float, height_in: float) -> Figure:
    """Return an empty figure without axes; unless the paper has a width, of its natural width."""
    return Figure(figsize=(IN_FORCE.get().width_in or natural_in, height_in), layout="constrained")


def axes(height_in: float = 2.3) -> tuple[Figure, Axes]:
    """Return an empty figure as wide as the paper, and its axes."""
    made = figure(height_in)
    return made, made.add_subplot()


def legend_below(figure: Figure, columns: int, handles: Sequence[Artist] = ()) -> None:
    """Put a legend below the axes, with ``columns`` columns at most in the natural width.

    Without ``handles``, the legend shows the labelled lines of the first axes.
    """
    shown = list(handles) or figure.axes[0].get_legend_handles_labels()[0]
    if shown:
        longest = max(len(str(handle.get_label())) for handle in shown)
        wide = figure.get_figwidth() / NATURAL_IN
        fit = int(wide * LEGEND_LETTERS) // (longest + HANDLE_LETTERS)
        columns = max(1, min(math.ceil(wide * columns), fit))
        figure.legend(handles=shown, loc="outside lower center", ncols=columns, columnspacing=1.2)


def logarithmic(ax: Axes) -> None:
    """Make the vertical axis logarithmic, with plain numbers at the ticks."""
    ax.set_yscale("log")
    ax.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    ax.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
    ax.yaxis.set_minor_locator(NullLocator())


def whole_numbers(axis: Axis) -> None:
    """Mark only whole numbers on an axis."""
    axis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))


def draw_curve(
    ax: Axes, curve: Curve, sign: Sign, label: str, bounds: Bounds = NO_BOUNDS, **more: Any
) -> None:
    """Draw means as a line, and the intervals, as far as they lie in the bounds, as a band."""
    means = [found.mean for found in curve.values()]
    ax.plot(list(curve), means, label=label, **sign.look, **more)
    banded = {
        x: drawn_ends(found, bounds) for x, found in curve.items() if math.isfinite(found.half)
    }
    low, high = [low for low, _ in banded.values()], [high for _, high in banded.values()]
    ax.fill_between(list(banded), low, high, color=sign.colour, alpha=0.2, linewidth=0)


def drawn_ends(found: Interval, bounds: Bounds) -> tuple[float, float]:
    """Return the ends of an interval as far as they lie in the bounds of what it is of.

    >>> drawn_ends(Interval(0.95, 0.1, 3), (0.0, 1.0))
    (0.85, 1.0)
    """
    return max(found.low, bounds[0]), min(found.high, bounds[1])


def draw_bars(ax: Axes, curve: Curve, sign: Sign, bounds: Bounds = NO_BOUNDS) -> None:
    """Draw the intervals, as far as they lie in the bounds, as vertical bars."""
    for x, found in curve.items():
        if math.isfinite(found.half):
            ax.plot([x, x], drawn_ends(found, bounds), color=sign.colour, linewidth=0.8)


def drawn_half(found: Interval) -> float:
    """Return half the length of an error bar; 0 for an infinite interval."""
    return found.half if math.isfinite(found.half) else 0.0


def draw_points(
    ax: Axes, places: Sequence[float], found: Sequence[Interval], sign: Sign, **more: Any
) -> None:
    """Draw means as points, and the intervals as error bars."""
    means, halves = [each.mean for each in found], [drawn_half(each) for each in found]
    ax.errorbar(places, means, halves, fmt=sign.marker, color=sign.colour, elinewidth=0.8, **more)


def finished(name: str, caption: str, figure: Figure) -> Drawing:
    """Lay out the figure, and return it as a drawing.

    Characters of the name that are forbidden in file names become underscores.
    """
    # The layout engine moves things a little at every draw. It runs once and is taken away, so that
    # the bytes of a file do not depend on how many files were written before it. With an engine,
    # matplotlib would also draw twice for each file.
    with styled():
        engine = figure.get_layout_engine()
        if engine is not None:  # a user-defined audit may place everything itself
            engine.execute(figure)
        figure.set_layout_engine(None)
    return Drawing(re.sub(NO_FILE_NAME, "_", name), caption, figure, IN_FORCE.get())


def render(drawing: Drawing, kind: str) -> bytes:
    """Return the bytes of a file, one of ``FIGURE_KINDS``; equal figures give equal bytes.

    Raises:
        KeyError: the kind of file is not known.
    """
    return drawing.svg if kind == "svg" else _saved(drawing, kind)


def _saved(drawing: Drawing, kind: str) -> bytes:
    written, clear, figure = io.BytesIO(), kind == "svg", drawing.figure
    around = {"pdf": placed_fonts, "eps": lambda: opaque(figure)}.get(kind, nullcontext)
    with styled(drawing.paper), around():
        figure.savefig(written, format=kind, metadata=UNDATED[kind], transparent=clear)
    content = written.getvalue()
    return _inked(content) if clear else re.sub(DATE, b"", content) if kind == "eps" else content


def _inked(svg: bytes) -> bytes:
    """Return an SVG whose ink is the current colour: black on white paper, if nobody sets it."""
    paper = b'<svg style="background: white; color: black" '
    ink = b'<style type="text/css">text{fill: currentColor}svg *{'
    inked = svg.replace(b"<svg ", paper, 1).replace(b"#000000", b"currentColor")
    return inked.replace(b'<style type="text/css">*{', ink, 1)


def inlined(drawing: Drawing, prefix: str) -> str:
    """Return a figure as an element of a page, whose text can be selected.

    The ground is transparent and the ink is the page's. ``prefix`` makes its names unlike those of
    the page's other figures.
    """
    svg = drawing.svg.decode()
    whole = svg[svg.index("<svg ") :]
    body = re.sub(r"<metadata>.*?</metadata>", "", whole, flags=re.DOTALL)
    body = re.sub(r' (?:width|height)="[\d.]+pt"', "", body, count=2)
    body = body.replace(' style="background: white; color: black"', "", 1)
    return re.sub(r'( id="|url\(#|href="#)', rf"\g<1>{prefix}-", body).strip()
