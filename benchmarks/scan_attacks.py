"""Makers of the tables on attackers among the holders of scans."""

from __future__ import annotations

import json
import statistics
from collections.abc import Sequence

from compositions import backdoor, row_of
from maker import Maker, Text
from page_tables import Outcome, grid_of, points_of, short, table
from robustness_tables import attack_table, gain_table, head_of
from sweep_cells import ATTACK, BACK, MOMENTUM, PAGE, RULE, cells_of, labels, sweep

DNC = "{kind: dnc, byzantine: 8, scale: unit}"
"""The rule of robust_and_private."""
RULES = (
    f"{{kind: mean, scale: unit, weights: equal}},{DNC},{{kind: average_of, rules: "
    "[{kind: caf, byzantine: 4, scale: unit}, {kind: dnc, byzantine: 4, scale: unit}]}"
)
MOMENTA = "null,{kind: ema, beta: 0.5},{kind: ema, beta: 0.9}"
OF_SCANS = "kind: backdoor, portion: 1.0"
NOBODY = backdoor(("count: 0", OF_SCANS))
ADAPTIVE = "{kind: adaptive, count: 4, knowledge: omniscient}"
WORST = ",".join(
    (
        NOBODY,
        backdoor(("count: 4", OF_SCANS)),
        "{kind: poisoned, count: 4}",
        "{kind: norm_inflation, count: 4}",
        "{kind: mimic, count: 4, knowledge: omniscient}",
        "{kind: copy_cat, count: 4, knowledge: omniscient}",
        ADAPTIVE,
    )
)
"""Nobody attacks; five attacks that harm the rule most with the first seed; the adaptive one."""


def floor_of(outcome: Outcome) -> float:
    """Return the IoU of the better baseline, a mean over the seeds of a sweep."""
    by_seed = {}
    for point in points_of(outcome.folder):
        manifest = outcome.folder / "runs" / point["run"] / "manifest.json"
        baselines = json.loads(manifest.read_text(encoding="utf-8"))["baselines"]
        by_seed[point["seed"]] = max(float(each["iou"]) for each in baselines.values())
    return statistics.mean(by_seed.values())


def of_rules(outcomes: Sequence[Outcome]) -> str:
    """Return what each rule keeps of its gain under the worst attacks, from the second command."""
    outcome = outcomes[1]
    rules = labels(RULE, grid_of(outcome.folder)[RULE])
    rows = {
        word: {metric: row_of(outcome, metric, {RULE: rule}) for metric in ("iou", BACK)}
        for rule, word in rules.items()
    }
    return gain_table(rows, floor_of(outcome))


def of_attacks(outcomes: Sequence[Outcome]) -> str:
    """Return the rule's IoU under every attack, from the first command."""
    return attack_table(row_of(outcomes[0], "iou"), floor_of(outcomes[0]))


def of_momenta(outcomes: Sequence[Outcome]) -> str:
    """Return the rule's IoU with and without momentum, from the third command."""
    cells = cells_of(outcomes[2], MOMENTUM, ATTACK, "iou")
    heads = map(head_of, next(iter(cells.values())))
    lines = ([word, *map(short, row.values())] for word, row in cells.items())
    return table(["momentum", *heads], lines)


MAKERS: dict[str, Maker] = {
    "scans_and_attackers": Maker(
        commands=(
            sweep("scans_and_attackers", f"'{RULE}={DNC}'"),
            sweep("scans_and_attackers", f"'{RULE}={RULES}'", f"'{ATTACK}={WORST}'"),
            sweep(
                "scans_and_attackers",
                f"'{RULE}={DNC}'",
                f"'{ATTACK}={NOBODY},{ADAPTIVE}'",
                f"'{MOMENTUM}={MOMENTA}'",
                seeds=1,
            ),
        ),
        minutes=8,
        texts={
            "": Text(PAGE, of_rules),
            "attacks": Text(PAGE, of_attacks),
            "momentum": Text(PAGE, of_momenta),
        },
    ),
}
"""The makers by name, in the order of the page."""
