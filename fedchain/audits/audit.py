"""An audit: attacks on what a scenario or a run publishes, and what they prove."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fedchain.audits.canaries import canary_findings, one_run_findings
from fedchain.audits.figures import (
    claimed_and_measured,
    linked_messages,
    reconstructed_pictures,
    true_positives,
)
from fedchain.audits.inversion import inversion_findings
from fedchain.audits.linkability import linkability_findings
from fedchain.audits.membership import membership_findings
from fedchain.audits.subject import Choices, Progress, Subject
from fedchain.errors import RunRefused
from fedchain.results import OVER, Run, write_whole
from fedchain.scenario import Scenario, digest, run_name
from fedchain.statements import as_json
from fedchain.studies.figures.style import Drawing, render

AUDIT = "audit.json"
"""The file of an audit's findings."""
FORMAT = 1
"""Version of that file."""
Finding = dict[str, Any]
"""One row of an attack: what was attacked, and what it came to."""


@dataclass(frozen=True)
class Attack:
    """A way to find out what is published."""

    find: Callable[[Subject], Iterator[Finding]]
    """Carries it out; one finding a claim, or several."""
    draw: tuple[Callable[[Mapping[str, Sequence[Finding]]], Drawing | None], ...]
    """Draw the findings of all attacks, by name; attacks that share a figure share its function."""


ATTACKS = {
    "canaries": Attack(canary_findings, (claimed_and_measured,)),
    "one-run": Attack(one_run_findings, (claimed_and_measured,)),
    "membership": Attack(membership_findings, (claimed_and_measured, true_positives)),
    "inversion": Attack(inversion_findings, (reconstructed_pictures,)),
    "linkability": Attack(linkability_findings, (linked_messages,)),
}
"""Every attack by its name, the first the default."""


@dataclass(frozen=True)
class Audited:
    """What an audit left behind."""

    folder: Path
    """Where its files lie."""
    findings: Mapping[str, Sequence[Finding]]
    """Of every attack that was carried out, now or before."""
    files: tuple[Path, ...]
    """``audit.json`` and the figures."""

    @property
    def violations(self) -> list[Finding]:
        """The findings whose lower bound lies above the claim."""
        rows = [row for rows in self.findings.values() for row in rows]
        held = [row for row in rows if row["claimed"] is not None and "lower_bound" in row]
        return [row for row in held if row["lower_bound"] > row["claimed"]]


def audit(
    target: Scenario | Run,
    attacks: Sequence[str] = ("canaries",),
    out: str | Path = "audits",
    choices: Choices = Choices(),  # noqa: B008 - frozen
    progress: Progress = lambda *_: None,
) -> Audited:
    """Attack what a scenario or a finished run publishes, and write down what that proves.

    A run keeps its findings in its own folder; those of a scenario go into a folder of their own.
    What earlier audits found there stays; an attack that is repeated replaces its findings.

    Args:
        target: what is audited.
        attacks: names of ``ATTACKS``.
        out: folder of the audits of scenarios.
        choices: claims, runs, canaries, confidence.
        progress: told of (what is done, steps done, steps in all).

    Raises:
        ScenarioError: the scenario promises nothing, or an attack does not fit it.
        RunError: the run is not over, its directions are gone, or a folder cannot be written.
        ValueError: no such attack.
    """
    unknown = [name for name in attacks if name not in ATTACKS]
    if unknown:
        allowed = ", ".join(ATTACKS)
        raise ValueError(f"attack: {', '.join(unknown)} is not one; allowed are {allowed}")
    if isinstance(target, Run):
        if target.manifest["status"] not in OVER:
            raise RunRefused(f"{target.folder}: is not finished; an audit reads all of a run")
        folder, scenario, done = target.folder, target.scenario, target
    else:
        folder, scenario, done = Path(out) / run_name(target), target, None
    subject = Subject(scenario, done, folder / "audit", choices, progress)
    findings = _found_before(folder / AUDIT)
    for name in attacks:
        findings[name] = list(ATTACKS[name].find(subject))
    ordered = {name: findings[name] for name in ATTACKS if name in findings}
    return _written(folder, scenario, ordered)


def _written(
    folder: Path, scenario: Scenario, findings: Mapping[str, Sequence[Finding]]
) -> Audited:
    statement = {
        "format": FORMAT,
        "name": scenario.name,
        "digest": digest(scenario),
        "seed": scenario.seed,
        "attacks": findings,
    }
    files = [folder / AUDIT]
    write_whole(files[0], as_json(statement))
    drawings = dict.fromkeys(draw for name in findings for draw in ATTACKS[name].draw)
    for draw in drawings:
        drawing = draw(findings)
        if drawing is not None:
            files += [folder / "figures" / f"{drawing.name}.{kind}" for kind in ("pdf", "png")]
            for file in files[-2:]:
                write_whole(file, render(drawing, file.suffix[1:]))
    return Audited(folder, findings, tuple(files))


def _found_before(path: Path) -> dict[str, list[Finding]]:
    if not path.is_file():
        return {}
    try:
        said = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise RunRefused(f"{path}: cannot be read: {error}; remove it to audit anew") from error
    if not isinstance(said, dict) or said.get("format") != FORMAT:
        raise RunRefused(f"{path}: format must be {FORMAT}, the only one this version reads")
    named = said.get("attacks")
    if not isinstance(named, dict) or not all(map(_are_findings, named.values())):
        raise RunRefused(f"{path}: holds no findings of an audit; remove it to audit anew")
    return {name: named[name] for name in ATTACKS if name in named}


def _are_findings(rows: object) -> bool:
    return isinstance(rows, list) and all(
        isinstance(row, dict) and "claimed" in row for row in rows
    )
