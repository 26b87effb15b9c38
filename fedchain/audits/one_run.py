"""One run: what the canaries of a single run prove about any mechanism."""

from __future__ import annotations

from collections.abc import Iterator

from fedchain.audits.canaries import promised, scores_of, seen_in, with_canaries
from fedchain.audits.lower_bounds import guessed
from fedchain.audits.record import Audit, BoundingRow, register
from fedchain.audits.runs_for_audit import Subject
from fedchain.results.findings import Finding


class OneRunRow(BoundingRow):
    """What the guesses of one run prove, at one claim."""

    guesses: int
    """How many canaries were guessed to be in or out."""
    correct: int
    """How many of these guesses are right."""


def one_run_findings(subject: Subject) -> Iterator[Finding]:
    """Yield, for every claim and run, what the canaries of that run alone prove.

    The audit guesses a tenth of the canaries: half of the guesses are that those with the largest
    scores are in, half that those with the least scores are out. The bound holds for any
    mechanism.

    Args:
        subject: what is audited.
    """
    for claim in subject.claims():
        scenario = with_canaries(claim, subject.choices.canaries)
        for made in map(subject.run, subject.seeded(scenario)):
            epsilon, delta = promised(made)
            trials = scores_of(seen_in(made))["sum"]
            yield {
                "claimed": epsilon,
                "delta": delta,
                "runs": [str(made.folder)],
                "confidence": subject.choices.confidence,
                "trials": len(trials.scores),
                **guessed(trials, delta, subject.choices.confidence),
            }


register(
    Audit(
        name="one-run",
        attack=one_run_findings,
        row=OneRunRow,
        columns={
            "claimed": "ε claimed",
            "lower_bound": "ε measured, at least",
            "delta": "δ",
            "trials": "canaries",
            "guesses": "guesses",
            "correct": "correct",
        },
    )
)
