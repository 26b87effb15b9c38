"""Figures of audits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from fedchain.studies.figures.style import (
    GREY,
    MARKERS,
    PALETTE,
    VERMILION,
    Drawing,
    axes,
    finished,
    legend_below,
    styled,
)

WORDS = {"canaries": "canaries", "one-run": "one run", "membership": "membership"}
"""Names of the attacks that give a lower bound, as the legend has them."""


def claimed_and_measured(findings: Mapping[str, Sequence[Mapping[str, Any]]]) -> Drawing | None:
    """Draw the lower bounds that attacks prove against the epsilon that was claimed."""
    bounds = {name: rows for name, rows in findings.items() if name in WORDS and rows}
    if not bounds:
        return None
    claims = [row["claimed"] for rows in bounds.values() for row in rows]
    highest = max([*claims, *(row["lower_bound"] for rows in bounds.values() for row in rows)])
    top = 1.15 * highest
    with styled():
        figure, ax = axes(2.8)
        line = np.array([0.0, top])
        ax.fill_between(line, line, top, color=VERMILION, alpha=0.12, linewidth=0)
        ax.text(0.04, 0.94, "violation", transform=ax.transAxes, color=VERMILION, va="top")
        ax.plot(line, line, color=GREY, linewidth=1.0, label="measured = claimed")
        for style, (name, rows) in enumerate(bounds.items()):
            ax.plot(
                [row["claimed"] for row in rows],
                [row["lower_bound"] for row in rows],
                linestyle="none",
                marker=MARKERS[style],
                color=PALETTE[(0, 2, 3)[style]],
                label=WORDS[name],
                clip_on=False,
                zorder=3,
            )
        ax.set(xlim=(0, top), ylim=(0, top), xlabel="ε claimed", ylabel="ε measured, at least")
        ax.set_aspect("equal")
        legend_below(figure, 2)
    confidence = next(iter(bounds.values()))[0]["confidence"]
    caption = (
        f"Lower bounds on ε that attacks prove with {confidence:.0%} confidence, against the ε "
        "that the run claims. A point in the shaded region would refute the claim; a point far "
        "below it says that the attack is weak, not that the privacy is better than claimed."
    )
    return finished("claimed_and_measured", caption, figure)
