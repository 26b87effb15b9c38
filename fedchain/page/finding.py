"""Finding: one sentence with what a run found."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fedchain.names import counted_words
from fedchain.reports.words import metric_words
from fedchain.results import EVENTS, Run
from fedchain.results.tables import main_rounds


def finding_of(run: Run) -> str:
    """Return what a run has found so far, in one sentence."""
    manifest = run.manifest
    measured: Mapping[str, float | None] = {}
    counts = dict.fromkeys(("messages", "root", "byzantine", "byzantine_used"), 0)
    last: Mapping[str, Any] | None = None
    for last in main_rounds(run.folder / EVENTS):
        measured = last["metrics"] or measured
        counts = {name: count + last[name] for name, count in counts.items()}
    if last is None:
        return "No round has ended yet."
    score = manifest["score"]
    reached = measured.get(score)
    if reached is None:
        stale = counted_words(last["stale_blocks"], "block")
        return f"After {counted_words(last['round'], 'round')}, {stale} were not used."
    words = f"{metric_words(score)} {short_share(reached)}"
    best = _best_baseline(manifest["baselines"], score)
    beside = f" ({best})" if best else ""
    return f"{words}{beside} after {counted_words(last['round'], 'round')}" + (
        _epsilon_words(manifest, last) + _attack_words(counts) + "."
    )


def short_share(value: float) -> str:
    """Return a number with three digits, and a share without the leading zero.

    >>> short_share(0.6721), short_share(1.0), short_share(-0.25), short_share(12.3456)
    ('.672', '1', '-.25', '12.3')
    """
    text = f"{value:.3g}"
    return text.replace("0.", ".", 1) if text.lstrip("-").startswith("0.") else text


def _best_baseline(baselines: Mapping[str, Mapping[str, Any]], score: str) -> str:
    known = {
        name: metrics[score]
        for name, metrics in baselines.items()
        if metrics.get(score) is not None
    }
    if not known:
        return ""
    name = max(known, key=lambda each: float(known[each]))
    return f"{name.replace('_', ' ')}: {short_share(known[name])}"


def _epsilon_words(manifest: Mapping[str, Any], last: Mapping[str, Any]) -> str:
    if last["epsilon"] is None:
        return ", without a privacy guarantee"
    budget = manifest["scenario"].get("privacy", {}).get("epsilon")
    of = f" of {budget:g}" if isinstance(budget, float) else ""
    return f", at ε {last['epsilon']:.2f}{of}"


def _attack_words(counts: Mapping[str, int]) -> str:
    sent, used = counts["byzantine"], counts["byzantine_used"]
    if not sent:
        return ""
    messages = f"{counted_words(sent, 'message')} of attackers"
    if used == 0:
        return f"; all {messages} were left out" if sent > 1 else f"; the {messages} was left out"
    return f"; {used} of {messages} {'was' if used == 1 else 'were'} used"
