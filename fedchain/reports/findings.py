"""Findings: what a study has found, in the sentence with which its page begins."""

from __future__ import annotations

from fedchain.reports.study import Recorded, Study, best_baseline, final, over_seeds
from fedchain.reports.words import labelled, seed_words
from fedchain.results.finding import COUNTED, finding, metric_words, plain_baseline, three_digits


def finding_of(study: Study) -> str:
    """Return the finding of a run, or the best and the worst point of a sweep."""
    return _of_run(study.first) if study.kind == "run" else _of_sweep(study)


def _of_run(run: Recorded) -> str:
    score = run.manifest["score"]
    rows = [row for row in run.metrics if score in row]
    counts = {name: sum(int(row[name]) for row in run.metrics) for name in COUNTED}
    return finding(run.manifest, rows[-1] if rows else {}, counts)


def _of_sweep(study: Study) -> str:
    groups = labelled(study)
    seeds = seed_words([len(runs) for runs in groups.values()])
    found = {
        label: measured.mean
        for label, runs in groups.items()
        if (measured := over_seeds(runs, lambda run: final(run, study.score))) is not None
    }
    if not found:
        return f"{len(groups)} points, {seeds} each."
    low, high = (pick(found, key=found.__getitem__) for pick in (min, max))
    best, worst = (low, high) if study.score == "loss" else (high, low)
    words = f"{metric_words(study.score)} {three_digits(found[best])}"
    words = words[:1].upper() + words[1:]
    if best != worst:
        words += f" at best ({best}) and {three_digits(found[worst])} at worst ({worst})"
    baseline = best_baseline(study, study.score)
    beside = f"; {plain_baseline(baseline[0])}: {three_digits(baseline[1])}" if baseline else ""
    return f"{words}{beside}. {len(groups)} points, {seeds} each."
