"""Figure of each holder's gradients by round: used or rejected."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from matplotlib.artist import Artist
from matplotlib.colors import BoundaryNorm, ListedColormap
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from fedchain.reports.figures.style import (
    SKY,
    VERMILION,
    Drawing,
    axes,
    finished,
    legend_below,
    styled,
)
from fedchain.reports.study import Recorded, Study

ABSENT, USED, REJECTED = 0, 1, 2
"""What happened to a holder's gradient in a round; absent: the block has no message of it."""


def used_and_rejected(study: Study) -> Drawing | None:
    """Draw a cell for each holder and round: used, rejected or absent; a dot marks an attack."""
    run = study.first
    if study.kind == "sweep" or not run.messages:
        return None
    fates, attacks = holder_fates(run)
    with styled():
        figure, ax = axes(min(4.5, 1.3 + 0.09 * len(fates)))
        colours = ListedColormap(["#FFFFFF", SKY, VERMILION])
        edges = np.arange(0.5, fates.shape[1] + 1)
        ax.pcolormesh(
            edges,
            np.arange(-0.5, len(fates)),
            fates,
            cmap=colours,
            norm=BoundaryNorm([-0.5, 0.5, 1.5, 2.5], 3),
            rasterized=fates.size > 20_000,
        )
        holders, rounds = np.nonzero(attacks)
        ax.plot(rounds + 1, holders, ".", color="black", markersize=1.8)
        ax.grid(visible=False)
        ax.set(xlabel="round", ylabel="data holder")
        for axis in (ax.xaxis, ax.yaxis):
            axis.set_major_locator(MaxNLocator(integer=True))
        ax.invert_yaxis()
        legend_below(figure, 4, _key())
    caption = (
        "Each holder's gradient in each round: used by the aggregation rule, rejected by it, or in "
        "no block of the main chain. A dot marks a gradient that an attack made."
    )
    return finished("used_and_rejected", caption, figure)


def holder_fates(run: Recorded) -> tuple[npt.NDArray[np.int8], npt.NDArray[np.bool_]]:
    """Return what happened to each holder's gradient, and where an attack made it.

    If a holder sent two messages in a round because of a fork, the one in the main chain's block
    counts.

    Returns:
        Fates (holders, rounds) of 0, 1 or 2 for absent, used or rejected; attacks of that shape.
    """
    blocks = {int(row["round"]): row["block"] for row in run.metrics}
    holders = 1 + max(int(row["holder"]) for row in run.messages)
    fates = np.zeros((holders, max(blocks)), dtype=np.int8)
    attacks = np.zeros(fates.shape, dtype=np.bool_)
    for row in run.messages:
        cell = int(row["holder"]), int(row["round"]) - 1
        if cell[1] >= fates.shape[1]:
            continue
        attacks[cell] |= bool(row["attack"])
        if row["block"] == blocks.get(cell[1] + 1):
            fates[cell] = USED if row["used"] else REJECTED
    return fates, attacks


def _key() -> list[Artist]:
    fills = ((SKY, "used"), (VERMILION, "rejected"), ("#FFFFFF", "in no block"))
    patches: list[Artist] = [
        Patch(facecolor=colour, edgecolor="#999999", linewidth=0.5, label=words)
        for colour, words in fills
    ]
    dot = Line2D([], [], color="black", marker=".", markersize=3, linestyle="", label="attack")
    return [*patches, dot]
