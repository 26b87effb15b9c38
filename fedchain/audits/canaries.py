"""Canaries: test records with known gradients, which an auditor looks for in published gradients.

A canary is "in" if it takes part in training, else "out". The auditor guesses which canaries are
in. The runs are ordinary runs of the scenario, except that all records are canaries. The gradients
of different canaries lie along different axes, so every canary of a run is an independent trial.
The audit ``canaries`` pools all runs of one claimed epsilon; the audit ``one-run`` judges each run
by itself.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from operator import attrgetter

import numpy as np

from fedchain.arrays import Flags, Matrix, Vector
from fedchain.audits.lower_bounds import Tradeoff, Trials, guessed, lower_bound
from fedchain.audits.record import Audit, BoundingRow
from fedchain.audits.runs_for_audit import Subject, for_audit, ledger_of, promise_of, releases_of
from fedchain.errors import Problem, RunRefused, ScenarioError
from fedchain.learning.tasks.canary_records import axes_of, inside_of
from fedchain.results import Run
from fedchain.results.findings import Finding
from fedchain.scenario import Scenario


class CanaryRow(BoundingRow):
    """The lower bound on epsilon from all runs of one claimed epsilon, with the error rates."""

    false_positive: float
    """Upper bound on the share of the "out" canaries that were guessed "in"."""
    false_negative: float
    """Upper bound on the share of the "in" canaries that were guessed "out"."""


class OneRunRow(BoundingRow):
    """The lower bound on epsilon from the guesses about one run."""

    guesses: int
    """How many canaries were guessed to be in or out."""
    correct: int
    """How many of the guesses are right."""


@dataclass(frozen=True)
class Seen:
    """One holder's releases, projected on the axes of its canaries."""

    holder: int
    """The data holder."""
    parents: Sequence[bytes]
    """Hashes of the parent blocks of the holder's t releases, in order."""
    signs: Matrix
    """Sign of each canary's gradient at each release, shape (t, canaries)."""
    pulls: Matrix
    """Component of each release along each canary's axis, shape (t, canaries). The unit is the
    largest share of one record: the clip norm divided by the number of records."""
    inside: Flags
    """Whether each canary takes part in training, shape (canaries,)."""


def with_canaries(scenario: Scenario, each: int) -> Scenario:
    """Return the scenario with ``each`` canaries per holder as its records.

    A scenario that already has canaries keeps them.

    Raises:
        ScenarioError: the scenario protects holders, not records.
    """
    if scenario.privacy.parameters.get("unit") == "holder":
        text = "holder: canaries are records, no whole holders; only unit record is allowed"
        raise ScenarioError([Problem(("privacy", "unit"), text)])
    has_some = scenario.task.kind == "canaries"
    return for_audit(scenario, {} if has_some else {"task": {"kind": "canaries", "each": each}})


def canary_findings(subject: Subject) -> Iterator[Finding]:
    """Yield one finding per claimed epsilon: the lower bound from the canaries of all its runs."""
    for claim in subject.claims():
        scenario = with_canaries(claim, subject.choices.canaries)
        made = [subject.run(each) for each in subject.seeded(scenario)]
        epsilon, delta = promised(made[0])
        scores = scores_of([seen for run in made for seen in seen_in(run)])
        known, confidence = tradeoff_of(scenario), subject.choices.confidence
        bound = lower_bound(list(scores.values()), delta, known, confidence)
        yield {"claimed": epsilon, "runs": [str(run.folder) for run in made], **bound}


def one_run_findings(subject: Subject) -> Iterator[Finding]:
    """Yield one finding per run: the lower bound from the run's canaries.

    The audit guesses for a tenth of the canaries. It guesses "in" for those with the largest
    scores, and "out" for as many with the smallest scores. The bound holds for any mechanism.
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
    """Return ``gaussian`` if the noise has a Gaussian trade-off function, else ``any``.

    Skellam noise counts as Gaussian: at the scale that fedchain uses, it differs from rounded
    normal noise by only a few parts in 10^5. Noise with subsampling does not count as Gaussian.
    """
    privacy = scenario.privacy
    normal = privacy.kind in ("gaussian", "skellam")
    return "gaussian" if normal and privacy.parameters.get("sampling_rate", 1) == 1 else "any"


def seen_in(run: Run) -> list[Seen]:
    """Return each holder's releases, projected on the axes of its canaries.

    If holders form groups, a release is the sum of a group. The audit then looks for the canaries
    of the group's first member, and subtracts the canaries of the other members, which have the
    same axes. The audit may use its knowledge of them, because a guarantee for one record also
    holds against an attacker who knows all other records. If a member dropped out, too much is
    subtracted, and the audit becomes weaker.

    Raises:
        RunRefused: the weights or the directions were not kept, or nothing was released.
    """
    scenario = run.scenario
    each = int(scenario.task.parameters["each"])
    axes = axes_of(scenario.seed, each).astype(np.float64)
    released = sorted(releases_of(run), key=attrgetter("holder"))
    if not released:
        raise RunRefused(f"{run.folder}: no block carries a release of an honest holder")
    parents = {each.message.parent for each in released}
    try:
        with ledger_of(run) as store:
            signs = {parent: np.sign(axes @ store.state(parent).weights) for parent in parents}
    except KeyError as error:
        raise RunRefused(
            f"{run.folder}: {error.args[0]}; an audit reads them all: disk.keep_weights must be all"
        ) from error
    seen = []
    for holder, releases in itertools.groupby(released, key=attrgetter("holder")):
        before, pulls = [], []
        for one in releases:
            declared = one.message.declaration
            before.append(one.message.parent)
            pulls.append(axes @ one.vector * (declared.records / declared.clip))
        turned = np.stack([signs[parent] for parent in before])
        members = scenario.nodes.members_of(holder)
        first, *others = (inside_of(scenario.seed, member, each) for member in members)
        known = np.sum(others, axis=0)  # 0 if there are no others
        seen.append(Seen(holder, before, turned, np.stack(pulls) - turned * known, first))
    return seen


def scores_of(seen: Sequence[Seen]) -> dict[str, Trials]:
    """Return three scores of every canary, by name, for noise without or with a defect.

    ``sum`` adds the releases, each multiplied by the sign of the canary's gradient. It is the best
    score if every release has fresh noise. ``changes`` reveals noise that a holder reuses: it
    ignores the part that all releases of the holder have in common. ``others`` reveals noise that
    holders share: it subtracts the mean over the holders of each round.
    """
    inside = np.concatenate([each.inside for each in seen])
    together: dict[bytes, list[Vector]] = {}
    for each in seen:
        for parent, pulls in zip(each.parents, each.pulls, strict=True):
            together.setdefault(parent, []).append(pulls)
    means = {parent: np.mean(pulls, axis=0) for parent, pulls in together.items()}
    sums, changes, others = [], [], []
    for each in seen:
        sums.append((each.signs * each.pulls).sum(axis=0))
        turns = each.signs - each.signs.mean(axis=0)
        size = np.maximum((turns * each.signs).sum(axis=0), 1.0)
        changes.append((turns * each.pulls).sum(axis=0) / size)
        mean = np.stack([means[parent] for parent in each.parents])
        others.append((each.signs * (each.pulls - mean)).sum(axis=0))
    named = {"sum": sums, "changes": changes, "others": others}
    return {name: Trials(np.concatenate(rows), inside) for name, rows in named.items()}


CANARIES = Audit(
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
ONE_RUN = Audit(
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
