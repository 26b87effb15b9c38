"""Audit: attacks a scenario or a finished run, and writes the findings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from fedchain.audits.record import AUDITS, carry_out, find_audit
from fedchain.audits.runs_for_audit import AuditProgress, Choices, Subject
from fedchain.audits.statement import Known, audit_figures, violations
from fedchain.errors import RunRefused
from fedchain.files import check_folder, write_whole
from fedchain.machine import exact_arithmetic
from fedchain.results import COMPLETE, Run
from fedchain.results.findings import (
    AUDIT,
    AUDIT_FORMAT,
    Finding,
    FindingsByAudit,
    check_findings,
    read_findings,
)
from fedchain.results.origin import check_unchanged
from fedchain.runs.genesis import check_secret
from fedchain.runs.manifest import as_json
from fedchain.scenario import Scenario, ScenarioLike, as_scenario, run_digest, run_name


@dataclass(frozen=True)
class Audited:
    """Result of an audit."""

    folder: Path
    """Folder of the audit's files."""
    findings: FindingsByAudit
    """Findings of all attacks in the folder, including those of earlier audits."""
    files: tuple[Path, ...]
    """The files that this audit wrote: ``audit.json`` and the figures."""

    @property
    def violations(self) -> list[Finding]:
        """The findings whose lower bound exceeds the claimed epsilon."""
        return violations(self.findings)


@exact_arithmetic()
def audit(
    target: ScenarioLike | Run,
    attacks: Sequence[str] = ("canaries",),
    out: str | Path = "audits",
    choices: Choices = Choices(),  # noqa: B008 - frozen
    progress: AuditProgress = lambda *_: None,
) -> Audited:
    """Attack a scenario or a finished run, and write the findings.

    The findings of a run are written to the run's folder, those of a scenario to a new folder.
    Earlier findings of other attacks are kept.

    Args:
        target: the finished run; or a scenario, its values as a mapping, the path of its file, or
            the name of a shipped one.
        attacks: names of audits, or ``module:object`` for a user-defined audit.
        out: parent of the new folder for a scenario.
        choices: the user's settings.
        progress: called with (current activity, steps done, steps in all).

    Raises:
        ScenarioError: the scenario promises no privacy, or an attack does not fit it.
        RunError: the run is unfinished, has another secret or did not keep its messages, or a
            folder cannot be written.
        PartError: a user-defined audit fails.
        ValueError: there is no such audit.
    """
    asked = {name: find_audit(name) for name in attacks}
    if isinstance(target, Run):
        if target.manifest["status"] not in COMPLETE:
            raise RunRefused(f"{target.folder}: is not finished; an audit reads all of a run")
        check_secret(target, choices.secret)
        check_unchanged(target, "an audit computes again what a run computed")
        folder, scenario, done = target.folder, target.scenario, target
    else:
        scenario, done = as_scenario(target), None
        folder = Path(out) / run_name(scenario)
    subject = Subject(
        scenario=scenario, done=done, runs=folder / "audit", choices=choices, progress=progress
    )
    check_folder(folder, own=True)
    findings = read_findings(folder)
    check_findings(folder, findings, {name: each.row for name, each in AUDITS.items()})
    for name, each in asked.items():
        findings[name] = carry_out(name, each, subject)
    ordered = {name: findings[name] for name in (*AUDITS, *findings) if name in findings}
    return _written(folder, scenario, ordered, AUDITS | asked)


def _written(folder: Path, scenario: Scenario, findings: FindingsByAudit, known: Known) -> Audited:
    from fedchain.reports.figures.style import render

    statement = {
        "format": AUDIT_FORMAT,
        "name": scenario.name,
        "digest": run_digest(scenario),
        "seed": scenario.seed,
        "attacks": findings,
    }
    files = [folder / AUDIT]
    write_whole(files[0], as_json(statement))
    for drawing in audit_figures(findings, known):
        for kind in ("pdf", "png"):
            files.append(folder / "figures" / f"{drawing.name}.{kind}")
            write_whole(files[-1], render(drawing, kind))
    return Audited(folder, findings, tuple(files))
