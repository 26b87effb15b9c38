"""Makers of the tables on robust_and_private: its settings, backdoors, and other federations."""

from __future__ import annotations

import itertools
import statistics
from collections.abc import Mapping, Sequence
from types import MappingProxyType

from maker import Maker, Text
from momentum_tables import means_table
from page_tables import Made, Outcome, Row, chosen, grid_of, points_of, short, table, values_of
from robustness_tables import code, composition_table, head_of, holders_table, worst_table
from single_tables import baseline, rows_of
from sweep_cells import (
    ATTACK,
    BACK,
    CHOICE,
    HARDEST,
    IID,
    MOMENTUM,
    NOISELESS,
    PAGE,
    RULE,
    SKEWED,
    cells_of,
    labels,
    of_cells,
    of_settings,
    sweep,
)

from fedchain.statistics import interval


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


HOLDERS = 10, 20, 50


def by_number(holders: int) -> tuple[str, str, str]:
    """Return the settings of some holders, of whom a fifth collude, with three rules."""
    few = holders // 5
    rules = "mean, weights: equal", f"caf, byzantine: {few}", f"dnc, byzantine: {2 * few}"
    return (
        f"nodes.holders={holders}",
        rules_of(rules),
        f"'{ATTACK}={{{ADAPTIVE}, count: 0}},{{{ADAPTIVE}, count: {few}}}'",
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
ON_FEATURES = (
    ("count: 0", "kind: backdoor"),
    ("count: 4", "kind: backdoor"),
    ("count: 4", "kind: backdoor, side: 4"),
)
"""The same against the mean of a model that sees a few directions of public records."""


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
MILDER = ",".join(
    f"{{kind: {attack}, count: 4}}"
    for attack in (
        "sign_flip",
        "copy_cat, knowledge: omniscient",
        "free_rider",
        "random_direction",
        "gaussian",
        "norm_inflation",
    )
)
"""The attacks of attacks_and_rules that the scenario leaves out."""
UNDEFENDED_SLOWLY = (
    "'aggregation={kind: mean, scale: median_clip, weights: equal}'",
    "'nodes.momentum={kind: ema, beta: 0.9}'",
    "rounds=60",
    "evaluate.every=60",
)
"""What differs from attacks_and_rules in the federation whose mean falls with momentum .9."""


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
    return success_table(outcomes[1], tuple(OTHER_BACKDOORS))


def of_features(outcomes: Sequence[Outcome]) -> str:
    """Return accuracy and success of backdoors on features, from the third command."""
    return success_table(outcomes[2], ("nobody", "the square is 2 x 2", "the square is 4 x 4"))


def success_table(outcome: Outcome, words: Sequence[str]) -> str:
    """Return accuracy and success for each attack of a sweep, which these words describe."""
    grid, points = grid_of(outcome.folder), points_of(outcome.folder)
    pairs = zip(grid[ATTACK], words, strict=True)
    lines = [[word, pair_of(points, {ATTACK: text})] for text, word in pairs]
    return table(["the attackers", "accuracy / success"], lines)


def pair_of(points: Sequence[Row], where: Mapping[str, str]) -> str:
    """Return the accuracy and the success of a backdoor in one cell."""
    return " / ".join(short(interval(values_of(points, m, where)).mean) for m in ("accuracy", BACK))


def of_composition(outcomes: Sequence[Outcome]) -> str:
    """Return the table of the composition and the mean.

    For each setting there are two sweeps of the composition and one of the mean.
    """
    made = [
        {
            "accuracy": joined(row_of(hard, "accuracy"), row_of(mild, "accuracy")),
            BACK: row_of(hard, BACK),
        }
        for hard, mild in zip(outcomes[::3], outcomes[1::3], strict=True)
    ]
    means = [
        {metric: row_of(each, metric) for metric in ("accuracy", BACK)} for each in outcomes[2::3]
    ]
    pairs = zip(made, means, strict=True)
    return composition_table(dict(zip(COMPOSITION, pairs, strict=True)))


def joined(first: Mapping[str, float], second: Mapping[str, float]) -> Mapping[str, float]:
    """Return two rows as one; an attack of both, with other parameters, keeps both values.

    >>> joined({"sign_flip": 0.9}, {"sign_flip": 0.8, "gaussian": 0.7})
    {'sign_flip': 0.9, 'sign_flip, by default': 0.8, 'gaussian': 0.7}
    """
    renamed = {f"{key}, by default" if key in first else key: second[key] for key in second}
    return {**first, **renamed}


def row_of(
    outcome: Outcome, metric: str, where: Mapping[str, str] = MappingProxyType({})
) -> Mapping[str, float]:
    """Return a metric of a sweep over attacks, by the attack, of the runs with some grid values."""
    points, words = points_of(outcome.folder), labels(ATTACK, grid_of(outcome.folder)[ATTACK])
    return {
        word: statistics.mean(
            float(row[metric] or "nan") for row in chosen(points, {**where, ATTACK: text})
        )
        for text, word in words.items()
    }


ADAPTIVE = "kind: adaptive, knowledge: omniscient"
FURTHER = (
    f"'{ATTACK}={{{ADAPTIVE}, count: 0}},{{{ADAPTIVE}, count: 4}},"
    f"{{{ADAPTIVE}, budget: 200, count: 4}}'"
)
"""Nobody attacks; the adaptive attack; and the same with 200 further evaluations a round."""
WEIGHTED = {
    "`mean`, all alike": "mean, weights: equal",
    "`mean`, by records": "mean, weights: records",
    "`mean`, by records up to the median": "mean, weights: {kind: records, cap: median}",
    "`dnc`, all alike": "dnc, byzantine: 8",
}
"""Rules that weigh holders, beside the composition, which counts all alike."""
GROUP_RULES = "mean", "l_nearest, keep: 4", "dnc, byzantine: 1"
"""Rules that choose among the sums of six groups."""
OF_TEN = "smea, byzantine: 2", "dnc, byzantine: 2", "dnc, byzantine: 4"
"""Rules that bear two of ten."""
ROOTED = "{kind: public_root, of: {kind: digits, split: {kind: iid}}, records: 100}"


def rules_of(rules: Sequence[str], scale: str = "unit") -> str:
    """Return the setting of a grid of rules with one scale.

    >>> rules_of(["mean", "caf"])
    "'aggregation={kind: mean, scale: unit},{kind: caf, scale: unit}'"
    """
    return f"'{RULE}={','.join(f'{{kind: {rule}, scale: {scale}}}' for rule in rules)}'"


def of_words(words: Sequence[str], first: str, key: str, across: str) -> Made:
    """Return the accuracy by two grid keys; the rows have these words, in the order of the grid."""

    def made(outcomes: Sequence[Outcome]) -> str:
        cells = cells_of(outcomes[0], key, across)
        columns = [head_of(column) for column in next(iter(cells.values()))]
        pairs = zip(words, cells.values(), strict=True)
        return table([first, *columns], [[w, *map(short, row.values())] for w, row in pairs])

    return made


def of_root(outcomes: Sequence[Outcome]) -> str:
    """Return the worst case of ``fltrust``, and what its public records are worth alone."""
    folder, row = outcomes[0].folder, row_of(outcomes[0], "accuracy")
    (first, *_) = points_of(folder)
    alone = baseline(folder, first["run"], "public_only", "accuracy")
    head, dashes, line = worst_table({"fltrust": row}).splitlines()
    more = "the public records alone", "---", short(alone)
    pairs = zip((head, dashes, line), more, strict=True)
    return "\n".join(f"{text} {word} |" for text, word in pairs)


def of_federations(outcomes: Sequence[Outcome]) -> str:
    """Return the accuracy of each command's federation by the attack."""
    rows = [row_of(outcome, "accuracy") for outcome in outcomes]
    lines = [[w, *map(short, row.values())] for w, row in zip(FEDERATIONS, rows, strict=True)]
    return table(["federation", *map(head_of, rows[0])], lines)


FEDERATIONS = "`robust_and_private`", "`mean` with momentum .9, 60 rounds"


def linked_table(outcomes: Sequence[Outcome]) -> str:
    """Return how well messages of one holder are linked, with and without momentum."""
    every = [rows_of(outcome, "linkability") for outcome in outcomes]
    lines = [
        [word, *(short(row["auc"], 2) for row in rows)]
        for word, rows in zip(("beta .7", "no momentum"), every, strict=True)
    ]
    return table(["momentum", *(row["likeness"] for row in every[0])], lines)


MAKERS: dict[str, Maker] = {
    "holders_and_attackers": Maker(
        commands=tuple(
            sweep("robust_and_private", *by_number(n), seeds=2 if n < 50 else 1) for n in HOLDERS
        ),
        minutes=4,
        texts={"": Text(CHOICE, of_settings(holders_table, [str(n) for n in HOLDERS]))},
    ),
    "backdoors": Maker(
        commands=(
            sweep("backdoors"),
            sweep(
                "robust_and_private",
                f"'{ATTACK}={','.join(map(backdoor, OTHER_BACKDOORS.values()))}'",
                seeds=3,
            ),
            sweep(
                "robust_and_private",
                "'task={kind: public_pca, of: {kind: digits, split: {kind: iid}}}'",
                UNDEFENDED[0],
                f"'{ATTACK}={','.join(map(backdoor, ON_FEATURES))}'",
                seeds=3,
            ),
        ),
        minutes=1,
        texts={
            "": Text(PAGE, of_backdoors),
            "others": Text(PAGE, of_weak_backdoors),
            "features": Text(PAGE, of_features),
        },
    ),
    "robust_and_private": Maker(
        commands=tuple(
            sweep("robust_and_private", *each, *rule)
            for each in COMPOSITION.values()
            for rule in ((), (f"'{ATTACK}={MILDER}'",), UNDEFENDED)
        ),
        minutes=10,
        texts={"": Text(PAGE, of_composition)},
    ),
    "further_evaluations": Maker(
        commands=(
            sweep("robust_and_private", FURTHER, seeds=1),
            sweep("attacks_and_rules", FURTHER, *UNDEFENDED_SLOWLY, seeds=1),
        ),
        minutes=2,
        texts={"": Text(PAGE, of_federations)},
    ),
    "composition_linked": Maker(
        commands=tuple(
            "fedchain audit robust_and_private --attack linkability"
            f" --set 'attacks[0].count=0' --set 'nodes.momentum={momentum}'"
            for momentum in ("{kind: ema, beta: 0.7}", "null")
        ),
        minutes=0.5,
        texts={"": Text(PAGE, linked_table)},
    ),
    "weighted_and_attacked": Maker(
        commands=(
            sweep(
                "robust_and_private",
                f"'task.split={SKEWED}'",
                rules_of(list(WEIGHTED.values())),
                f"'{ATTACK}={{{ADAPTIVE}, count: 0}},{{{ADAPTIVE}, count: 4}}'",
                seeds=2,
            ),
        ),
        minutes=1,
        texts={"": Text(PAGE, of_words(list(WEIGHTED), "rule", RULE, ATTACK))},
    ),
    "rooted_and_attacked": Maker(
        commands=(
            sweep(
                "attacks_and_rules",
                f"'task={ROOTED}'",
                f"'{ATTACK}={HARDEST}'",
                rules_of(["fltrust"], "median_clip"),
                seeds=1,
            ),
        ),
        minutes=1,
        texts={"": Text(PAGE, of_root)},
    ),
    "groups_attacked": Maker(
        commands=(
            sweep(
                "groups_and_attackers",
                rules_of(GROUP_RULES, "median_clip"),
                "'attacks=[],[{kind: sign_flip, holders: [25, 26, 27], from_round: 10}],"
                "[{kind: sign_flip, holders: [0, 10, 25], from_round: 10}]'",
                seeds=1,
            ),
        ),
        minutes=2,
        texts={
            "": Text(
                "docs/groups.md",
                means_table(
                    [("rule", tuple(map(code, GROUP_RULES)))],
                    ("nobody attacks", "three in one group", "three in three groups"),
                    "accuracy",
                ),
            )
        },
    ),
    "ten_holders_attacked": Maker(
        commands=(
            sweep(
                "robust_and_private",
                "nodes.holders=10",
                f"'{ATTACK}={HARDEST.replace('count: 4', 'count: 2')}'",
                rules_of(OF_TEN),
                seeds=1,
            ),
        ),
        minutes=1,
        texts={"": Text(PAGE, of_cells(worst_table))},
    ),
}
"""The makers by name, in the order of the pages."""
