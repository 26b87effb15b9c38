"""Makes the tables and figures of docs/robustness.md and docs/which_rule.md again.

    python benchmarks/robustness.py

Runs the sweeps of ``MAKERS``, as ``figures.py`` does: runs that have finished are kept in
``.figures`` and not repeated.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from functools import partial

import compositions
import scan_attacks
from maker import Maker, Text
from page_tables import Made, Outcome, grid_of, points_of, short, table, values_of
from robustness_tables import (
    breaking_table,
    budget_table,
    code,
    settings_table,
    threat_table,
    values_table,
    worst_table,
)
from sweep_cells import (
    ATTACK,
    CHOICE,
    COUNT,
    HARDEST,
    MOMENTUM,
    NOISELESS,
    PAGE,
    RULE,
    SHARE,
    SKEWED,
    labels,
    of_cells,
    of_settings,
    sweep,
)

from fedchain.reports.opening import open_study
from fedchain.reports.planes import CLOSED, Plane, plane_of
from fedchain.reports.words import value_words
from fedchain.statistics import interval


def of_plane(make: Callable[[Plane], str]) -> Made:
    """Return the function that makes a table from the phase diagram of the first command."""

    def made(outcomes: Sequence[Outcome]) -> str:
        points_of(outcomes[0].folder)  # all runs must have finished
        plane = plane_of(open_study(outcomes[0].folder))
        if plane is None:
            raise ValueError(f"{outcomes[0].folder}: has no two numeric axes")
        return make(plane)

    return made


def breaking_of(plane: Plane) -> str:
    """Return the table of the shares at which rules break, from a phase diagram."""
    lines = dict(zip(plane.panels.values(), plane.broken, strict=True))
    closed = dict(zip(CLOSED, plane.closed, strict=True))
    return breaking_table([value_words(x) for x in plane.xs], lines, closed, plane.ys[-1])


def budget_of(plane: Plane) -> str:
    """Return the table of the rules for each budget, from a phase diagram."""
    titles = list(plane.panels.values())
    lines = dict(zip(titles, plane.broken, strict=True))
    clean = {rule: cells[0].tolist() for rule, cells in zip(titles, plane.scores, strict=True)}
    return budget_table([value_words(x) for x in plane.xs], lines, clean, plane.ys[-1])


def of_momentum(outcomes: Sequence[Outcome]) -> str:
    """Return the table of momentum: each rule without attackers and attacked, by the momentum."""
    folder = outcomes[0].folder
    grid, points = grid_of(folder), points_of(folder)
    none, attacked = grid[COUNT]
    rules = labels(RULE, grid[RULE])
    lines = []
    for value, word in labels(MOMENTUM, grid[MOMENTUM]).items():
        line = [word]
        for rule in rules:
            where = {MOMENTUM: value, RULE: rule}
            pair = (values_of(points, "accuracy", {**where, COUNT: n}) for n in (none, attacked))
            line.append(" / ".join(short(interval(each).mean) for each in pair))
        lines.append(line)
    return table(["momentum", *map(code, rules.values())], lines)


FEWER_ATTACKS = f"'{ATTACK}={HARDEST}'"
SETTINGS: dict[str, tuple[str, ...]] = {
    "one of three compute nodes withholds its blocks": (
        "'attacks=[{kind: adaptive, count: 4}, {kind: withholding, nodes: [2]}]'",
        "nodes.compute=3",
        "privacy.spare_releases=20",
    ),
    "no noise": (FEWER_ATTACKS, NOISELESS),
    "momentum .9": (
        FEWER_ATTACKS,
        "'nodes.momentum={kind: ema, beta: 0.9}'",
    ),
    "Dirichlet 1": (
        FEWER_ATTACKS,
        f"'task.split={SKEWED}'",
    ),
    "Dirichlet .1": (
        FEWER_ATTACKS,
        "'task.split={kind: dirichlet, alpha: 0.1}'",
    ),
}
"""What differs from attacks_and_rules in each of its repetitions with one seed. With a withholding
node there is every attack, in the other settings five hard ones."""
MAKERS: dict[str, Maker] = {
    "attacks_and_rules": Maker(
        commands=(sweep("attacks_and_rules"),),
        minutes=15,
        pictures={"attacks_and_rules.png": "figures/accuracy_by_attack_and_aggregation.png"},
        texts={
            "": Text(PAGE, of_cells(worst_table)),
            "threats": Text(CHOICE, of_cells(threat_table)),
        },
    ),
    "attacks_in_settings": Maker(
        commands=tuple(
            sweep("attacks_and_rules", *settings, seeds=1) for settings in SETTINGS.values()
        ),
        minutes=8,
        texts={"": Text(PAGE, of_settings(settings_table, list(SETTINGS)))},
    ),
    **scan_attacks.MAKERS,
    "byzantine_share": Maker(
        commands=(sweep("byzantine_share"),),
        minutes=3,
        pictures={"byzantine_share.png": "figures/accuracy_against_attacks_0_share.png"},
        texts={"": Text(PAGE, of_cells(partial(values_table, "rule"), SHARE))},
    ),
    "privacy_and_robustness": Maker(
        commands=(sweep("privacy_and_robustness"),),
        minutes=13,
        pictures={
            "privacy_and_robustness.png": "figures/accuracy_diagram.png",
            "breaking_lines.png": "figures/breaking_lines.png",
        },
        texts={
            "": Text(PAGE, of_plane(breaking_of)),
            "budgets": Text(CHOICE, of_plane(budget_of)),
        },
    ),
    "momentum_and_attackers": Maker(
        commands=(sweep("momentum_and_attackers"),),
        minutes=2,
        texts={"": Text(PAGE, of_momentum)},
    ),
    **compositions.MAKERS,
}
"""The makers of the studies of robustness by name, in the order of the pages."""


if __name__ == "__main__":
    from figures import make_all

    sys.exit(make_all(list(MAKERS)))
