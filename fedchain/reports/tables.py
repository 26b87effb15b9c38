"""Tables of a study: computes means with 95 % intervals, and writes CSV, Markdown and LaTeX."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from fedchain.reports.effort import forks_varied, releases_per_block, stale_blocks, until
from fedchain.reports.laws import compare
from fedchain.reports.study import (
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
)
from fedchain.reports.words import key_words, partial_words, value_words
from fedchain.results.finding import metric_words, plain_baseline
from fedchain.statistics import Interval

TABLE_KINDS = ("csv", "md", "tex")
"""Kinds of table files."""
Cell = str | int | float | Interval | None
"""Content of one cell; None: no value."""
LATEX = {
    "\\": r"\textbackslash{}",
    **{sign: "\\" + sign for sign in "&%$#_{}"},
    **{sign: f"{{{sign}}}" for sign in "[*"},  # after the \\ of a row they would be its options
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"$<$",
    ">": r"$>$",
    "|": r"$|$",
    "ε": r"$\varepsilon$",
    "δ": r"$\delta$",
    "∞": r"$\infty$",
    "±": r"$\pm$",
    "–": "--",
}
"""LaTeX commands for special characters."""


@dataclass(frozen=True)
class Table:
    """Rows under named columns."""

    name: str
    """Name of the table's file, without the ending."""
    caption: str
    """Caption of the table."""
    columns: tuple[tuple[str, str], ...]
    """Key and heading of each column. CSV files show the key, other formats the heading."""
    rows: tuple[tuple[Cell, ...], ...]
    """The rows, each with one cell per column."""


def tabulate(study: Study) -> list[Table]:
    """Return all tables for which the study has data, first the most important one."""
    if study.kind == "sweep":
        made = [*(_against_law(study) or [_points(study)]), *_effort(study)]
    else:
        made = [_metrics(study.first), *_holders(study.first), *_last_round(study.first)]
    lacks = partial_words(study)
    told = f". {lacks}" if lacks else ""
    return [replace(table, caption=table.caption + told) for table in made]


def write_table(table: Table, kind: str) -> str:
    """Return the table as text of one kind: ``csv``, ``md`` or ``tex``."""
    return {"csv": _csv, "md": _markdown, "tex": _latex}[kind](table)


def cell_words(cell: Cell) -> str:
    """Return the text of a cell for Markdown, LaTeX and HTML.

    >>> [cell_words(Interval(0.9, half, 5)) for half in (0.0123, math.inf)], cell_words(None)
    (['0.900 ± 0.012', '0.900'], '–')
    """
    if cell is None:
        return "–"
    if isinstance(cell, Interval):
        spread = f" ± {_decimals(cell.half)}" if math.isfinite(cell.half) else ""
        return _decimals(cell.mean) + spread
    return _decimals(cell) if isinstance(cell, float) else " ".join(str(cell).split())


def _points(study: Study) -> Table:
    metrics = list(dict.fromkeys(name for run in study.runs for name in metric_names(run)))
    columns = [(key, key_words(key)) for key in study.keys] + [("n", "n")]
    columns += [(metric, metric_words(metric)) for metric in metrics] + [("epsilon", "ε spent")]
    measures: list[Reading] = [partial(final, metric=metric) for metric in metrics]
    measures.append(total_epsilon)
    if any(capture(run) is not None for run in study.runs):
        columns.append(("byzantine_used", "attackers' messages used"))
        columns += [("byzantine_share", "attackers' share"), ("capture", "capture")]
        measures += [partial(summed_count, name="byzantine_used"), byzantine_share, capture]
    rows = _rows(study, measures)
    caption = "After the last round: mean and 95 % interval (Student's t) over n seeds"
    return Table("points", caption, tuple(columns), rows)


def _rows(
    study: Study, measures: Sequence[Reading], *, whole: bool = False
) -> tuple[tuple[Cell, ...], ...]:
    """Return a row for each grid point: its values, the number of seeds, and each measure."""
    return tuple(
        (
            *map(value_words, values),
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
    columns = [(key, key_words(key)) for key in study.keys] + [("n", "n")]
    columns += [("stale_share", "stale share"), ("releases", "releases per holder and block")]
    measures: list[Reading] = [stale_blocks, releases_per_block]
    if study.target is not None:
        words = f"{metric_words(study.score)} {study.target:g}"
        columns += [("time_s", f"seconds until {words}"), ("epsilon", f"ε until {words}")]
        measures += [partial(until, study, "time_s"), partial(until, study, "epsilon")]
    rows = _rows(study, measures, whole=True)
    return [Table("effort", "What forks cost: mean and 95 % interval", tuple(columns), rows)]


def _metrics(run: Recorded) -> Table:
    baselines = run.manifest.get("baselines", {})
    columns = [("metric", "metric"), ("value", "this run")]
    columns += [(name, plain_baseline(name)) for name in baselines]
    rows = tuple(
        (metric_words(m), final(run, m), *(finite_value(b, m) for b in baselines.values()))
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


def _csv(table: Table) -> str:
    """Return the table as CSV. A column with intervals becomes three columns: mean, low, high."""
    columns: list[tuple[str, ...]] = []
    for place, (key, _) in enumerate(table.columns):
        cells = [row[place] for row in table.rows]
        if any(isinstance(cell, Interval) for cell in cells):
            names = f"{key}_mean", f"{key}_low", f"{key}_high"
            columns += zip(names, *map(_ends, cells), strict=True)
        else:
            texts = ("inf" if cell == "∞" else "" if cell is None else str(cell) for cell in cells)
            columns.append((key, *texts))
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(zip(*columns, strict=True))
    return text.getvalue()


def _ends(cell: Cell) -> tuple[str, str, str]:
    if not isinstance(cell, Interval):
        return "", "", ""
    ends = (repr(cell.low), repr(cell.high)) if math.isfinite(cell.half) else ("", "")
    return repr(cell.mean), *ends


def _markdown(table: Table) -> str:
    def line(cells: list[str]) -> str:
        return "| " + " | ".join(c.replace("\\", "\\\\").replace("|", "\\|") for c in cells) + " |"

    lines = [line([words for _, words in table.columns]), line(["---"] * len(table.columns))]
    lines += [line([cell_words(cell) for cell in row]) for row in table.rows]
    return "\n".join([*lines, "", f"{table.caption}.", ""])


def _latex(table: Table) -> str:
    def line(cells: list[str]) -> str:
        return "    " + " & ".join(map(escape_latex, cells)) + r" \\"

    body = "\n".join(line([cell_words(cell) for cell in row]) for row in table.rows)
    return rf"""\begin{{table}}
  \centering
  \caption{{{escape_latex(table.caption)}.}}
  \begin{{tabular}}{{{"l" * len(table.columns)}}}
    \hline
{line([words for _, words in table.columns])}
    \hline
{body}
    \hline
  \end{{tabular}}
\end{{table}}
"""


def escape_latex(text: str) -> str:
    r"""Return a text escaped for LaTeX. It needs no LaTeX package.

    >>> print(escape_latex("a_b & 5 % ± ∞"))
    a\_b \& 5 \% $\pm$ $\infty$
    """
    return "".join(LATEX.get(sign, sign) for sign in text)


def _decimals(value: float) -> str:
    return f"{value:.3f}" if abs(value) < 100 else f"{value:.4g}"
