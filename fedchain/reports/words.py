"""Words: gives readable names to the keys, values and metrics of a study."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Set

from fedchain.learning.task import PUBLIC_ONLY
from fedchain.names import counted_words
from fedchain.reports.study import DONE, EPSILON, GridValue, GridValues, Recorded, Study
from fedchain.results.finding import plain_baseline

ATTACKERS = {
    "attacks[0]": "attack",
    "attacks[0].share": "share of attackers",
    "attacks[0].count": "attackers",
}
"""Readable names of the grid keys of the first attack."""
KEY_UNITS = ("s", "ms")
"""Units that may be the end of a grid key."""


def baseline_words(baseline: str) -> str:
    """Return the readable name of a baseline.

    >>> baseline_words("majority"), baseline_words("public_only")
    ('majority (no learning)', 'public records alone')
    """
    words = plain_baseline(baseline)
    return words if baseline == PUBLIC_ONLY else f"{words} (no learning)"


def key_words(key: str) -> str:
    """Return the readable name of a grid key: ε for the privacy budget, else its last part.

    >>> key_words("privacy.epsilon"), key_words("aggregation.keep")
    ('ε', 'keep')
    >>> key_words("attacks[0].share"), key_words("attacks[0].factor")
    ('share of attackers', 'factor')
    >>> key_words("ledger.work.interval_s"), key_words("network.latency_ms.value")
    ('interval (s)', 'latency (ms)')
    """
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


def value_words(value: GridValue) -> str:
    """Return a grid value as short text.

    >>> value_words(8.0), value_words(0.5), value_words(math.inf), value_words("null")
    ('8', '0.5', '∞', 'none')
    """
    if isinstance(value, str):
        return "none" if value == "null" else value
    return "∞" if math.isinf(value) else f"{value:g}"


def group_words(keys: tuple[str, ...], values: GridValues, blocks: Set[str] = frozenset()) -> str:
    """Return the label of a group of runs with the same grid values.

    Args:
        keys: grid keys, dotted.
        values: the group's value for each key.
        blocks: keys whose values appear in the label without the key.

    >>> group_words(("privacy.epsilon", "aggregation.keep"), (8.0, 14.0))
    'ε = 8, keep = 14'
    >>> group_words(("nodes.groups", "privacy.kind"), ("no groups", "knorm"), {"nodes.groups"})
    'no groups, knorm'
    """
    named: list[str] = []
    for key, value in zip(keys, values, strict=True):
        if key == EPSILON and value == math.inf:
            named.insert(0, "no privacy")
        elif key in blocks or key.endswith(".kind"):
            named.append(value_words(value))
        else:
            named.append(f"{key_words(key)} = {value_words(value)}")
    return ", ".join(named)


def labelled(study: Study) -> dict[str, list[Recorded]]:
    """Return the runs of each grid point, by the point's label. A single run has an empty label."""
    groups = study.groups().items()
    return {group_words(study.keys, values, study.blocks): runs for values, runs in groups}


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


def epsilon_words(study: Study, epsilon: str = "total ε of each holder") -> str:
    """Return the label of a privacy axis: the text ``epsilon``, and delta if the run has one."""
    delta = (study.first.manifest.get("epsilon") or {}).get("delta")
    if not isinstance(delta, float) or not 0 < delta < 1:
        return epsilon
    mantissa, _, exponent = f"{delta:e}".partition("e")
    return f"{epsilon} (δ = {float(mantissa):g}e{int(exponent)})"
