"""Tables of a study: computes means with 95 % intervals."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from fedchain.reports.effort import forks_varied, releases_per_block, stale_blocks, until
from fedchain.reports.laws import compare
from fedchain.reports.study import (
    GridValue,
    GridValues,
    Reading,
    Recorded,
    Study,
    byzantine_share,
    capture,
    final,
    finite_value,
    metric_names,
    over_seeds,
    summed_count,
    total_epsilon,
    without,
)
from fedchain.reports.table import Cell, Table
from fedchain.reports.words import (
    axis_words,
    group_words,
    partial_words,
    score_words,
    value_words,
)
from fedchain.results.finding import plain_baseline
from fedchain.statistics import Interval


def tabulate(study: Study) -> list[Table]:
    """Return all tables for which the study has data, first the most important one."""
    if study.kind == "sweep":
        made = [*(_against_law(study) or [_points(study), *_pivoted(study)]), *_effort(study)]
    else:
        made = [_metrics(study), *_holders(study.first), *_last_round(study.first)]
    lacks = partial_words(study)
    told = f". {lacks}" if lacks else ""
    return [replace(table, caption=table.caption + told, study=study.name) for table in made]


def _points(study: Study) -> Table:
    metrics = list(dict.fromkeys(name for run in study.runs for name in metric_names(run)))
    columns = [(key, axis_words(study, key)) for key in study.keys] + [("n", "n")]
    columns += [(metric, score_words(study, metric)) for metric in metrics] + [
        ("epsilon", "ε spent")
    ]
    measures: list[Reading] = [partial(final, metric=metric) for metric in metrics]
    measures.append(total_epsilon)
    if any(capture(run) is not None for run in study.runs):
        columns.append(("byzantine_used", "attackers' messages used"))
        columns += [("byzantine_share", "attackers' share"), ("capture", "capture")]
        measures += [partial(summed_count, name="byzantine_used"), byzantine_share, capture]
    rows = _rows(study, measures)
    caption = "After the last round: mean and 95 % interval (Student's t) over n seeds"
    return Table("points", caption, tuple(columns), rows)


def _pivoted(study: Study) -> list[Table]:
    """Return the score with the values of the axis as columns; [] if there is one grid key."""
    if study.x not in study.keys or len(study.keys) < 2:
        return []
    others = without(study.keys, study.axis)
    across = list(dict.fromkeys(run.values[study.axis] for run in study.runs))
    found: dict[GridValues, dict[GridValue, Interval | None]] = {}
    for values, runs in study.groups().items():
        row = found.setdefault(without(values, study.axis), {})
        row[values[study.axis]] = over_seeds(runs, partial(final, metric=study.score))
    heads = {v: group_words((study.x,), (v,), study.blocks, study.labels) for v in across}
    columns = [(key, axis_words(study, key)) for key in others]
    columns += [(f"{study.x}={value}", words) for value, words in heads.items()]
    rows = tuple(
        (*(value_words(v, study.labels) for v in rest), *(row.get(v) for v in across))
        for rest, row in found.items()
    )
    caption = (
        f"{score_words(study, study.score)} after the last round: mean and 95 % interval "
        "(Student's t) over seeds; the best of each column is bold"
    )
    best = best_cells(rows, smallest=study.score == "loss")
    name = re.sub(r"\W+", "_", f"{study.score}_by_{study.x}")
    made = Table(name.strip("_"), caption, tuple(columns), rows, best)
    return [replace(made, over=axis_words(study, study.x), values=len(across))]


def best_cells(rows: Sequence[Sequence[Cell]], *, smallest: bool) -> frozenset[tuple[int, int]]:
    """Return the places, row and column, of the best mean of each column with several means.

    Means that read the same are equally good; if all do, none is the best.

    >>> means = [Interval(mean, 0.1, 3) for mean in (0.9001, 0.7, 0.9002)]
    >>> sorted(best_cells([("a", means[0]), ("b", means[1]), ("c", means[2])], smallest=False))
    [(0, 1), (2, 1)]
    """
    best: set[tuple[int, int]] = set()
    for column in range(len(rows[0])):
        cells = [(row, cell) for row, line in enumerate(rows) if (cell := line[column])]
        means = {row: round(c.mean, 3) for row, c in cells if isinstance(c, Interval)}
        if len(set(means.values())) > 1:
            top = (min if smallest else max)(means.values())
            best |= {(row, column) for row, mean in means.items() if mean == top}
    return frozenset(best)


def _rows(
    study: Study, measures: Sequence[Reading], *, whole: bool = False
) -> tuple[tuple[Cell, ...], ...]:
    """Return a row for each grid point: its values, the number of seeds, and each measure."""
    return tuple(
        (
            *(value_words(value, study.labels) for value in values),
            len(runs),
            *(over_seeds(runs, measure, whole=whole) for measure in measures),
        )
        for values, runs in study.groups().items()
    )


def _against_law(study: Study) -> list[Table]:
    found = compare(study)
    if found is None:
        return []
    law, points = found.law, found.points
    xs = [round(p.x) if law.counts else p.x for p in points]
    rows = tuple(
        (law.fixed.format(p.fixed), x, p.measured.count, p.measured, p.formula)
        for x, p in zip(xs, points, strict=True)
    )
    columns = (("curve", "curve"), ("x", law.x), ("n", "n"), ("measured", law.y), ("law", "law"))
    if found.flaw:
        words = f"Measured, with its 95 % interval; no law, since {found.flaw}"
        return [Table(law.name, words, columns[:-1], tuple(row[:-1] for row in rows))]
    return [Table(law.name, "Measured, with its 95 % interval, beside the law", columns, rows)]


def _effort(study: Study) -> list[Table]:
    if not forks_varied(study):
        return []
    columns = [(key, axis_words(study, key)) for key in study.keys] + [("n", "n")]
    columns += [("stale_share", "stale share"), ("releases", "releases per holder and block")]
    measures: list[Reading] = [stale_blocks, releases_per_block]
    if study.target is not None:
        words = f"{score_words(study, study.score)} {study.target:g}"
        columns += [("time_s", f"seconds until {words}"), ("epsilon", f"ε until {words}")]
        measures += [partial(until, study, "time_s"), partial(until, study, "epsilon")]
    rows = _rows(study, measures, whole=True)
    return [Table("effort", "What forks cost: mean and 95 % interval", tuple(columns), rows)]


def _metrics(study: Study) -> Table:
    run = study.first
    baselines = run.manifest.get("baselines", {})
    columns = [("metric", "metric"), ("value", "this run")]
    columns += [(name, study.labels.get(name, plain_baseline(name))) for name in baselines]
    rows = tuple(
        (score_words(study, m), final(run, m), *(finite_value(b, m) for b in baselines.values()))
        for m in metric_names(run)
    )
    caption = "On held-out data after the last round, beside what needs no data holder"
    return Table("metrics", caption, tuple(columns), rows)


def _holders(run: Recorded) -> list[Table]:
    if not run.messages:
        return []
    of_holder: dict[int, list[dict[str, Any]]] = {}
    for row in run.messages:
        of_holder.setdefault(int(row["holder"]), []).append(row)
    rows: list[tuple[Cell, ...]] = []
    for _, own in sorted(of_holder.items()):
        used = sum(bool(row["used"]) for row in own)
        late = sum(bool(row["late"]) for row in own)
        attacks = ", ".join(sorted({str(row["attack"]) for row in own if row["attack"]}))
        spent = [e for row in own if (e := finite_value(row, "epsilon")) is not None]
        epsilon = max(spent) if spent else None
        rows.append(
            (
                _sender(own[0]),
                len(own),
                used,
                len(own) - used - late,
                late,
                epsilon,
                attacks or None,
            )
        )
    names = ("holder", "releases", "used", "left_out", "late", "epsilon", "attack")
    words = {"epsilon": "ε spent", "left_out": "left out"}
    columns = tuple((name, words.get(name, name)) for name in names)
    caption = "What became of each holder's releases; a late one is in no block of the main chain"
    return [Table("holders", caption, columns, tuple(rows))]


def _sender(row: Mapping[str, Any]) -> Cell:
    """Return the number of the holder or group that sent a message, or the word ``root``."""
    return int(row["holder"]) if row["members"] else "root"


def _last_round(run: Recorded) -> list[Table]:
    """Return a table that says of each message of the last block what share it got, and why."""
    block, judged_by = run.metrics[-1]["block"], run.manifest.get("judged_by", "")
    there = [row for row in run.messages if row["block"] == block and not row["late"]]
    if not there:
        return []
    score = "score" if judged_by else "cosine"
    columns = (
        *((name, name) for name in ("holder", "attack", "share")),
        (score, judged_by or "cosine with the sum"),
        ("reason", "why not"),
    )
    rows = tuple(
        (
            _sender(row),
            row["attack"] or None,
            finite_value(row, "share"),
            finite_value(row, score),
            row["reason"] or None,
        )
        for row in sorted(there, key=lambda row: (-(row.get("share") or 0.0), row["holder"]))
    )
    height = run.metrics[-1]["height"]
    caption = f"What the rule made of each message of the last block, height {height}"
    return [Table("last_round", caption, columns, rows)]
