"""Makes the tables and figures of docs/robustness.md and docs/which_rule.md again.

    python benchmarks/robustness.py

Runs the sweeps of ``MAKERS``, as ``figures.py`` does: runs that have finished are kept in
``.figures`` and not repeated.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from functools import partial

from maker import Maker, Text
from page_tables import Made, Outcome, grid_of, points_of, short, table, values_of
from robustness_tables import (
    Cells,
    backdoor_table,
    breaking_table,
    budget_table,
    code,
    composition_table,
    holders_table,
    settings_table,
    threat_table,
    values_table,
    worst_table,
)

from fedchain.reports.axis_labels import block_words
from fedchain.reports.planes import CLOSED, Plane, plane_of
from fedchain.reports.study import open_study
from fedchain.reports.words import value_words
from fedchain.statistics import interval

PAGE, CHOICE = "docs/robustness.md", "docs/which_rule.md"
ATTACK, RULE, SHARE, COUNT = "attacks[0]", "aggregation", "attacks[0].share", "attacks[0].count"
MOMENTUM = "nodes.momentum"
BACK = "backdoor"
"""Metric of the success of a backdoor."""


def cells_of(outcome: Outcome, down: str, across: str, metric: str = "accuracy") -> Cells:
    """Return a metric of a sweep by two of its grid keys; values that are mappings get labels.

    With more keys, the mean is over their values too.
    """
    grid, points = grid_of(outcome.folder), points_of(outcome.folder)
    rows, columns = (labels(key, grid[key]) for key in (down, across))
    return {
        row: {
            column: interval(values_of(points, metric, {down: value, across: other})).mean
            for other, column in columns.items()
        }
        for value, row in rows.items()
    }


def labels(key: str, texts: Sequence[str]) -> dict[str, str]:
    """Return a label for each text of a grid's axis."""
    words = block_words(key, texts)
    return {text: words.get(text, text) for text in texts}


def of_cells(make: Callable[[Cells], str], across: str = ATTACK, metric: str = "accuracy") -> Made:
    """Return the function that makes a table from the first command's rules and attacks."""
    return lambda outcomes: make(cells_of(outcomes[0], RULE, across, metric))


def of_settings(
    make: Callable[[Mapping[str, Cells]], str], names: Sequence[str], across: str = ATTACK
) -> Made:
    """Return the function that makes a table from the cells of all commands, by their names."""

    def made(outcomes: Sequence[Outcome]) -> str:
        every = [cells_of(outcome, RULE, across) for outcome in outcomes]
        return make(dict(zip(names, every, strict=True)))

    return made


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


def of_backdoors(outcomes: Sequence[Outcome]) -> str:
    """Return the table of backdoors from the first command."""
    accuracy, success = (cells_of(outcomes[0], RULE, ATTACK, name) for name in ("accuracy", BACK))
    return backdoor_table(accuracy, success)


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


def sweep(name: str, *settings: str, seeds: int | None = None) -> str:
    """Return the command of a sweep with other values.

    >>> sweep("groups", "rounds=3", seeds=1)
    'fedchain sweep groups --set rounds=3 --seeds 1'
    """
    words = [f"fedchain sweep {name}", *(f"--set {setting}" for setting in settings)]
    return " ".join([*words, *([] if seeds is None else [f"--seeds {seeds}"])])


def digits(split: str) -> tuple[str, ...]:
    """Return the settings of digits, dealt by a split."""
    return (f"'task.split={split}'",)


def cancer(split: str) -> tuple[str, ...]:
    """Return the settings of breast cancer, dealt by a split."""
    task = f"{{kind: breast_cancer, split: {split}, model: {{kind: logistic}}}}"
    return (f"'task={task}'",)


IID, SKEWED = "{kind: iid}", "{kind: dirichlet, alpha: 1.0}"
NOISELESS = "privacy.epsilon=.inf"
SETTINGS: dict[str, tuple[str, ...]] = {
    "one of three compute nodes withholds its blocks": (
        "'attacks=[{kind: adaptive, count: 4}, {kind: withholding, nodes: [2]}]'",
        "nodes.compute=3",
        "privacy.spare_releases=20",
    ),
    "no noise": (NOISELESS,),
    "momentum .9": ("'nodes.momentum={kind: ema, beta: 0.9}'",),
    "Dirichlet 1": (f"'task.split={SKEWED}'",),
    "Dirichlet .1": ("'task.split={kind: dirichlet, alpha: 0.1}'",),
}
"""What differs from attacks_and_rules in each of its repetitions with one seed."""
HARDEST = ",".join(
    f"{{kind: {attack}, knowledge: omniscient}}"
    for attack in (
        "adaptive, count: 0",
        "min_max, count: 4",
        "mimic, count: 4",
        "hidden, count: 4",
        "alie_search, count: 4",
        "adaptive, count: 4",
    )
)
"""The attacks of these repetitions."""
HOLDERS = "10", "20", "50"
COMPOSITION: dict[str, tuple[str, ...]] = {
    f"{task}, {split}, {noise}": (*of_task(deal), *settings)
    for task, of_task in (("digits", digits), ("breast cancer", cancer))
    for split, deal in (("IID", IID), ("Dirichlet 1", SKEWED))
    for noise, settings in (("ε 8", ()), ("no noise", (NOISELESS,)))
}
"""The settings in which the composition of robust_and_private is tried."""

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
            sweep("attacks_and_rules", f"'{ATTACK}={HARDEST}'", *settings, seeds=1)
            for settings in SETTINGS.values()
        ),
        minutes=8,
        texts={"": Text(PAGE, of_settings(settings_table, list(SETTINGS)))},
    ),
    "scans_and_attackers": Maker(
        commands=(sweep("scans_and_attackers"),),
        minutes=6,
        texts={"": Text(PAGE, of_cells(worst_table, metric="iou"))},
    ),
    "byzantine_share": Maker(
        commands=(sweep("byzantine_share"),),
        minutes=3,
        pictures={"byzantine_share.png": "figures/accuracy_against_attacks[0]_share.png"},
        texts={"": Text(PAGE, of_cells(partial(values_table, "rule"), SHARE))},
    ),
    "holders_and_attackers": Maker(
        commands=tuple(
            sweep("byzantine_share", f"nodes.holders={number}", f"{SHARE}=0,0.2")
            for number in HOLDERS
        ),
        minutes=4,
        texts={"": Text(CHOICE, of_settings(holders_table, HOLDERS, SHARE))},
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
    "backdoors": Maker(
        commands=(sweep("backdoors"),),
        minutes=1,
        texts={"": Text(PAGE, of_backdoors)},
    ),
    "momentum_and_attackers": Maker(
        commands=(sweep("momentum_and_attackers"),),
        minutes=2,
        texts={"": Text(PAGE, of_momentum)},
    ),
    "robust_and_private": Maker(
        commands=tuple(sweep("robust_and_private", *each) for each in COMPOSITION.values()),
        minutes=10,
        texts={"": Text(PAGE, of_settings(composition_table, list(COMPOSITION)))},
    ),
}
"""The makers of the studies of robustness by name, in the order of the pages."""


if __name__ == "__main__":
    from figures import make_all

    sys.exit(make_all(list(MAKERS)))
