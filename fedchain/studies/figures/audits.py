"""Figures of audits: what attacks prove beside what was claimed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from fedchain.studies.audited import PICTURED, Findings
from fedchain.studies.figures.style import (
    GREY,
    LINES,
    MARKERS,
    PALETTE,
    VERMILION,
    WIDTH_IN,
    Drawing,
    axes,
    finished,
    legend_below,
    styled,
)

BOUNDING = ("canaries", "one-run", "membership")
"""The attacks that prove a lower bound, in the order of the legend."""


def audit_figures(findings: Findings) -> list[Drawing]:
    """Return every figure that the findings have data for."""
    drawn = (
        claimed_and_measured(findings),
        true_positives(findings),
        reconstructed_pictures(findings),
        linked_messages(findings),
    )
    return [drawing for drawing in drawn if drawing is not None]


def claimed_and_measured(findings: Findings) -> Drawing | None:
    """Draw the lower bounds that attacks prove against the epsilon that was claimed."""
    bounds = {
        (name, row.get("attack", "")): [
            each
            for each in findings[name]
            if each["claimed"] is not None and each.get("attack") == row.get("attack")
        ]
        for name in BOUNDING
        for row in findings.get(name, ())
    }
    shown = {key: rows for key, rows in bounds.items() if rows}
    if not shown:
        return None
    every = [row for rows in shown.values() for row in rows]
    top = 1.15 * max(max(row["claimed"], row["lower_bound"]) for row in every)
    with styled():
        figure, ax = axes(3.0)
        line = np.array([0.0, top])
        ax.fill_between(line, line, top, color=VERMILION, alpha=0.12, linewidth=0)
        ax.text(0.04, 0.94, "violation", transform=ax.transAxes, color=VERMILION, va="top")
        ax.plot(line, line, color=GREY, linewidth=1.0, label="measured = claimed")
        for style, ((name, kind), rows) in enumerate(shown.items()):
            ax.plot(
                [row["claimed"] for row in rows],
                [row["lower_bound"] for row in rows],
                linestyle="none",
                marker=MARKERS[style],
                color=PALETTE[(0, 2, 3, 4)[style]],
                label=f"{name.replace('-', ' ')} {f'({kind})' if kind else ''}".strip(),
                clip_on=False,
                zorder=3,
            )
        ax.set(xlim=(0, top), ylim=(0, top), xlabel="ε claimed", ylabel="ε measured, at least")
        ax.set_aspect("equal")
        legend_below(figure, 2)
    caption = (
        f"Lower bounds on ε that attacks prove with {every[0]['confidence']:.0%} confidence, "
        "against the ε that the run claims. A point in the shaded region would refute the claim; a "
        "point far below it says that the attack is weak, not that privacy is better than claimed."
    )
    return finished("claimed_and_measured", caption, figure)


def true_positives(findings: Findings) -> Drawing | None:
    """Draw the members that are found against the others that are taken for members."""
    rows = findings.get("membership", ())
    if not rows:
        return None
    claims = list(dict.fromkeys(row["claimed"] for row in rows))
    with styled():
        figure, ax = axes(3.0)
        rates = [point["false_positives"] for point in rows[0]["curve"]]
        ax.plot(rates, rates, color=GREY, linestyle=":", label="guessing")
        for row in rows:
            place = claims.index(row["claimed"])
            colour, words = PALETTE[place % len(PALETTE)], _claim_words(row["claimed"])
            style = LINES[0] if row["attack"] == "lira" else LINES[1]
            at = [point["false_positives"] for point in row["curve"]]
            shares = [point["share"] or np.nan for point in row["curve"]]
            ax.plot(at, shares, color=colour, linestyle=style, label=f"{row['attack']}, {words}")
            if row["attack"] == "lira" and row["claimed"] is not None:
                ceiling = [point["ceiling"] for point in row["curve"]]
                ax.plot(at, ceiling, color=colour, linestyle=LINES[3], label=f"ceiling, {words}")
        ax.set(xscale="log", yscale="log", xlim=(rates[0], 1), ylim=(rates[0] / 2, 1.2))
        ax.set(xlabel="false positives", ylabel="true positives")
        legend_below(figure, 2)
    caption = (
        "Membership inference: the share of records that took part and are found out, against the "
        "share of those that did not and are taken for members. Whatever the attack, ε and δ allow "
        f"no more than the ceiling, e^ε FPR + δ. {rows[0]['trials']:,} trials of each attack."
    )
    return finished("membership", caption, figure)


def reconstructed_pictures(findings: Findings) -> Drawing | None:
    """Draw the true records, the guess without a gradient, and what each claim's gradients gave."""
    rows = findings.get("inversion", ())
    if not rows:
        return None
    first = rows[0]
    shown = [("truth", first, "truth"), ("public mean", first, "prior")]
    shown += [(_claim_words(row["claimed"]), row, "found") for row in rows]
    columns = min(PICTURED, len(first["pictures"]["truth"]))
    with styled():
        size = WIDTH_IN / (columns + 1)
        figure = Figure(figsize=(WIDTH_IN, size * len(shown)), layout="constrained")
        grid = figure.subplots(len(shown), columns, squeeze=False)
        for line, (words, row, name) in zip(grid, shown, strict=True):
            _strip(line, row["pictures"][name], row["range"])
            line[0].set_ylabel(words, rotation=0, ha="right", va="center")
    caption = (
        "Records as the model is given them, the mean public picture of their class, and what an "
        "attacker makes of the published direction of one round (gradient inversion). That this "
        "attack fails does not prove that the directions give nothing."
    )
    return finished("reconstructed_pictures", caption, figure)


def _strip(line: Sequence[Axes], pictures: Sequence[Any], bounds: Sequence[float]) -> None:
    for ax, picture in zip(line, pictures, strict=False):
        ax.imshow(picture, cmap="gray", vmin=bounds[0], vmax=bounds[1], interpolation="nearest")
        ax.set(xticks=(), yticks=())
        ax.grid(visible=False)
        for spine in ax.spines.values():
            spine.set_visible(False)


def linked_messages(findings: Findings) -> Drawing | None:
    """Draw how well messages of one holder are linked, by what is compared."""
    rows = findings.get("linkability", ())
    if not rows:
        return None
    claims = list(dict.fromkeys(row["claimed"] for row in rows))
    names = list(dict.fromkeys(row["likeness"] for row in rows))
    with styled():
        figure, ax = axes(2.4)
        ax.axhline(0.5, color=GREY, linestyle=":", label="guessing")
        for style, name in enumerate(names):
            those = [row for row in rows if row["likeness"] == name]
            ax.errorbar(
                [claims.index(row["claimed"]) + 0.14 * (style - 1) for row in those],
                [row["auc"] for row in those],
                [row["auc_half"] or 0.0 for row in those],
                fmt=MARKERS[style],
                color=PALETTE[style],
                elinewidth=0.8,
                capsize=1.5,
                label=name,
            )
        ax.set_xticks(range(len(claims)), [_claim_words(claim) for claim in claims])
        ax.set(xlim=(-0.6, len(claims) - 0.4), ylim=(0.3, 1.03), ylabel="AUC of linking")
        legend_below(figure, 2)
    caption = (
        "How well two messages under different pseudonyms, one round apart, are known for the same "
        "holder's: by the cosine of their directions, their norms, and the numbers of records that "
        f"they declare. Means over rounds, with {rows[0]['confidence']:.0%} intervals."
    )
    return finished("linked_messages", caption, figure)


def _claim_words(claim: float | None) -> str:
    return "no noise" if claim is None else f"ε = {claim:.3g}"
