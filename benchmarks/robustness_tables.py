"""Tables of docs/robustness.md and docs/which_rule.md, in Markdown, from the cells of sweeps."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from page_tables import short, table

from fedchain.reports.axis_labels import NO_ATTACKERS
from fedchain.reports.planes import Line

Cells = Mapping[str, Mapping[str, float]]
"""Means over the seeds, by the label of the row and the label of the column."""
Row = Mapping[str, Mapping[str, float]]
"""Means over the seeds, by the metric and the label of the attack."""
MEAN = "mean"
"""Label of the rule without a defence."""


def worst_of(row: Mapping[str, float]) -> tuple[str, float]:
    """Return the attack under which a rule's metric is smallest, and the metric.

    >>> worst_of({"nobody": 0.9, "alie": 0.7, "mimic": 0.8})
    ('alie', 0.7)
    """
    attacked = {attack: value for attack, value in row.items() if attack != NO_ATTACKERS}
    attack = min(attacked, key=attacked.__getitem__)
    return attack, attacked[attack]


def by_worst(cells: Cells) -> list[str]:
    """Return the labels of the rules, first the one with the best worst case."""
    return sorted(cells, key=lambda rule: -worst_of(cells[rule])[1])


def worst_table(cells: Cells) -> str:
    """Return each rule's value without attackers and its worst case, with the attack."""
    lines = []
    for rule in by_worst(cells):
        (attack, worst), clean = worst_of(cells[rule]), cells[rule][NO_ATTACKERS]
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
            line.append(f"{short(cells[rule][NO_ATTACKERS], 2)} / {short(worst, 2)} ({attack})")
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
    attacks = [attack for attack in next(iter(cells.values())) if attack != NO_ATTACKERS]
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
    heads = "holders", "best rule", "nobody attacks", "attacked"
    return table([*heads, "`mean`, nobody attacks", "attacked"], lines)


def head_of(attack: str) -> str:
    """Return the heading of the column of an attack.

    >>> head_of("nobody"), head_of("alie")
    ('nobody attacks', '`alie`')
    """
    return "nobody attacks" if attack == NO_ATTACKERS else code(attack)


def composition_table(found: Mapping[str, tuple[Row, Row]]) -> str:
    """Return what a composition keeps under its worst attack in each setting, beside the mean.

    Args:
        found: for each setting, the measurements of the composition and of the mean. A measurement
            has the accuracy and the success of backdoors by the attack.
    """
    lines = []
    for setting, (made, mean) in found.items():
        attack, worst = worst_of(made["accuracy"])
        clean, plain = made["accuracy"][NO_ATTACKERS], mean["accuracy"][NO_ATTACKERS]
        cells = short(plain), short(worst_of(mean["accuracy"])[1]), short(clean), short(worst)
        backdoors = (successes(each["backdoor"]) for each in (mean, made))
        lines.append([setting, *cells, percent(worst / clean), code(attack), *backdoors])
    heads = "setting", "`mean`, nobody attacks", "worst", "composition, nobody attacks", "worst"
    more = "kept", "under the attack", "backdoor, `mean`", "backdoor, composition"
    return table([*heads, *more], lines)


def gain_table(found: Mapping[str, Mapping[str, Row]], floor: float) -> str:
    """Return what each rule keeps of its gain on scans, beside the success of a backdoor.

    Args:
        found: for each rule, the IoU and the success of the backdoor by the attack.
        floor: the IoU of the better baseline, above which a rule gains.
    """
    lines = []
    for rule, row in found.items():
        (attack, worst), clean = worst_of(row["iou"]), row["iou"][NO_ATTACKERS]
        kept = percent((worst - floor) / (clean - floor))
        cells = short(clean), short(worst), kept, code(attack), successes(row["backdoor"])
        lines.append([code(rule), *cells])
    lines.append(["the better baseline", short(floor), "", "", "", ""])
    heads = "rule", "nobody attacks", "worst", "gain kept", "under the attack", "backdoor"
    return table(heads, lines)


def attack_table(row: Mapping[str, float], floor: float) -> str:
    """Return a rule's IoU under each attack, and what it keeps of its gain above a baseline.

    The attacks are sorted, the worst one first.
    """
    gain = row[NO_ATTACKERS] - floor
    lines = [
        [head_of(attack), short(value), percent((value - floor) / gain)]
        for attack, value in sorted(row.items(), key=lambda pair: pair[1])
    ]
    return table(["attack", "IoU", "gain kept"], lines)


def successes(row: Mapping[str, float]) -> str:
    """Return how often a backdoor works without attackers, and under the attack that installs it.

    >>> successes({"nobody": 0.01, "poisoned": 0.9, "alie": math.nan})
    '.010 / .900'
    """
    measured = {attack: value for attack, value in row.items() if not math.isnan(value)}
    return f"{short(measured[NO_ATTACKERS])} / {short(worst_success(measured))}"


def worst_success(measured: Mapping[str, float]) -> float:
    """Return the largest success of a backdoor under attack."""
    return max(value for attack, value in measured.items() if attack != NO_ATTACKERS)


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
