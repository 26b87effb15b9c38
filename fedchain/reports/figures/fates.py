"""Fates: draws which gradients each round used and left out, and which of them attackers sent."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap, NoNorm, to_rgba
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from fedchain.reports.figures import style
from fedchain.reports.study import Recorded, Study

ABSENT, USED, LEFT_OUT = 0, 1, 2
"""Fate of a holder's gradient in a round. ABSENT: the block has no message of the holder."""
ATTACKER = 2
"""What is added to the fate of an attacker's gradient, for its place in ``FILLS``."""
FAINT = 0.3
"""Opacity of what was left out."""
FILLS = (
    ("in no block", to_rgba("white", 0.0)),
    ("honest, used", to_rgba(style.SKY)),
    ("honest, left out", to_rgba(style.SKY, FAINT)),
    ("attacker, used", to_rgba(style.VERMILION)),
    ("attacker, left out", to_rgba(style.VERMILION, FAINT)),
)
"""Label and colour: hue says whose the gradient is, and strength whether it was used."""


def used_and_left_out(study: Study) -> style.Drawing | None:
    """Plot the fate of each holder's gradient in each round: used, left out or absent."""
    run = study.first
    if study.kind == "sweep" or not run.messages:
        return None
    fates, attacks = holder_fates(run)
    cells = fates + ATTACKER * (attacks & (fates != ABSENT))
    figure, ax = style.axes(min(4.5, 1.3 + 0.09 * len(fates)))
    ax.pcolormesh(
        np.arange(0.5, fates.shape[1] + 1),
        np.arange(-0.5, len(fates)),
        cells,
        cmap=ListedColormap([colour for _, colour in FILLS]),
        norm=NoNorm(),
        rasterized=fates.size >= style.RASTERED,
    )
    _mark(ax, attacks)
    ax.grid(visible=False)
    ax.set(xlabel="round", ylabel="data holder")
    for axis in (ax.xaxis, ax.yaxis):
        style.whole_numbers(axis)
    ax.invert_yaxis()
    handles: list[Patch | Line2D] = [
        Patch(facecolor=colour, edgecolor=style.GREY, linewidth=0.5, label=words)
        for place, (words, colour) in enumerate(FILLS)
        if (cells == place).any()
    ]
    if attacks.any():
        cross = Line2D([], [], color="black", marker="x", markersize=3, linestyle="")
        cross.set_label("attack")
        handles.append(cross)
    style.legend_below(figure, 3, handles)
    caption = (
        "Each holder's gradient in each round: strong colours were used by the aggregation rule, "
        "faint ones left out. Blue is honest, vermilion with a cross was made by an attack: strong "
        "vermilion is an attacker that was used."
    )
    return style.finished("used_and_left_out", caption, figure)


def _mark(ax: Axes, attacks: npt.NDArray[np.bool_]) -> None:
    """Put a cross on each gradient that an attack made."""
    holders, rounds = np.nonzero(attacks)
    crosses = ax.plot(rounds + 1, holders, "x", color="black", markersize=2, markeredgewidth=0.5)
    crosses[0].set_rasterized(len(rounds) >= style.RASTERED)


def holder_fates(run: Recorded) -> tuple[npt.NDArray[np.int8], npt.NDArray[np.bool_]]:
    """Return the fate of each holder's gradient in each round.

    Returns:
        Two arrays of shape (holders, rounds): the fate (``ABSENT``, ``USED`` or ``LEFT_OUT``), and
        whether an attack made the gradient.
    """
    blocks = {int(row["round"]): row["block"] for row in run.metrics}
    messages = [row for row in run.messages if row["members"]]  # without the public root
    holders = 1 + max(int(row["holder"]) for row in messages)
    fates = np.zeros((holders, max(blocks)), dtype=np.int8)
    attacks = np.zeros(fates.shape, dtype=np.bool_)
    for row in messages:
        cell = int(row["holder"]), int(row["round"]) - 1
        if cell[1] >= fates.shape[1]:
            continue
        attacks[cell] |= bool(row["attack"])
        if row["block"] == blocks.get(cell[1] + 1):
            fates[cell] = USED if row["used"] else LEFT_OUT
    return fates, attacks
