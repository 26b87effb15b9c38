"""What audits found, as their file keeps it: later audits and reports read it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from fedchain.errors import RunRefused
from fedchain.studies.tables import Cell, Table

AUDIT = "audit.json"
"""The file of an audit's findings."""
FORMAT = 1
"""Version of that file."""
LARGEST = 2**26
"""Most bytes of the file."""
PICTURED = 8
"""Most records whose pictures are kept of a finding, and drawn."""
Finding = dict[str, Any]
"""One row of an attack: what was attacked, and what it came to."""
Findings = Mapping[str, Sequence[Finding]]
"""What audits found, by the attack's name."""
COLUMNS: dict[str, dict[str, str]] = {
    "canaries": {
        "claimed": "ε claimed",
        "lower_bound": "ε measured, at least",
        "delta": "δ",
        "trials": "trials judged",
        "false_positive": "false positives, at most",
        "false_negative": "false negatives, at most",
    },
    "one-run": {
        "claimed": "ε claimed",
        "lower_bound": "ε measured, at least",
        "delta": "δ",
        "trials": "canaries",
        "guesses": "guesses",
        "correct": "correct",
    },
    "membership": {
        "attack": "attack",
        "claimed": "ε claimed",
        "lower_bound": "ε measured, at least",
        "auc": "AUC",
        "true_positives": "true positives at false ones, ceiling",
        "trials": "trials",
    },
    "inversion": {
        "claimed": "ε claimed",
        "trials": "records",
        "psnr": "PSNR, dB",
        "psnr_prior": "without gradient",
        "ssim": "SSIM",
        "ssim_prior": "without gradient",
    },
    "linkability": {
        "likeness": "compared",
        "claimed": "ε claimed",
        "auc": "AUC of linking",
        "auc_half": "±",
        "trials": "pairs",
        "rounds": "rounds",
    },
}
"""What is shown of each attack: key of a finding to the words above its column."""


_Share = Annotated[float, Field(gt=0, lt=1)]


class _Row(BaseModel):
    model_config = ConfigDict(strict=True, allow_inf_nan=False)
    claimed: Annotated[float, Field(gt=0)] | None
    trials: int


class _Bounding(_Row):
    lower_bound: Annotated[float, Field(ge=0)]
    delta: float
    confidence: _Share


class _Canaries(_Bounding):
    false_positive: float
    false_negative: float


class _OneRun(_Bounding):
    guesses: int
    correct: int


class _Found(BaseModel):
    model_config = ConfigDict(strict=True, allow_inf_nan=False)
    false_positives: Annotated[float, Field(gt=0, le=1)]
    share: float
    ceiling: float


class _Membership(_Bounding):
    attack: str
    auc: float
    true_positives: list[_Found]
    curve: Annotated[list[_Found], Field(min_length=1)]


def _even(pictures: list[list[list[float]]]) -> list[list[list[float]]]:
    rows = [row for picture in pictures for row in picture]
    if not all(pictures) or len({len(row) for row in rows}) != 1 or not rows[0]:
        raise ValueError("pictures must have rows of one length, one or more")
    return pictures


def _rising(ends: list[float]) -> list[float]:
    if ends[0] >= ends[1]:
        raise ValueError("range must be the least and the largest value")
    return ends


_Strip = Annotated[list[list[list[float]]], Field(min_length=1), AfterValidator(_even)]


class _Pictures(BaseModel):
    model_config = ConfigDict(strict=True, allow_inf_nan=False)
    truth: _Strip
    prior: _Strip
    found: _Strip


class _Inversion(_Row):
    psnr: float
    psnr_prior: float
    ssim: float
    ssim_prior: float
    range: Annotated[list[float], Field(min_length=2, max_length=2), AfterValidator(_rising)]
    pictures: _Pictures


class _Linkability(_Row):
    likeness: str
    confidence: _Share
    rounds: int
    auc: float
    auc_half: float | None


ROWS: dict[str, type[_Row]] = {
    "canaries": _Canaries,
    "one-run": _OneRun,
    "membership": _Membership,
    "inversion": _Inversion,
    "linkability": _Linkability,
}
"""What a finding of each attack must hold; it may hold more."""


def read_findings(folder: Path) -> dict[str, list[Finding]]:
    """Return what audits found that left their file in this folder; nothing where there is none.

    Raises:
        RunRefused: the file cannot be read, is of another format, or holds no findings.
    """
    path = folder / AUDIT
    if not path.is_file():
        return {}
    try:
        if path.stat().st_size > LARGEST:
            raise ValueError(f"has {path.stat().st_size} bytes, at most {LARGEST} are allowed")
        said = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise RunRefused(f"{path}: cannot be read: {error}; remove it to audit anew") from error
    if not isinstance(said, dict) or said.get("format") != FORMAT:
        raise RunRefused(f"{path}: format must be {FORMAT}, the only one this version reads")
    try:
        return _checked(said.get("attacks"))
    except (ValidationError, ValueError) as error:
        wrong = error.errors()[0] if isinstance(error, ValidationError) else None
        words = f"{'.'.join(map(str, wrong['loc']))}: {wrong['msg']}" if wrong else str(error)
        text = f"{path}: holds no findings of an audit: {words}; remove it to audit anew"
        raise RunRefused(text) from error


def _checked(attacks: object) -> dict[str, list[Finding]]:
    if not isinstance(attacks, dict):
        raise ValueError("attacks must be a mapping")
    for name, rows in attacks.items():
        if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
            raise ValueError(f"{name} must be a list of mappings")
        for row in rows if name in ROWS else ():
            ROWS[name].model_validate(row)
    return {name: rows for name, rows in attacks.items() if rows}


def violations(findings: Findings) -> list[Finding]:
    """Return the findings whose lower bound lies above the claim.

    >>> violations({"canaries": [{"claimed": 4.0, "lower_bound": 8.4}]})
    [{'claimed': 4.0, 'lower_bound': 8.4}]
    """
    rows = [row for rows in findings.values() for row in rows]
    held = [row for row in rows if row.get("claimed") is not None and "lower_bound" in row]
    return [row for row in held if row["lower_bound"] > row["claimed"]]


def violation_words(row: Finding) -> str:
    """Say that a bound lies above the claim.

    >>> violation_words({"claimed": 4.0, "lower_bound": 8.41, "confidence": 0.95})
    'epsilon 4 was claimed, and is at least 8.41 with 95% confidence'
    """
    return (
        f"epsilon {row['claimed']:.4g} was claimed, and is at least "
        f"{row['lower_bound']:.4g} with {row['confidence']:.0%} confidence"
    )


def audit_tables(findings: Findings) -> list[Table]:
    """Return a table for each attack that was carried out."""
    captions = {name: f"Audit: {name.replace('-', ' ')}" for name in findings}
    return [
        Table(
            f"audit_{name.replace('-', '_')}",
            captions[name],
            tuple(COLUMNS[name].items()),
            tuple(tuple(_cell(row[key]) for key in COLUMNS[name]) for row in rows),
        )
        for name, rows in findings.items()
        if name in COLUMNS
    ]


def shares_words(points: Sequence[Mapping[str, float]]) -> list[str]:
    """Say how many members are found at each share of false ones.

    >>> shares_words([{"false_positives": 0.01, "share": 0.02, "ceiling": 0.5}])
    ['2.00% at 1.0%, ≤ 50.00%']
    """
    return [f"{p['share']:.2%} at {p['false_positives']:.1%}, ≤ {p['ceiling']:.2%}" for p in points]


def _cell(value: Any) -> Cell:
    if isinstance(value, list):
        return "; ".join(shares_words(value))
    known: Cell = value
    return known
