"""Makes the tables and figures of docs/robustness.md and docs/which_rule.md again.

    python benchmarks/robustness.py

Runs the sweeps of ``MAKERS``, as ``figures.py`` does: finished runs are kept in ``.figures`` and not
repeated. The tables are functions from the cells of sweeps to Markdown.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import partial

from maker import Maker, Text
from page_tables import Made, Outcome, grid_of, points_of, short, table, values_of

from fedchain.reports.axis_labels import NOBODY, block_words
from fedchain.reports.planes import CLOSED, Line, Plane, plane_of
from fedchain.reports.study import open_study
from fedchain.reports.words import value_words
from fedchain.statistics import interval

PAGE, CHOICE = "docs/robustness.md", "docs/which_rule.md"
ATTACK, RULE, SHARE, EPSILON = "attacks[0]", "aggregation", "attacks[0].share", "privacy.epsilon"
Cells = Mapping[str, Mapping[str, float]]
"""Means over the seeds, by the label of the row and the label of the column."""
BACK = "backdoor"
"""Metric of the success of a backdoor."""
MEAN = "mean"
"""Label of the rule without a defence."""


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


def worst_of(row: Mapping[str, float]) -> tuple[str, float]:
    """Return the attack under which a rule's metric is smallest, and the metric.

    >>> worst_of({"nobody": 0.9, "alie": 0.7, "mimic": 0.8})
    ('alie', 0.7)
    """
    attacked = {attack: value for attack, value in row.items() if attack != NOBODY}
    attack = min(attacked, key=attacked.__getitem__)
    return attack, attacked[attack]


def by_worst(cells: Cells) -> list[str]:
    """Return the labels of the rules, first the one with the best worst case."""
    return sorted(cells, key=lambda rule: -worst_of(cells[rule])[1])


def worst_table(cells: Cells) -> str:
    """Return each rule's value without attackers and its worst case, with the attack."""
    lines = []
    for rule in by_worst(cells):
        (attack, worst), clean = worst_of(cells[rule]), cells[rule][NOBODY]
        lines.append([code(rule), short(clean), short(worst), percent(worst / clean), code(attack)])
    return table(["rule", "nobody attacks", "worst", "kept", "under the attack"], lines)


def settings_table(found: Mapping[str, Cells]) -> str:
    """Return the worst case of each rule in several settings, beside its value without attackers.

    Args:
        found: the cells of each setting, by its name. The rules are sorted as in the first one.
    """
    first = next(iter(found.values()))
    lines = []
    for rule in by_worst(first):
        line = [code(rule)]
        for cells in found.values():
            attack, worst = worst_of(cells[rule])
            line.append(f"{short(cells[rule][NOBODY], 2)} / {short(worst, 2)} ({attack})")
        lines.append(line)
    return table(["rule", *found], lines)


def values_table(first: str, cells: Cells) -> str:
    """Return all cells as a table; ``first`` is the heading of the first column."""
    columns = list(next(iter(cells.values())))
    lines = [[code(row), *(short(found[c]) for c in columns)] for row, found in cells.items()]
    return table([first, *columns], lines)


def threat_table(cells: Cells) -> str:
    """Return the two best rules against each attack, and what the mean reaches under it.

    The last row is the rule with the best worst case: the choice if the attack is not known.
    """
    attacks = [attack for attack in next(iter(cells.values())) if attack != NOBODY]
    lines = []
    for attack in attacks:
        best = sorted(cells, key=lambda rule: -cells[rule][attack])[:2]
        named = [word for rule in best for word in (code(rule), short(cells[rule][attack]))]
        lines.append([code(attack), *named, short(cells[MEAN][attack])])
    best = by_worst(cells)[:2]
    named = [word for rule in best for word in (code(rule), short(worst_of(cells[rule])[1]))]
    lines.append(["**any of them**", *named, short(worst_of(cells[MEAN])[1])])
    return table(["attack", "best rule", "accuracy", "next", "accuracy", "`mean`"], lines)


def breaking_table(
    xs: Sequence[str], lines: Mapping[str, Line], closed: Mapping[str, Line], most: float
) -> str:
    """Return the share of attackers at which each rule breaks, for each value of another key.

    Args:
        xs: the values of the other key.
        lines: the share for each rule, by its label; NaN: the rule did not break.
        closed: closed lines, by their labels.
        most: the largest share that was measured.
    """
    every = {**{code(rule): line for rule, line in lines.items()}, **closed}
    rows = [
        [x, *(share_words(line[place], most) for line in every.values())]
        for place, x in enumerate(xs)
    ]
    return table(["total ε", *every], rows)


def share_words(share: float, most: float) -> str:
    """Return a share; NaN means that it is above the largest one that was measured.

    >>> share_words(0.123, 0.45), share_words(math.nan, 0.45)
    ('.12', '> .45')
    """
    return f"> {short(most, 2)}" if math.isnan(share) else short(share, 2)


def budget_table(
    xs: Sequence[str], lines: Mapping[str, Line], clean: Mapping[str, Line], most: float
) -> str:
    """Return, for each privacy budget, the rule that bears the largest share of attackers.

    Of rules that bear the same share, the one that is best without attackers is chosen.

    Args:
        xs: the budgets.
        lines: the share at which each rule breaks, by its label; NaN: it did not break.
        clean: the accuracy of each rule without attackers, by its label.
        most: the largest share that was measured.
    """
    rows = []
    for place, x in enumerate(xs):
        borne = {rule: most if math.isnan(s := line[place]) else s for rule, line in lines.items()}
        best = max(lines, key=lambda rule: (borne[rule], clean[rule][place]))
        words = share_words(lines[best][place], most)
        rows.append([x, code(best), words, short(clean[best][place])])
    heads = "total ε", "rule", "bears a share of attackers of", "accuracy without attackers"
    return table(heads, rows)


def holders_table(found: Mapping[str, Cells]) -> str:
    """Return, for each number of holders, the best rule under attack beside the mean.

    Args:
        found: for each number of holders, the accuracy by rule and by share of attackers; the first
            share is 0, the last one is that of the attack.
    """
    lines = []
    for holders, cells in found.items():
        none, attacked = (list(next(iter(cells.values())))[end] for end in (0, -1))
        best = max(cells, key=lambda rule: cells[rule][attacked])
        each = [short(cells[rule][share]) for rule in (best, MEAN) for share in (none, attacked)]
        lines.append([holders, code(best), *each])
    heads = "holders", "best rule", "nobody attacks", "attacked", "`mean`, nobody attacks", "attacked"
    return table(heads, lines)


def backdoor_table(accuracy: Cells, success: Cells) -> str:
    """Return for each rule and each attack the accuracy and the success of the backdoor."""
    attacks = [attack for attack in next(iter(accuracy.values())) if attack != NOBODY]
    lines = []
    for rule, row in accuracy.items():
        pairs = [f"{short(row[each])} / {short(success[rule][each])}" for each in attacks]
        lines.append([code(rule), short(row[NOBODY]), *pairs])
    return table(["rule", "nobody attacks", *map(code, attacks)], lines)


def composition_table(found: Mapping[str, Cells]) -> str:
    """Return what a composition keeps under its worst attack in each setting, beside the mean.

    Args:
        found: for each setting, the accuracy by rule and by attack. The rules are the mean and the
            composition.
    """
    lines = []
    for setting, cells in found.items():
        (rule,) = (each for each in cells if each != MEAN)
        attack, worst = worst_of(cells[rule])
        clean, plain = cells[rule][NOBODY], cells[MEAN][NOBODY]
        cells_ = short(plain), short(worst_of(cells[MEAN])[1]), short(clean), short(worst)
        lines.append([setting, *cells_, percent(worst / clean), code(attack)])
    heads = "setting", "`mean`, nobody attacks", "worst", "composition, nobody attacks", "worst"
    return table([*heads, "kept", "under the attack"], lines)


def percent(share: float) -> str:
    """Return a share as a percentage.

    >>> percent(0.934)
    '93 %'
    """
    return f"{100 * share:.0f} %"


def code(text: str) -> str:
    """Return a label as code.

    >>> code("caf, first nnm")
    '`caf, first nnm`'
    """
    return f"`{text}`"


def of_cells(make: Callable[[Cells], str], across: str = ATTACK) -> Made:
    """Return the function that makes a table from the first command's rules and attacks."""
    return lambda outcomes: make(cells_of(outcomes[0], RULE, across))


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


def sweep(name: str, *settings: str, seeds: int | None = None) -> str:
    """Return the command of a sweep with other values.

    >>> sweep("groups", "rounds=3", seeds=1)
    'fedchain sweep groups --set rounds=3 --seeds 1'
    """
    words = [f"fedchain sweep {name}", *(f"--set {setting}" for setting in settings)]
    return " ".join([*words, *([] if seeds is None else [f"--seeds {seeds}"])])


MATRIX = "attacks_and_rules"
SETTINGS: dict[str, tuple[str, ...]] = {
    "as above": (),
    "one of three compute nodes withholds its blocks": (
        "'attacks=[{kind: adaptive, count: 4}, {kind: withholding, nodes: [2]}]'",
        "privacy.spare_releases=10",
    ),
    "no noise": ("privacy.epsilon=.inf",),
    "momentum .9": ("'nodes.momentum={kind: ema, beta: 0.9}'",),
    "Dirichlet 1": ("'task.split={kind: dirichlet, alpha: 1.0}'",),
    "Dirichlet .1": ("'task.split={kind: dirichlet, alpha: 0.1}'",),
}
"""What differs from the scenario of the matrix in each of its repetitions."""
HOLDERS = "10", "20", "50"
CANCER = "'task={kind: public_pca, of: {kind: breast_cancer, split: {kind: %s}}, directions: 16}'"
COMPOSITION: dict[str, tuple[str, ...]] = {
    "digits, IID, ε 8": (),
    "digits, IID, no noise": ("privacy.epsilon=.inf",),
    "digits, Dirichlet 1, ε 8": ("'task.of.split={kind: dirichlet, alpha: 1.0}'",),
    "digits, Dirichlet 1, no noise": (
        "'task.of.split={kind: dirichlet, alpha: 1.0}'",
        "privacy.epsilon=.inf",
    ),
}
"""The settings in which the composition of robust_and_private is tried."""

MAKERS: dict[str, Maker] = {
    "attacks_and_rules": Maker(
        commands=tuple(
            sweep(MATRIX, *settings, seeds=1 if settings else None)
            for settings in SETTINGS.values()
        ),
        minutes=60,
        pictures={"attacks_and_rules.png": "figures/accuracy_by_attack_and_aggregation.png"},
        texts={
            "": Text(PAGE, of_cells(worst_table)),
            "settings": Text(PAGE, of_settings(settings_table, list(SETTINGS))),
            "threats": Text(CHOICE, of_cells(threat_table)),
        },
    ),
    "byzantine_share": Maker(
        commands=(sweep("byzantine_share"),),
        minutes=10,
        pictures={"byzantine_share.png": "figures/accuracy_against_attacks[0]_share.png"},
        texts={"": Text(PAGE, of_cells(partial(values_table, "rule"), SHARE))},
    ),
    "holders_and_attackers": Maker(
        commands=tuple(
            sweep("byzantine_share", f"nodes.holders={number}", f"{SHARE}=0,0.2")
            for number in HOLDERS
        ),
        minutes=10,
        texts={"": Text(CHOICE, of_settings(holders_table, HOLDERS, SHARE))},
    ),
    "privacy_and_robustness": Maker(
        commands=(sweep("privacy_and_robustness"),),
        minutes=20,
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
        minutes=3,
        texts={"": Text(PAGE, of_backdoors)},
    ),
    "momentum_and_attackers": Maker(
        commands=(sweep("momentum_and_attackers"),),
        minutes=5,
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
