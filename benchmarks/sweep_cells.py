"""Sweeps over attacks and rules: their commands, and the cells of their tables."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from page_tables import Made, Outcome, grid_of, points_of, values_of
from robustness_tables import Cells

from fedchain.reports.axis_labels import block_words
from fedchain.statistics import interval

PAGE, CHOICE = "docs/robustness.md", "docs/which_rule.md"
ATTACK, RULE, SHARE, COUNT = "attacks[0]", "aggregation", "attacks[0].share", "attacks[0].count"
MOMENTUM = "nodes.momentum"
BACK = "backdoor"
"""Metric of the success of a backdoor."""


IID, SKEWED = "{kind: iid}", "{kind: dirichlet, alpha: 1.0}"
NOISELESS = "privacy.epsilon=.inf"
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
"""The attacks of repetitions in other settings."""


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


def sweep(name: str, *settings: str, seeds: int | None = None) -> str:
    """Return the command of a sweep with other values.

    >>> sweep("groups", "rounds=3", seeds=1)
    'fedchain sweep groups --set rounds=3 --seeds 1'
    """
    words = [f"fedchain sweep {name}", *(f"--set {setting}" for setting in settings)]
    return " ".join([*words, *([] if seeds is None else [f"--seeds {seeds}"])])
