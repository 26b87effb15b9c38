"""Findings of audits: reads them from ``audit.json`` and checks them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from fedchain.errors import RunRefused
from fedchain.files import read_json
from fedchain.registry import problems_of

AUDIT = "audit.json"
"""Name of the file with the findings of audits."""
AUDIT_FORMAT = 1
"""Version of the format of ``audit.json``."""
DEEPEST = 32
"""Limit on the depth of nested lists and mappings in a row."""
Finding = dict[str, Any]
"""One row of an audit: the claimed epsilon, the attacked runs and the attack's result."""
FindingsByAudit = Mapping[str, Sequence[Finding]]
"""Rows of each audit, by the audit's name."""


def read_findings(folder: Path) -> dict[str, list[Finding]]:
    """Return the findings in the audit file of a folder; {} without an audit file.

    Raises:
        RunRefused: the file cannot be read, has another format, or holds no findings.
    """
    path = folder / AUDIT
    try:
        said = read_json(path)
    except FileNotFoundError:
        return {}
    except RunRefused as error:
        raise RunRefused(f"{error}; remove it to audit anew") from error
    if not isinstance(said, dict) or said.get("format") != AUDIT_FORMAT:
        raise RunRefused(f"{path}: format must be {AUDIT_FORMAT}, the only one this version reads")
    attacks = said.get("attacks")
    if not isinstance(attacks, dict):
        raise _refused(folder, "attacks must be a mapping")
    for name, rows in attacks.items():
        if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
            raise _refused(folder, f"{name} must be a list of mappings")
        if _too_deep(rows):
            raise _refused(folder, f"{name} is nested too deeply; at most {DEEPEST} deep")
    return {name: rows for name, rows in attacks.items() if rows}


def check_findings(
    folder: Path, findings: FindingsByAudit, rows: Mapping[str, type[BaseModel]]
) -> None:
    """Check the findings of known audits.

    ``rows`` is the row type of each known audit, by the audit's name.

    Raises:
        RunRefused: a row does not have the type of its audit.
    """
    for name in [name for name in findings if name in rows]:
        if (wrong := wrong_row(name, findings[name], rows[name])) is not None:
            raise _refused(folder, wrong)


def wrong_row(name: str, findings: Sequence[Finding], row: type[BaseModel]) -> str | None:
    """Return the error of the first row that does not have the audit's row type, or None.

    >>> class Counted(BaseModel):
    ...     trials: int
    >>> wrong_row("mine", [{"trials": 3}, {}], Counted)
    'mine[1].trials: is missing; it has no default'
    """
    for index, each in enumerate(findings):
        try:
            row.model_validate(each)
        except ValidationError as error:
            problem = problems_of(error, (name, index), given=each)[0]
            return f"{problem.key}: {problem.text}"
    return None


def _refused(folder: Path, words: str) -> RunRefused:
    path = folder / AUDIT
    return RunRefused(f"{path}: holds no findings of an audit: {words}; remove it to audit anew")


def _too_deep(value: Mapping[str, Any] | list[Any], left: int = DEEPEST) -> bool:
    inside = value.values() if isinstance(value, Mapping) else value
    nested = [each for each in inside if isinstance(each, dict | list)]
    return left == 0 or any(_too_deep(each, left - 1) for each in nested)
