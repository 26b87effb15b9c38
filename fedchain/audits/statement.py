"""Presentation of audits: tables and figures of findings, and the claims that they refute."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import ValidationError

from fedchain.audits.record import AUDITS, Audit, BoundingRow, draw_own_figure, find_audit
from fedchain.reports.table import Table
from fedchain.results.findings import AUDIT, Finding, FindingsByAudit, check_findings, read_findings

if TYPE_CHECKING:
    from fedchain.reports.figures.style import Drawing
    from fedchain.reports.page import Attacked

Known = Mapping[str, Audit[Any]]
"""Audits by the names that ``audit.json`` uses for them."""
COLOURS = (0, 2, 3, 4, 5, 6)
"""Palette indices for audits that bound epsilon, without the colour of violations."""
# a file must not choose what code runs
NOT_TRUSTED = "an audit of somebody's own; add --trust-user-parts if you know it"
"""Reason that is shown for a user-defined audit that was not imported."""


def read_attacked(folder: Path, trust_user_parts: bool = False) -> Attacked:
    """Return the findings of a run's audits as sentences, figures and tables.

    ``trust_user_parts`` says whether to import user-defined audits that ``audit.json`` names.

    Raises:
        RunRefused: ``audit.json`` cannot be read, or holds no findings.
        PartError: the figure of a user-defined audit fails.
    """
    from fedchain.reports.page import Attacked

    findings = read_findings(folder)
    known, unknown = dict(AUDITS), {}
    for name in [name for name in findings if name not in AUDITS]:
        try:
            if ":" in name and not trust_user_parts:
                raise ValueError(NOT_TRUSTED)
            known[name] = find_audit(name)
        except ValueError as error:
            unknown[name] = str(error)
    check_findings(folder, findings, {name: audit.row for name, audit in known.items()})
    return Attacked(
        tuple(map(violation_words, violations(findings))),
        tuple(audit_figures(findings, known)),
        tuple(
            _table(name, rows, known[name]) if name in known else _plain(name, rows, unknown[name])
            for name, rows in findings.items()
        ),
    )


def violations(findings: FindingsByAudit) -> list[Finding]:
    """Return all rows whose lower bound exceeds the claimed epsilon, even rows of unknown audits.

    >>> row = {"claimed": 4.0, "lower_bound": 8.4, "delta": 0.0, "confidence": 0.95, "trials": 9}
    >>> violations({"canaries": [row, row | {"lower_bound": 3.5}], "mine": [{}]}) == [row]
    True
    """
    return [row for rows in findings.values() for row in rows if _violated(row)]


def _violated(row: Finding) -> bool:
    try:
        bound = BoundingRow.model_validate(row)
    except ValidationError:
        return False
    return bound.claimed is not None and bound.lower_bound > bound.claimed


def violation_words(row: Finding) -> str:
    """Return a sentence that says that the bound exceeds the claimed epsilon.

    >>> violation_words({"claimed": 4.0, "lower_bound": 8.41, "confidence": 0.95})
    'epsilon 4 was claimed, and is at least 8.41 with 95% confidence'
    """
    return (
        f"epsilon {row['claimed']:.4g} was claimed, and is at least "
        f"{row['lower_bound']:.4g} with {row['confidence']:.0%} confidence"
    )


def _table(name: str, findings: Sequence[Finding], audit: Audit[Any]) -> Table:
    rows = tuple(
        tuple("; ".join(map(str, value)) if isinstance(value, list) else value for value in values)
        for values in audit.cells(findings)
    )
    caption = f"Audit: {audit.words}. {audit.unseen}" if audit.unseen else f"Audit: {audit.words}"
    return Table(_file_name(name), caption, tuple(audit.columns.items()), rows)


def _plain(name: str, findings: Sequence[Finding], reason: str) -> Table:
    """Return the table of an unknown audit.

    The columns are the keys that have a text, a number or None in every row.
    """
    plain = str | int | float | None
    keys = [key for key in findings[0] if all(isinstance(r.get(key), plain) for r in findings)]
    rows = tuple(tuple(row.get(key) for key in keys) for row in findings)
    caption = f"Audit: {name}, rows as they stand in {AUDIT} ({reason})"
    return Table(_file_name(name), caption, tuple((key, key) for key in keys), rows)


def _file_name(name: str) -> str:
    """Return a safe file name for a table.

    >>> _file_name("one-run"), _file_name("../lab.audits:mine")
    ('audit_one_run', 'audit_lab_audits_mine')
    """
    # ``audit.json`` may come from a stranger
    return f"audit_{'_'.join(re.findall('[A-Za-z0-9]+', name))[:80]}"


def audit_figures(findings: FindingsByAudit, known: Known) -> list[Drawing]:
    """Return all figures of known audits that have findings.

    Raises:
        PartError: the figure of a user-defined audit fails.
    """
    shown = {name: rows for name, rows in findings.items() if name in known}
    drawn = [draw_own_figure(name, known[name], rows) for name, rows in shown.items()]
    return [drawing for drawing in (claimed_and_measured(shown, known), *drawn) if drawing]


def claimed_and_measured(findings: FindingsByAudit, known: Known) -> Drawing | None:
    """Plot the lower bounds of known audits against the claimed epsilon.

    The result is None if no audit bounds a claimed epsilon.
    """
    from fedchain.reports.figures import style

    bounds = [
        (f"{known[name].words} ({row.attack})" if row.attack else known[name].words, row)
        for name in findings
        if known[name].bounds_epsilon
        for row in known[name].rows(findings[name])
        if row.claimed is not None
    ]
    if not bounds:
        return None
    top = 1.15 * max(max(row.claimed, row.lower_bound) for _, row in bounds)
    with style.styled():
        figure, ax = style.axes(3.0)
        line = np.array([0.0, top])
        ax.fill_between(line, line, top, color=style.VERMILION, alpha=0.12, linewidth=0)
        ax.text(0.04, 0.94, "violation", transform=ax.transAxes, color=style.VERMILION, va="top")
        ax.plot(line, line, color=style.GREY, linewidth=1.0, label="measured = claimed")
        for place, words in enumerate(dict.fromkeys(words for words, _ in bounds)):
            ax.plot(
                [row.claimed for those, row in bounds if those == words],
                [row.lower_bound for those, row in bounds if those == words],
                linestyle="none",
                marker=style.sign_of(0, place).marker,
                color=style.PALETTE[COLOURS[place % len(COLOURS)]],
                label=words,
                clip_on=False,
                zorder=3,
            )
        ax.set(xlim=(0, top), ylim=(0, top), xlabel="ε claimed", ylabel="ε measured, at least")
        ax.set_aspect("equal")
        style.legend_below(figure, 2)
    caption = (
        f"Lower bounds on ε that attacks prove with {bounds[0][1].confidence:.0%} confidence, "
        "against the ε that the run claims. A point in the shaded region would refute the claim; a "
        "point far below it says that the attack is weak, not that privacy is better than claimed."
    )
    return style.finished("claimed_and_measured", caption, figure)
