"""Canaries: test records with known gradients, which an auditor looks for in published gradients.

A canary is "in" if it takes part in training, else "out". The audit ``canaries`` judges all runs of
one claimed epsilon together. The audit ``one-run`` judges each run by itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache
from operator import attrgetter, itemgetter
from typing import Any

from fedchain.audits.among_records import seen_among_records
from fedchain.audits.evidence import Seen, count_trials, families_of, seen_along_axes
from fedchain.audits.lower_bounds import Tradeoff, lower_bound, tail_bound, tradeoff_of
from fedchain.audits.one_run import guessed
from fedchain.audits.record import Audit, BoundingRow, Label
from fedchain.audits.runs_for_audit import (
    Subject,
    for_audit,
    ledger_of,
    promise_of,
    refuse_local_steps,
    releases_of,
)
from fedchain.errors import Problem, RunRefused, ScenarioError
from fedchain.results import Run
from fedchain.results.findings import Finding
from fedchain.scenario import Scenario

PLANTED = 100
"""Default number of canaries that are planted among the records of each holder."""

UNSEEN = (
    "It cannot see an error smaller than the gap between bound and claim; what could be guessed "
    "from keys or seeds; records unlike the canaries; or what no block carries."
)
"""What the audits with canaries cannot see."""


class CanaryRow(BoundingRow):
    """Lower bound on epsilon from all runs of one claimed epsilon, with the error rates."""

    false_positive: float
    """Upper bound on the share of the "out" canaries that were guessed "in"."""
    false_negative: float
    """Upper bound on the share of the "in" canaries that were guessed "out". With Gaussian noise,
    both fields have the same value: an upper bound on the share of wrong guesses among all."""
    found_in: Label = ""
    """Name of the scores that prove the bound: of all rounds, of one round, holder or release, or
    of the counts of the clip."""


class OneRunRow(BoundingRow):
    """Lower bound on epsilon from the guesses about one run."""

    guesses: int
    """Number of canaries that were guessed to be in or out."""
    correct: int
    """Number of right guesses."""


def with_canaries(scenario: Scenario, each: int | None = None) -> Scenario:
    """Return the scenario with canaries planted among the records of each holder.

    ``each`` is the number of canaries per holder (default ``PLANTED``). A scenario that already has
    canaries keeps them.

    Raises:
        ScenarioError: the scenario protects holders, not records, or holders train locally.
    """
    if scenario.privacy.parameters.get("unit") == "holder":
        text = "holder: canaries are records, no whole holders; only unit record is allowed"
        raise ScenarioError([Problem(("privacy", "unit"), text)])
    refuse_local_steps(scenario, "canaries are looked for")
    if scenario.task.kind in ("canaries", "planted"):
        return for_audit(scenario, {})
    among = {"of": scenario.task.plain(), "data_seed": scenario.seed, "each": each or PLANTED}
    return for_audit(scenario, {"task": {"kind": "planted", **among}})


def canary_findings(subject: Subject) -> Iterator[Finding]:
    """Yield one finding per claimed epsilon: the lower bound from the canaries of all its runs."""
    for claim in subject.claims():
        scenario = with_canaries(claim, subject.choices.canaries)
        made = [subject.run(each) for each in subject.seeded(scenario)]
        epsilon, delta = promised(made[0])
        seen = [each for run in made for each in seen_in(run)]
        bound = bound_of(seen, delta, tradeoff_of(scenario), subject.choices.confidence)
        yield {"claimed": epsilon, "runs": [str(run.folder) for run in made], **bound}


def one_run_findings(subject: Subject) -> Iterator[Finding]:
    """Yield one finding per run: the lower bound from the run's canaries.

    The audit guesses for a tenth of the canaries: those with the largest and the smallest scores.
    """
    for claim in subject.claims():
        scenario = with_canaries(claim, subject.choices.canaries)
        for made in map(subject.run, subject.seeded(scenario)):
            epsilon, delta = promised(made)
            trials = families_of(seen_in(made))["run"]["all rounds"]
            yield {
                "claimed": epsilon,
                "delta": delta,
                "runs": [str(made.folder)],
                "confidence": subject.choices.confidence,
                "trials": len(trials.scores),
                **guessed(trials, delta, tradeoff_of(scenario), subject.choices.confidence),
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


def seen_in(run: Run) -> list[Seen]:
    """Return what the releases of each honest holder or group reveal about its canaries.

    Raises:
        RunRefused: the weights or the directions were not kept, or nothing was released.
    """
    released = sorted(releases_of(run), key=attrgetter("holder", "message.round"))
    if not released:
        raise RunRefused(f"{run.folder}: no block carries a release of an honest holder")
    try:
        with ledger_of(run) as store:
            weights_at = lru_cache(maxsize=2)(lambda parent: store.state(parent).weights)
            if run.scenario.task.kind == "canaries":
                return seen_along_axes(run.scenario, released, weights_at)
            return seen_among_records(run.scenario, released, weights_at)
    except KeyError as error:
        raise RunRefused(
            f"{run.folder}: {error.args[0]}; an audit reads them all: disk.keep_weights must be all"
        ) from error


def bound_of(
    seen: Sequence[Seen], delta: float, tradeoff: Tradeoff, confidence: float
) -> dict[str, Any]:
    """Return the largest lower bound on epsilon that any score of the canaries proves.

    The bound holds with probability ``confidence`` or more.
    """
    families, counts = families_of(seen), count_trials(seen)
    # each family of scores may err with an equal part of the error
    each = 1 - (1 - confidence) / (len(families) + (counts is not None))
    found = []
    for name, scores in families.items():
        found.append(lower_bound(scores, delta, tradeoff, each))
        if name == "run" and tradeoff == "any":
            found[-1] = tail_bound(scores, delta, each)
    if counts is not None and tradeoff == "gaussian":
        found.append(
            lower_bound({"counts of the clip": counts[0]}, delta, tradeoff, each, counts[1])
        )
    return {"confidence": confidence, **max(found, key=itemgetter("lower_bound"))}


CANARIES = Audit(
    name="canaries",
    attack=canary_findings,
    row=CanaryRow,
    columns={
        "claimed": "ε claimed",
        "lower_bound": "ε measured, at least",
        "found_in": "proved by",
        "delta": "δ",
        "trials": "trials judged",
        "false_positive": "false positives, at most",
        "false_negative": "false negatives, at most",
    },
    unseen=UNSEEN,
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
    unseen=f"One run is judged as a whole: no score for single rounds or holders. {UNSEEN}",
)
