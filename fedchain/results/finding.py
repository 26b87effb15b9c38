"""Finding: says in one sentence what a run has found; terminal, report and page show it first."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from typing import Any

from fedchain.learning.task import PUBLIC_ONLY
from fedchain.names import counted_words
from fedchain.scenario.attackers import HolderAttack

METRICS = {"iou": "IoU", "f1": "F1"}
"""Readable names of metrics that are abbreviations, by metric."""
SHARE_METRICS = ("accuracy", "iou", "outlier_", "backdoor", "byzantine_share")
"""Beginnings of the names of the metrics that are shares: fedchain's own but the loss."""
COUNTED = ("messages", "used", "byzantine", "byzantine_used")
"""Counts of a round that a summary adds up."""


def finding(
    manifest: Mapping[str, Any], measured: Mapping[str, Any], messages: Mapping[str, int]
) -> str:
    """Return the finding of a run: its score beside the best baseline, epsilon, and attackers.

    Args:
        manifest: the content of ``manifest.json``.
        measured: the last metrics by name, empty if nothing was measured; other keys do not matter.
        messages: the sums of ``COUNTED`` over the final rounds.

    >>> nodes = {"holders": 20, "compute": 3}
    >>> attack = {"kind": "sign_flip", "holders": [9, 14]}
    >>> scenario = {"nodes": nodes, "attacks": [attack], "privacy": {"epsilon": 8.0}}
    >>> manifest = {"status": "finished", "height": 40, "rounds": 40, "score": "iou"}
    >>> manifest |= {"baselines": {"keep_everything": {"iou": 0.19907}}, "scenario": scenario}
    >>> manifest |= {"epsilon": {"total": 7.548}, "misconduct": []}
    >>> messages = {"messages": 800, "used": 640, "byzantine": 42, "byzantine_used": 0}
    >>> print(finding(manifest, {"iou": 0.6723}, messages))
    18 honest holders reached IoU .672 (keep everything: .199) at ε 7.55 of 8; all 42 messages of \
the 2 attackers were left out.
    """
    score = manifest["score"]
    first = _reached(manifest, measured.get(score)) if score in measured else _chain(manifest)
    told = [first, *_attackers(manifest, messages), *_dishonest(manifest)]
    sentence = f"{_progress(manifest)}{'; '.join(told)}."
    return sentence[:1].upper() + sentence[1:]


def metric_words(metric: str) -> str:
    """Return the readable name of a metric.

    >>> metric_words("iou"), metric_words("outlier_recall")
    ('IoU', 'outlier recall')
    """
    return METRICS.get(metric, metric.replace("_", " "))


def bounds_of(metric: str) -> tuple[float, float]:
    """Return the least and the largest value that a metric can have.

    >>> bounds_of("accuracy"), bounds_of("loss"), bounds_of("my_lab_error")
    ((0.0, 1.0), (0.0, inf), (-inf, inf))
    """
    if metric.startswith(SHARE_METRICS):
        return 0.0, 1.0
    return (0.0, math.inf) if metric == "loss" else (-math.inf, math.inf)


def plain_baseline(baseline: str) -> str:
    """Return the readable name of a baseline.

    >>> plain_baseline("keep_everything"), plain_baseline("public_only")
    ('keep everything', 'public records alone')
    """
    return "public records alone" if baseline == PUBLIC_ONLY else metric_words(baseline)


def three_digits(value: float | None) -> str:
    """Return a number with three digits after the point, without the zero before it.

    >>> three_digits(0.6723), three_digits(-0.05), three_digits(12.5), three_digits(None)
    ('.672', '-.050', '12.500', 'no finite number')
    """
    if value is None or not math.isfinite(value):
        return "no finite number"
    text = f"{value:.3f}"
    return text.replace("0.", ".", 1) if text.lstrip("-").startswith("0.") else text


def best_of(baselines: Mapping[str, Mapping[str, Any]], metric: str) -> tuple[str, float] | None:
    """Return the name and the value of the best baseline by a metric; None if none has it.

    >>> best_of({"majority": {"loss": 0.6}, "mean": {"loss": 0.5}, "none": {}}, "loss")
    ('mean', 0.5)
    """
    values = {
        name: float(value)
        for name, metrics in baselines.items()
        if isinstance(value := metrics.get(metric), int | float) and math.isfinite(value)
    }
    if not values:
        return None
    name = (min if metric == "loss" else max)(values, key=values.__getitem__)
    return name, values[name]


def _progress(manifest: Mapping[str, Any]) -> str:
    if manifest["height"] >= manifest["rounds"]:
        return ""
    return f"after {manifest['height']} of {counted_words(manifest['rounds'], 'round')}, "


def _reached(manifest: Mapping[str, Any], value: float | None) -> str:
    score, nodes = manifest["score"], manifest["scenario"]["nodes"]
    attackers = attacking_holders(manifest)
    kind = "honest holder" if attackers else "holder"
    who = counted_words(nodes["holders"] - attackers, kind)
    reached = f"{metric_words(score)} {three_digits(value)}"
    best = best_of(manifest.get("baselines", {}), score)
    if best is not None:
        behind = value is not None and (value >= best[1] if score == "loss" else value <= best[1])
        label = f"no better than {plain_baseline(best[0])}" if behind else plain_baseline(best[0])
        reached += f" ({label}: {three_digits(best[1])})"
    return f"{who} reached {reached} {_privacy(manifest)}"


def _privacy(manifest: Mapping[str, Any]) -> str:
    total = manifest["epsilon"]["total"]
    if total is None:
        return "without a guarantee of privacy"
    budget = manifest["scenario"].get("privacy", {}).get("epsilon")
    asked = isinstance(budget, int | float) and math.isfinite(budget)
    return f"at ε {total:.2f}{f' of {budget:g}' if asked else ''}"


def _chain(manifest: Mapping[str, Any]) -> str:
    nodes, stale = manifest["scenario"]["nodes"]["compute"], manifest["stale_blocks"]
    nodes = nodes if isinstance(nodes, int) else len(nodes)
    blocks = counted_words(manifest["height"], "block")
    share = stale / max(1, stale + manifest["height"])
    return (
        f"{counted_words(nodes, 'compute node')} agreed on {blocks}; {stale} more went stale "
        f"({share:.1%} of the work)"
    )


def attacking_holders(manifest: Mapping[str, Any]) -> int:
    """Return the number of holders that the entries of ``attacks`` make attackers."""
    scenario = manifest["scenario"]
    holders = scenario["nodes"]["holders"]
    keys = ("holders", "share", "count")  # which misconduct of compute nodes lacks
    entries = (
        HolderAttack.model_construct(part=None, **{key: attack.get(key) for key in keys})
        for attack in scenario.get("attacks", ())
    )
    return int(min(holders, sum(entry.number_of(holders) for entry in entries)))


def _attackers(manifest: Mapping[str, Any], messages: Mapping[str, int]) -> list[str]:
    sent, used = messages["byzantine"], messages["byzantine_used"]
    if not sent:
        return []
    who = f"messages of the {counted_words(attacking_holders(manifest), 'attacker')}"
    if used in (0, sent):
        return [f"all {sent} {who} were {'used' if used else 'left out'}"]
    return [f"{used} of {sent} {who} were used"]


def _dishonest(manifest: Mapping[str, Any]) -> list[str]:
    kinds = Counter(str(row["kind"]) for row in manifest.get("misconduct", ()))
    if not kinds:
        return []
    words = ", ".join(f"{count} by {kind.replace('_', ' ')}" for kind, count in kinds.items())
    nodes = counted_words(kinds.total(), "compute node")
    return [
        f"{nodes} broke the protocol ({words}), and honest ones refused {manifest['refused']} times"
    ]
