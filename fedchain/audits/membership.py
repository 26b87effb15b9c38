"""Membership inference: attacks that tell whether a model was trained on a record.

The same scenario is run several times, each time with another half of every holder's records. The
attacker of one run knows which records took part in the other runs.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated

import numpy as np
from pydantic import BaseModel, Field

from fedchain.arrays import Flags, Matrix, Vector
from fedchain.audits.lower_bounds import Trials, auc, tradeoff_of, upper_rate
from fedchain.audits.one_run import guessed
from fedchain.audits.record import ROW_CONFIG, Audit, BoundingRow, Label
from fedchain.audits.runs_for_audit import Subject, for_audit, ledger_of, promise_of
from fedchain.errors import ScenarioError
from fedchain.learning.evaluation import Evaluation
from fedchain.learning.task import Records, Task, join_records, tasks
from fedchain.learning.tasks.subset import taking_part
from fedchain.results import Run
from fedchain.results.findings import Finding
from fedchain.scenario import Scenario
from fedchain.transition import model_of

if TYPE_CHECKING:
    from fedchain.reports.figures.style import Drawing

RUNS = 16
"""Default number of runs per claimed epsilon."""
RATES = (0.001, 0.01)
"""False positive rates for which a row reports the true positives."""
CURVE = tuple(float(f"{10 ** (-3 + step / 8):.4g}") for step in range(25))
"""False positive rates of the points in the figure, from 0.001 to 1."""
LEAST_SPREAD = 1e-6
"""Added to the standard deviation of scores, which may be 0 without noise."""


class TruePositives(BaseModel):
    """Share of members that an attack finds at one false positive rate.

    >>> print(TruePositives(false_positives=0.01, share=0.02, ceiling=0.5))
    2.00% at 1.0%, ≤ 50.00%
    """

    model_config = ROW_CONFIG
    false_positives: Annotated[float, Field(gt=0, le=1)]
    """Share of the non-members that are classified as members."""
    share: float
    """Share of the members that are found."""
    ceiling: float
    """Largest share of found members that the claimed epsilon allows."""

    def __str__(self) -> str:
        """Return the three values as text."""
        return f"{self.share:.2%} at {self.false_positives:.1%}, ≤ {self.ceiling:.2%}"


class MembershipRow(BoundingRow):
    """How well one attack tells members from non-members."""

    attack: Label
    """The attack's name: ``loss`` or ``lira``."""
    auc: float
    """Probability that a member's score exceeds a non-member's score."""
    true_positives: list[TruePositives]
    """True positives at the false positive rates ``RATES``."""
    curve: Annotated[list[TruePositives], Field(min_length=1)]
    """True positives at the points of the figure, ``CURVE``."""


@dataclass(frozen=True)
class Shadows:
    """Scores of the same records in several runs."""

    scores: Matrix
    """Score of each record under the last model of each run, shape (runs, records). The score is
    log(p / (1 - p)) with p = e^-loss."""
    inside: Flags
    """Whether each record took part in each run, shape (runs, records)."""


def membership_findings(subject: Subject) -> Iterator[Finding]:
    """Yield, for every claimed epsilon, how well two attacks tell members from non-members.

    A member is a record that took part in training. The attack ``loss`` classifies records with a
    small loss as members. The attack ``lira`` compares a record's score with its scores in the
    other runs. The lower bound on epsilon comes from the first run alone.

    Raises:
        ScenarioError: only one run is asked for.

    Reference:
        Yeom et al., "Privacy Risk in Machine Learning", 2018; Carlini et al., "Membership
        Inference Attacks From First Principles", 2022.
    """
    for claim in subject.claims():
        seeds = subject.seeded(with_halves(claim), RUNS)
        if len(seeds) < 2:
            text = "runs: membership compares runs with each other, got 1; at least 2 are needed"
            raise ScenarioError([], text)
        made = [subject.run(each) for each in seeds]
        promise, shadows = promise_of(made[0]), shadows_of(claim, made)
        confidence = subject.choices.confidence
        for name, scores in (("loss", shadows.scores), ("lira", likelihood_ratios(shadows))):
            first = Trials(scores[0], shadows.inside[0])
            points = {
                rate: true_positives(scores, shadows, rate, promise.ceiling(rate), confidence)
                for rate in (*RATES, *CURVE)
            }
            yield {
                "attack": name,
                "claimed": promise.epsilon,
                "delta": promise.delta,
                "runs": [str(run.folder) for run in made],
                "confidence": confidence,
                "trials": scores.size,
                "auc": auc(scores[shadows.inside], scores[~shadows.inside]),
                "true_positives": [points[rate] for rate in RATES],
                "curve": [points[rate] for rate in CURVE],
                **guessed(first, promise.delta, tradeoff_of(claim), confidence),
            }


def with_halves(scenario: Scenario) -> Scenario:
    """Return the scenario in which every record takes part with probability 1/2."""
    halves = {"kind": "subset", "of": scenario.task.plain(), "data_seed": scenario.seed}
    return for_audit(scenario, {"task": halves})


def shadows_of(scenario: Scenario, made: list[Run]) -> Shadows:
    """Return the scores of all records of a scenario under the last model of each run."""
    task = tasks.build(scenario.task, scenario.nodes.holders, scenario.seed)
    counts, everyone = [own.count for own in task.holders], join_records(task.holders)
    inside = [
        np.concatenate([taking_part(run.scenario.seed, k, n) for k, n in enumerate(counts)])
        for run in made
    ]
    scores = [record_scores(task, everyone, last_model(run)) for run in made]
    return Shadows(np.stack(scores), np.stack(inside))


def last_model(run: Run) -> Vector:
    """Return the weights of a run's last model, shape (dimension,)."""
    with ledger_of(run) as store:
        return model_of(store.state(store.head))


def record_scores(task: Task, records: Records, weights: Vector) -> Vector:
    """Return the score of each record under a model, see ``Shadows.scores``, shape (records,).

    The loss of a record with several examples is the mean over the examples.
    """
    import torch

    outputs = Evaluation(replace(task, held_out=records))(weights)[1]
    losses = task.loss(torch.tensor(outputs), torch.tensor(records.targets)).double()
    each = np.bincount(records.places, losses.numpy())
    bounded = np.clip(each / np.bincount(records.places), 1e-12, 700.0)
    return np.asarray(-np.log(np.expm1(bounded)))


def likelihood_ratios(shadows: Shadows) -> Matrix:
    """Return the log-likelihood ratio of each score, shape (runs, records).

    The ratio is the density of the score if the record is a member, divided by the density if
    not. Both densities are normal, and are fitted to the other runs.
    """
    scores, inside = shadows.scores, shadows.inside
    ratios = np.empty_like(scores)
    for run in range(len(scores)):
        others = np.delete(scores, run, axis=0)
        took = np.delete(inside, run, axis=0)
        # A record has few scores, so that all records share one standard deviation.
        fits = [_fitted(others, took), _fitted(others, ~took)]
        logs = [-0.5 * ((scores[run] - mean) / sd) ** 2 - math.log(sd) for mean, sd in fits]
        ratios[run] = logs[0] - logs[1]
    return ratios


def _fitted(scores: Matrix, those: Flags) -> tuple[Vector, float]:
    """Return each record's mean score over its marked runs, and the pooled standard deviation.

    The scores and the marks ``those`` have shape (runs, records).
    """
    count = those.sum(axis=0)
    overall = float(scores[those].mean())
    mean = np.where(count, (scores * those).sum(axis=0) / np.maximum(count, 1), overall)
    left = (scores - mean)[those]
    freedom = max(1, len(left) - int((count > 0).sum()))
    return mean, math.sqrt(float(left @ left) / freedom) + LEAST_SPREAD


def true_positives(
    scores: Matrix, shadows: Shadows, rate: float, ceiling: float, confidence: float
) -> dict[str, float]:
    """Return the share of members found at a false positive rate, and an upper bound on this share.

    The result also contains ``rate``, the false positive rate, and ``ceiling``, the largest share
    that the claim allows. ``scores`` has shape (runs, records).
    """
    out, inside = scores[~shadows.inside], scores[shadows.inside]
    allowed = math.floor(rate * len(out))
    ordered = np.concatenate([[-np.inf], np.sort(out)])
    found = int((inside > ordered[len(out) - allowed]).sum())
    share = found / len(inside)
    high = float(upper_rate(found, len(inside), (1 - confidence) / 2))
    return {"false_positives": rate, "share": share, "share_high": high, "ceiling": ceiling}


def found_members(rows: Sequence[MembershipRow]) -> Drawing:
    """Plot the true positive rate of each attack against the false positive rate."""
    from fedchain.reports.figures import style

    claims = list(dict.fromkeys(row.claimed for row in rows))
    with style.styled():
        figure, ax = style.axes(3.0)
        rates = [point.false_positives for point in rows[0].curve]
        ax.plot(rates, rates, color=style.GREY, linestyle=":", label="guessing")
        for row in rows:
            colour = style.sign_of(claims.index(row.claimed), 0).colour
            line = style.LINES[0] if row.attack == "lira" else style.LINES[1]
            at = [point.false_positives for point in row.curve]
            shares = [point.share or np.nan for point in row.curve]
            ax.plot(at, shares, color=colour, linestyle=line, label=f"{row.attack}, {row.claim}")
            if row.attack == "lira" and row.claimed is not None:
                ceiling = [point.ceiling for point in row.curve]
                words = f"ceiling, {row.claim}"
                ax.plot(at, ceiling, color=colour, linestyle=style.LINES[3], label=words)
        ax.set(xscale="log", yscale="log", xlim=(rates[0], 1), ylim=(rates[0] / 2, 1.2))
        ax.set(xlabel="false positives", ylabel="true positives")
        style.legend_below(figure, 2)
    caption = (
        "Membership inference: the share of records that took part and are found out, against the "
        "share of those that did not and are taken for members. Whatever the attack, ε and δ allow "
        f"no more than the ceiling, e^ε FPR + δ. {rows[0].trials:,} trials of each attack."
    )
    return style.finished("membership", caption, figure)


MEMBERSHIP = Audit(
    name="membership",
    attack=membership_findings,
    row=MembershipRow,
    columns={
        "attack": "attack",
        "claimed": "ε claimed",
        "lower_bound": "ε measured, at least",
        "auc": "AUC",
        "true_positives": "true positives at false ones, ceiling",
        "trials": "trials",
    },
    figure=found_members,
    unseen=(
        "It sees the last model alone and knows no more than losses: a small result says that this "
        "attack is weak."
    ),
)
