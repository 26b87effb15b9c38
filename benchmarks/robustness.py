"""Makes the tables and figures of docs/robustness.md and docs/which_rule.md again.

    python benchmarks/robustness.py

Runs the sweeps of ``MAKERS``, as ``figures.py`` does: runs that have finished are kept in
``.figures`` and not repeated.
"""

from __future__ import annotations

import itertools
import statistics
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import partial

from maker import Maker, Text
from page_tables import Made, Outcome, Row, chosen, grid_of, points_of, short, table, values_of
from robustness_tables import (
    Cells,
    breaking_table,
    budget_table,
    code,
    composition_table,
    head_of,
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
    """Return the table of backdoors, by rule and momentum, from the first command."""
    folder = outcomes[0].folder
    grid, points = grid_of(folder), points_of(folder)
    momenta, attacks = (list(labels(key, grid[key]).items()) for key in (MOMENTUM, ATTACK))
    lines = []
    for rule, name in labels(RULE, grid[RULE]).items():
        line = [code(name)]
        for (momentum, _), (attack, _) in itertools.product(momenta, attacks):
            where = {RULE: rule, MOMENTUM: momentum, ATTACK: attack}
            line.append(pair_of(points, where))
        lines.append(line)
    heads = [f"{word}: {head_of(attack)}" for _, word in momenta for _, attack in attacks]
    return table(["rule", *heads], lines)


def of_weak_backdoors(outcomes: Sequence[Outcome]) -> str:
    """Return accuracy and success of other backdoors, from the second command."""
    grid, points = grid_of(outcomes[1].folder), points_of(outcomes[1].folder)
    lines = [
        [words, pair_of(points, {ATTACK: text})]
        for text, words in zip(grid[ATTACK], OTHER_BACKDOORS, strict=True)
    ]
    return table(["the attackers", "accuracy / success"], lines)


def pair_of(points: Sequence[Row], where: Mapping[str, str]) -> str:
    """Return the accuracy and the success of a backdoor in one cell."""
    return " / ".join(short(interval(values_of(points, m, where)).mean) for m in ("accuracy", BACK))


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


def of_composition(outcomes: Sequence[Outcome]) -> str:
    """Return the table of the composition and the mean, whose sweeps take turns."""
    every = [
        {metric: row_of(outcome, metric) for metric in ("accuracy", BACK)} for outcome in outcomes
    ]
    pairs = zip(every[::2], every[1::2], strict=True)
    return composition_table(dict(zip(COMPOSITION, pairs, strict=True)))


def row_of(outcome: Outcome, metric: str) -> Mapping[str, float]:
    """Return a metric of a sweep over attacks, by the attack."""
    points, words = points_of(outcome.folder), labels(ATTACK, grid_of(outcome.folder)[ATTACK])
    return {
        word: statistics.mean(float(row[metric] or "nan") for row in chosen(points, {ATTACK: text}))
        for text, word in words.items()
    }


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
    momentum = "'nodes.momentum={kind: ema, beta: 0.8}'"
    return (
        f"'task={task}'", momentum, "update.learning_rate=0.3", "rounds=15", "evaluate.every=15",
    )  # fmt: skip


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
HOLDERS = 10, 20, 50


def by_number(holders: int) -> tuple[str, str, str]:
    """Return the settings of some holders, of whom a fifth collude, with three rules."""
    few = holders // 5
    rules = "mean, weights: equal", f"caf, byzantine: {few}", f"dnc, byzantine: {2 * few}"
    attack = "kind: adaptive, knowledge: omniscient"
    return (
        f"nodes.holders={holders}",
        f"'{RULE}={','.join(f'{{kind: {rule}, scale: unit}}' for rule in rules)}'",
        f"'{ATTACK}={{{attack}, count: 0}},{{{attack}, count: {few}}}'",
    )


COMPOSITION: dict[str, tuple[str, ...]] = {
    f"{task}, {split}, {noise}": (*of_task(deal), *settings)
    for task, of_task in (("digits", digits), ("breast cancer", cancer))
    for split, deal in (("IID", IID), ("Dirichlet 1", SKEWED))
    for noise, settings in (("ε 8", ()), ("no noise", (NOISELESS,)))
}
"""The settings in which the composition of robust_and_private is tried."""
OTHER_BACKDOORS: dict[str, tuple[str, str]] = {
    "only one attacks": ("count: 1", "kind: backdoor"),
    "only two attack": ("count: 2", "kind: backdoor"),
    "a tenth of their records has the square": ("count: 4", "kind: backdoor, portion: 0.1"),
    "a quarter of them": ("count: 4", "kind: backdoor, portion: 0.25"),
    "all of them": ("count: 4", "kind: backdoor, portion: 1.0"),
    "the square is grey": ("count: 4", "kind: backdoor, value: 0.5"),
    "the square is larger, 4 x 4": ("count: 4", "kind: backdoor, side: 4"),
}
"""How many attack and with which poison, against the composition."""


def backdoor(which: tuple[str, str]) -> str:
    """Return the attack of holders who learn from records with a square.

    >>> backdoor(("count: 1", "kind: backdoor"))
    '{kind: poisoned, count: 1, records: {kind: backdoor}}'
    """
    return f"{{kind: poisoned, {which[0]}, records: {{{which[1]}}}}}"


UNDEFENDED = (
    "'aggregation={kind: mean, scale: unit, weights: equal}'",
    f"'{ATTACK}={{kind: poisoned, records: {{kind: backdoor}}, count: 0}},"
    "{kind: poisoned, records: {kind: backdoor}, count: 4},"
    "{kind: adaptive, count: 4, knowledge: omniscient}'",
)
"""The same federation with the mean, under the attacks that harm it most."""

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
        commands=tuple(sweep("robust_and_private", *by_number(n), seeds=3) for n in HOLDERS),
        minutes=4,
        texts={"": Text(CHOICE, of_settings(holders_table, [str(n) for n in HOLDERS]))},
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
        commands=(
            sweep("backdoors"),
            sweep(
                "robust_and_private",
                f"'{ATTACK}={','.join(map(backdoor, OTHER_BACKDOORS.values()))}'",
                seeds=3,
            ),
        ),
        minutes=1,
        texts={"": Text(PAGE, of_backdoors), "others": Text(PAGE, of_weak_backdoors)},
    ),
    "momentum_and_attackers": Maker(
        commands=(sweep("momentum_and_attackers"),),
        minutes=2,
        texts={"": Text(PAGE, of_momentum)},
    ),
    "robust_and_private": Maker(
        commands=tuple(
            sweep("robust_and_private", *each, *rule)
            for each in COMPOSITION.values()
            for rule in ((), UNDEFENDED)
        ),
        minutes=10,
        texts={"": Text(PAGE, of_composition)},
    ),
}
"""The makers of the studies of robustness by name, in the order of the pages."""


if __name__ == "__main__":
    from figures import make_all

    sys.exit(make_all(list(MAKERS)))
