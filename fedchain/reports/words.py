"""Words: gives readable names to the keys, values and metrics of a study."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Mapping, Set
from types import MappingProxyType

from fedchain.learning.task import PUBLIC_ONLY
from fedchain.names import counted_words
from fedchain.reports.study import (
    DONE,
    EPSILON,
    GridValue,
    GridValues,
    Recorded,
    Study,
    metric_names,
)
from fedchain.results.finding import metric_words, plain_baseline

ATTACKERS = {
    "attacks[0]": "attack",
    "attacks[0].share": "share of attackers",
    "attacks[0].count": "attackers",
}
"""Readable names of the grid keys of the first attack."""
KEY_UNITS = ("s", "ms")
"""Units that may be the end of a grid key."""
Labels = Mapping[str, str]
"""What figures and tables write instead of a key, a kind, a metric, a baseline or a label."""
NO_LABELS: Labels = MappingProxyType({})
"""No other names."""


def score_words(study: Study, metric: str) -> str:
    """Return the name of a metric in the figures and tables of a study."""
    return study.labels.get(metric, metric_words(metric))


def axis_words(study: Study, key: str) -> str:
    """Return the name of a grid key in the figures and tables of a study."""
    return key_words(key, study.labels)


def baseline_words(baseline: str, labels: Labels = NO_LABELS) -> str:
    """Return the readable name of a baseline.

    >>> baseline_words("majority"), baseline_words("public_only")
    ('majority (no learning)', 'public records alone')
    """
    if baseline in labels:
        return labels[baseline]
    words = plain_baseline(baseline)
    return words if baseline == PUBLIC_ONLY else f"{words} (no learning)"


def key_words(key: str, labels: Labels = NO_LABELS) -> str:
    """Return the readable name of a grid key: its label, ε for the budget, or its last part.

    >>> key_words("privacy.epsilon"), key_words("aggregation.keep")
    ('ε', 'keep')
    >>> key_words("attacks[0].share"), key_words("attacks[0].factor")
    ('share of attackers', 'factor')
    >>> key_words("ledger.work.interval_s"), key_words("network.latency_ms.value")
    ('interval (s)', 'latency (ms)')
    """
    if key in labels:
        return labels[key]
    if key == EPSILON:
        return "ε"
    if key in ATTACKERS:
        return ATTACKERS[key]
    family, _, last = key.rpartition(".")
    name = family.rpartition(".")[2] if last in ("kind", "value") else last
    for unit in KEY_UNITS:
        if name.endswith(f"_{unit}"):
            name = f"{name.removesuffix(unit)}({unit})"
    return name.replace("_", " ")


def value_words(value: GridValue, labels: Labels = NO_LABELS) -> str:
    """Return a grid value as short text.

    >>> value_words(8.0), value_words(0.5), value_words(math.inf), value_words("null")
    ('8', '0.5', '∞', 'none')
    >>> value_words("l_nearest", {"l_nearest": "nearest of all"})
    'nearest of all'
    """
    if isinstance(value, str):
        return labels.get(value, "none" if value == "null" else value)
    return "∞" if math.isinf(value) else f"{value:g}"


def group_words(
    keys: tuple[str, ...],
    values: GridValues,
    blocks: Set[str] = frozenset(),
    labels: Labels = NO_LABELS,
) -> str:
    """Return the label of a group of runs with the same grid values.

    Args:
        keys: grid keys, dotted.
        values: the group's value for each key.
        blocks: keys whose values appear in the label without the key.
        labels: other names of keys, kinds and parts of the label, such as ``keep = 14``.

    >>> group_words(("privacy.epsilon", "aggregation.keep"), (8.0, 14.0))
    'ε = 8, keep = 14'
    >>> group_words(("nodes.groups", "privacy.kind"), ("no groups", "knorm"), {"nodes.groups"})
    'no groups, knorm'
    >>> group_words(("aggregation.keep",), (14.0,), labels={"keep = 14": "ours"})
    'ours'
    """
    named: list[str] = []
    for key, value in zip(keys, values, strict=True):
        if key == EPSILON and value == math.inf:
            named.insert(0, labels.get("no privacy", "no privacy"))
        elif key in blocks or key.endswith(".kind"):
            named.append(value_words(value, labels))
        else:
            plain = f"{key_words(key)} = {value_words(value)}"
            words = f"{key_words(key, labels)} = {value_words(value, labels)}"
            named.append(labels.get(plain, words))
    return ", ".join(named)


def labelled(study: Study) -> dict[str, list[Recorded]]:
    """Return the runs of each grid point, by the point's label. A single run has an empty label."""
    groups = study.groups().items()
    return {
        group_words(study.keys, values, study.blocks, study.labels): runs for values, runs in groups
    }


def idle_labels(study: Study) -> list[str]:
    """Return the names in a study's labels that stand nowhere in its figures and tables."""
    known = {*study.keys, EPSILON, "no privacy", *metric_names(study.first)}
    known |= study.first.manifest.get("baselines", {}).keys()
    for values in study.groups():
        for key, value in zip(study.keys, values, strict=True):
            known |= {value_words(value), group_words((key,), (value,), study.blocks)}
    return [name for name in study.labels if name not in known]


def partial_words(study: Study) -> str:
    """Return a sentence that says what a study lacks; empty if it lacks nothing.

    It has no full stop.
    """
    if study.kind == "run":
        told = study.first.manifest
        status, height, rounds = (told[key] for key in ("status", "height", "rounds"))
        words = f"Partial: the run is {status} after {height} of {counted_words(rounds, 'round')}"
        return "" if status in DONE else words.replace("_", " ")
    if not study.unfinished:
        return ""
    counts = Counter(row["status"].replace("_", " ") for row in study.unfinished)
    states = ", ".join(f"{number} {state}" for state, number in sorted(counts.items()))
    missing = sum(counts.values())
    if study.first.manifest["status"] not in DONE:
        return f"Partial: no run has a result yet ({states}); all values are those so far"
    total = counted_words(missing + len(study.runs), "run")
    return f"Partial: {missing} of {total} left out, without a result ({states})"


def seed_words(counts: Collection[int]) -> str:
    """Return a text with the number of seeds per point.

    >>> seed_words([1]), seed_words([3, 5])
    ('1 seed', '3 to 5 seeds')
    """
    low, high = min(counts), max(counts)
    return f"{low} seed{'s' if low > 1 else ''}" if low == high else f"{low} to {high} seeds"


def epsilon_words(study: Study, epsilon: str = "") -> str:
    """Return the label of a privacy axis, with delta if the run has one.

    Without the text ``epsilon``, the label is that of the budget.
    """
    epsilon = epsilon or study.labels.get(EPSILON, "total ε of each holder")
    delta = (study.first.manifest.get("epsilon") or {}).get("delta")
    if not isinstance(delta, float) or not 0 < delta < 1:
        return epsilon
    mantissa, _, exponent = f"{delta:e}".partition("e")
    return f"{epsilon} (δ = {float(mantissa):g}e{int(exponent)})"
