"""Tables of the page on momentum, in Markdown, from what ``momentum.py`` prints."""

from __future__ import annotations

import itertools
import math
import statistics
from collections.abc import Sequence
from typing import Any

from page_tables import Made, Outcome, grid_of, points_of, short, table, values_of

SMALL_STEP = 0.03
"""Step of the runs in which rho is measured."""


def momentum_table(outcomes: Sequence[Outcome]) -> str:
    """Return rho, and the number of sign flippers that capture l-nearest, by epsilon and beta."""
    cells = [each for each in outcomes[0].told if each["step"] == SMALL_STEP]
    lines = [
        [epsilon, *(f"{short(each['rho'])} ({short(each['captured'], 1)})" for each in row)]
        for epsilon, row in by_epsilon(cells)
    ]
    betas = dict.fromkeys(each["beta"] for each in cells)
    return table(["total epsilon", *(f"beta {beta:g}" for beta in betas)], lines)


def momentum_worth(outcomes: Sequence[Outcome]) -> str:
    """Return the accuracy with and without momentum by step, and how well messages are linked."""
    lines = []
    told = [each for each in outcomes[0].told if each["beta"] in (0.0, 0.9)]
    for epsilon, row in by_epsilon(told):
        linked = [each["auc"] for each in row if each["step"] == SMALL_STEP]
        numbers = [*(each["accuracy"] for each in row), *linked]
        lines.append([epsilon, *(short(each) for each in numbers)])
    steps = [f"step {step}: beta {beta}" for step in (".03", ".1") for beta in ("0", ".9")]
    return table(["total epsilon", *steps, "AUC of linking: beta 0", "beta .9"], lines)


def momentum_closed(outcomes: Sequence[Outcome]) -> str:
    """Return sentences on how far measured values are from both closed forms."""
    cells = [each for each in outcomes[0].told if each["step"] == SMALL_STEP]
    apart = {
        noisy: max(
            abs(c["captured"] - c["closed"]) for c in cells if math.isfinite(c["epsilon"]) == noisy
        )
        for noisy in (True, False)
    }
    usual = [c for c in cells if c["beta"] > 0 and 1 <= c["epsilon"] < math.inf]
    shares = {
        far: [c["rho"] / c["formula"] for c in usual if (c["beta"] > 0.9) == far]
        for far in (False, True)
    }
    low, far = (f"{short(min(each), 2)} to {short(max(each), 2)}" for each in shares.values())
    return (
        f"The number of colluders, a mean over rounds, is within {short(apart[True], 1)} of the "
        f"closed form in all cells with noise, and within {short(apart[False], 1)} without noise. "
        f"From \u03b5 1 on, rho is {low} times what the formula gives for beta up to .9, and {far} "
        "times for .95."
    )


def by_epsilon(cells: Sequence[dict[str, Any]]) -> list[tuple[str, list[dict[str, Any]]]]:
    """Return the cells of each epsilon, which the first word names."""
    names = {each["epsilon"]: f"{each['epsilon']:g}".replace("inf", "no noise") for each in cells}
    return [(word, [c for c in cells if c["epsilon"] == e]) for e, word in names.items()]


def means_table(
    words: Sequence[tuple[str, Sequence[str]]], columns: Sequence[str], metric: str
) -> Made:
    """Return a table of means over few seeds, without intervals.

    Args:
        words: heading and labels of each of the first columns; they are the grid's first keys.
        columns: headings of the other columns, which are the combinations of the other keys.
        metric: column of points.csv.
    """

    def made(outcomes: Sequence[Outcome]) -> str:
        folder = outcomes[0].folder
        grid, points, lines = grid_of(folder), points_of(folder), []
        keys = list(grid)
        firsts, others = keys[: len(words)], keys[len(words) :]
        labels = itertools.product(*(each for _, each in words))
        for label, first in zip(labels, itertools.product(*(grid[k] for k in firsts)), strict=True):
            cells = []
            for other in itertools.product(*(grid[key] for key in others)):
                where = dict(zip(keys, (*first, *other), strict=True))
                cells.append(short(statistics.mean(values_of(points, metric, where))))
            lines.append([*label, *cells])
        return table([*(heading for heading, _ in words), *columns], lines)

    return made
