"""An audit: attacks on what a scenario or a run publishes, and what they prove."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from fedchain.audits.canaries import canary_findings, one_run_findings
from fedchain.audits.inversion import inversion_findings
from fedchain.audits.linkability import linkability_findings
from fedchain.audits.membership import membership_findings
from fedchain.audits.subject import Choices, Progress, Subject
from fedchain.errors import RunRefused
from fedchain.results import OVER, Run, write_whole
from fedchain.scenario import Scenario, digest, run_name
from fedchain.statements import as_json
from fedchain.studies.audited import AUDIT, FORMAT, Finding, Findings, read_findings, violations
from fedchain.studies.figures.audits import audit_figures
from fedchain.studies.figures.style import render

ATTACKS: dict[str, Callable[[Subject], Iterator[Finding]]] = {
    "canaries": canary_findings,
    "one-run": one_run_findings,
    "membership": membership_findings,
    "inversion": inversion_findings,
    "linkability": linkability_findings,
}
"""Every attack by its name, the first the default: one finding a claim, or several."""


@dataclass(frozen=True)
class Audited:
    """What an audit left behind."""

    folder: Path
    """Where its files lie."""
    findings: Findings
    """Of every attack that was carried out, now or before."""
    files: tuple[Path, ...]
    """``audit.json`` and the figures."""

    @property
    def violations(self) -> list[Finding]:
        """The findings whose lower bound lies above the claim."""
        return violations(self.findings)


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
    findings = read_findings(folder)
    for name in attacks:
        findings[name] = list(ATTACKS[name](subject))
    ordered = {name: findings[name] for name in (*ATTACKS, *findings) if name in findings}
    return _written(folder, scenario, ordered)


def _written(folder: Path, scenario: Scenario, findings: Findings) -> Audited:
    statement = {
        "format": FORMAT,
        "name": scenario.name,
        "digest": digest(scenario),
        "seed": scenario.seed,
        "attacks": findings,
    }
    files = [folder / AUDIT]
    write_whole(files[0], as_json(statement))
    for drawing in audit_figures(findings):
        for kind in ("pdf", "png"):
            files.append(folder / "figures" / f"{drawing.name}.{kind}")
            write_whole(files[-1], render(drawing, kind))
    return Audited(folder, findings, tuple(files))
