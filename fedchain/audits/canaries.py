"""Canaries: records whose gradient the auditor knows and looks for in what a run published.

The audit ``canaries`` pools all runs of a claim; ``one-run`` judges each run by itself. These are
ordinary runs of fedchain, whose task has canaries as records; everything else is as in the
scenario. The gradient of each canary has an axis of its own, so its score is independent of all
others: one run gives as many trials as it has canaries.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass

import numpy as np

from fedchain.arrays import Flags, Matrix
from fedchain.audits.lower_bounds import Tradeoff, Trials, guessed, lower_bound
from fedchain.audits.record import Audit, BoundingRow, register
from fedchain.audits.runs_for_audit import (
    PublishedRelease,
    Subject,
    for_audit,
    ledger_of,
    promise_of,
    releases_of,
)
from fedchain.errors import Problem, RunRefused, ScenarioError
from fedchain.learning.tasks.canary_records import axes_of, inside_of
from fedchain.results import Run
from fedchain.results.findings import Finding
from fedchain.scenario import Scenario


class CanaryRow(BoundingRow):
    """What the canaries of a claim prove."""

    false_positive: float
    """Upper bound on the share of canaries that are out and were guessed to be in."""
    false_negative: float
    """Upper bound on the share of canaries that are in and were guessed to be out."""


class OneRunRow(BoundingRow):
    """What the guesses of one run prove, at one claim."""

    guesses: int
    """How many canaries were guessed to be in or out."""
    correct: int
    """How many of these guesses are right."""


@dataclass(frozen=True, kw_only=True)
class Seen:
    """One holder's releases along the axes of its canaries."""

    holder: int
    """The data holder."""
    parents: tuple[bytes, ...]
    """The parent block of each release, (t,)."""
    signs: Matrix
    """The sign of each canary's gradient, (t, canaries)."""
    pulls: Matrix
    """Component of the release along each canary's axis, in units of C / n_k, (t, canaries)."""
    inside: Flags
    """Which canaries are in, (canaries,)."""


def with_canaries(scenario: Scenario, each: int) -> Scenario:
    """Return the scenario with so many canaries of each holder as records, if it has none yet.

    Raises:
        ScenarioError: the scenario protects holders, not records.
    """
    if scenario.privacy.parameters.get("unit") == "holder":
        text = "holder: canaries are records, no whole holders; only unit record is allowed"
        raise ScenarioError([Problem(("privacy", "unit"), text)])
    if scenario.task.kind == "canaries":
        return for_audit(scenario, {})
    return for_audit(scenario, {"task": {"kind": "canaries", "each": each}})


def canary_findings(subject: Subject) -> Iterator[Finding]:
    """Yield, for every claim, the lower bound that the canaries of all its runs prove."""
    for claim in subject.claims():
        scenario = with_canaries(claim, subject.choices.canaries)
        made = [subject.run(each) for each in subject.seeded(scenario)]
        epsilon, delta = promised(made[0])
        scores = [scores_of(seen_in(run)) for run in made]
        pooled = {
            name: Trials(
                np.concatenate([each[name].scores for each in scores]),
                np.concatenate([each[name].inside for each in scores]),
            )
            for name in scores[0]
        }
        known, confidence = tradeoff_of(scenario), subject.choices.confidence
        bound = lower_bound(list(pooled.values()), delta, known, confidence)
        yield {"claimed": epsilon, "runs": [str(run.folder) for run in made], **asdict(bound)}


def one_run_findings(subject: Subject) -> Iterator[Finding]:
    """Yield, for every claim and run, what the canaries of that run alone prove.

    The audit guesses a tenth of the canaries: half of the guesses are that those with the largest
    scores are in, half that those with the least scores are out. The bound holds for any
    mechanism.
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


def promised(made: Run) -> tuple[float, float]:
    """Return the epsilon and delta that a run claims.

    Raises:
        ScenarioError: the run claims no finite epsilon.
    """
    promise = promise_of(made)
    if promise.epsilon is None:
        text = "promises no finite epsilon; an audit holds what is measured against a promise"
        raise ScenarioError([Problem(("privacy",), text)])
    return promise.epsilon, promise.delta


def tradeoff_of(scenario: Scenario) -> Tradeoff:
    """Return what is known of the trade-off of a scenario's noise.

    At the scale that fedchain uses, Skellam noise differs from rounded normal noise by only some
    parts in 10^5.
    """
    privacy = scenario.privacy
    normal = privacy.kind in ("gaussian", "skellam")
    return "gaussian" if normal and privacy.parameters.get("sampling_rate", 1) == 1 else "any"


def seen_in(run: Run) -> list[Seen]:
    """Return what a run of canaries has published about each holder's canaries.

    In the sum of a group, the audit looks for the canaries of the first member. The canaries of
    the other members have the same axes, and are subtracted: a guarantee for one record also holds
    against an attacker who knows all other records. If a member was lost, this subtracts too much,
    which makes the audit weaker.

    Raises:
        RunRefused: the weights or the directions were not kept, or nothing was released.
    """
    scenario = run.scenario
    each = int(scenario.task.parameters["each"])
    axes = axes_of(scenario.seed, each).astype(np.float64)
    by_holder: dict[int, list[PublishedRelease]] = {}
    for released in releases_of(run):
        by_holder.setdefault(released.holder, []).append(released)
    if not by_holder:
        raise RunRefused(f"{run.folder}: no block carries a release of an honest holder")
    parents = {r.message.parent for all_ in by_holder.values() for r in all_}
    try:
        with ledger_of(run) as store:
            signs = {parent: np.sign(axes @ store.state(parent).weights) for parent in parents}
    except KeyError as error:
        raise RunRefused(
            f"{run.folder}: {error.args[0]}; an audit reads them all: disk.keep_weights must be all"
        ) from error
    seen = []
    for holder, heard in sorted(by_holder.items()):
        turned = np.stack([signs[r.message.parent] for r in heard])
        first, *others = (
            inside_of(scenario.seed, member, each) for member in scenario.nodes.members_of(holder)
        )
        known = np.sum(others, axis=0) if others else 0.0
        pulls = np.stack([axes @ r.vector * _unit(r) for r in heard]) - turned * known
        seen.append(
            Seen(
                holder=holder,
                parents=tuple(r.message.parent for r in heard),
                signs=turned,
                pulls=pulls,
                inside=first,
            )
        )
    return seen


def _unit(released: PublishedRelease) -> float:
    """Return n_k / C as the message declares them; one canary alone moves a release by C / n_k."""
    declared = released.message.declaration
    return declared.records / declared.clip


def scores_of(seen: Sequence[Seen]) -> dict[str, Trials]:
    """Return three scores of every canary, each for another possible defect of the noise.

    ``sum`` adds the releases with the gradient's sign: the best score if all noise is fresh.
    ``changes`` leaves out what is equal in all rounds of a holder, so that noise which is used
    again cancels. ``others`` leaves out what is equal for all holders of a round, so that noise
    which holders share cancels.
    """
    inside = np.concatenate([each.inside for each in seen])
    total: dict[bytes, Matrix] = {}
    count: dict[bytes, int] = {}
    for each in seen:
        for parent, pulls in zip(each.parents, each.pulls, strict=True):
            total[parent] = total.get(parent, 0.0) + pulls
            count[parent] = count.get(parent, 0) + 1
    sums, changes, others = [], [], []
    for each in seen:
        sums.append((each.signs * each.pulls).sum(axis=0))
        turns = each.signs - each.signs.mean(axis=0)
        size = np.maximum((turns * each.signs).sum(axis=0), 1.0)
        changes.append((turns * each.pulls).sum(axis=0) / size)
        mean = np.stack([total[parent] / count[parent] for parent in each.parents])
        others.append((each.signs * (each.pulls - mean)).sum(axis=0))
    named = {"sum": sums, "changes": changes, "others": others}
    return {name: Trials(np.concatenate(rows), inside) for name, rows in named.items()}


register(
    Audit(
        name="canaries",
        attack=canary_findings,
        row=CanaryRow,
        columns={
            "claimed": "ε claimed",
            "lower_bound": "ε measured, at least",
            "delta": "δ",
            "trials": "trials judged",
            "false_positive": "false positives, at most",
            "false_negative": "false negatives, at most",
        },
    )
)
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
