"""Linkability: do two messages under different pseudonyms come from the same holder?

A holder speaks under a new key in every round, so that nobody reads its history off the chain.
But its data stay the same, and so does what its messages resemble. No epsilon of a record bounds
how well holders are told apart: what is measured here stands beside no claim.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import numpy as np
from pydantic import Field

from fedchain.arrays import Flags, Matrix
from fedchain.audits.lower_bounds import auc
from fedchain.audits.published_releases import Released, releases_of
from fedchain.audits.record import Audit, AuditRow, Label, register
from fedchain.audits.runs_for_audit import Subject, promise_of
from fedchain.errors import RunRefused
from fedchain.results import Run
from fedchain.results.findings import Finding
from fedchain.statistics import interval

if TYPE_CHECKING:
    from fedchain.reports.figures.style import Drawing

Round = list[Released]
"""What was published in one round, a message of each holder."""
Likeness = Callable[[Round, Round], Matrix]
"""Two rounds to how alike each two of their messages are, (messages, messages)."""


class LinkabilityRow(AuditRow):
    """How well one likeness links the messages of a run."""

    likeness: Label
    """What is compared, of ``LIKENESSES``."""
    confidence: Annotated[float, Field(gt=0, lt=1)]
    """Of the interval over the rounds."""
    rounds: int
    """Rounds that were compared."""
    auc: float
    """Mean chance that two messages of one holder are more alike than two of different ones."""
    auc_half: Annotated[float, Field(ge=0)] | None
    """Half of its interval; None: two rounds have none."""


@dataclass(frozen=True)
class Link:
    """How well one likeness tells the same holder from another."""

    auc: tuple[float, ...]
    """Of each two rounds that follow each other; 0.5: not at all."""
    pairs: int
    """Pairs of messages of the same holder."""


def linkability_findings(subject: Subject) -> Iterator[Finding]:
    """Yield, for every claim and likeness, how well messages of two rounds are linked.

    For each two rounds that follow each other, the chance (AUC) that two messages of one holder
    are more alike than two of different holders; then the mean over the rounds.

    Args:
        subject: what is audited.

    Raises:
        RunRefused: no holder speaks in two rounds that follow each other.
    """
    for claim in subject.claims():
        for made in map(subject.run, subject.seeded(claim)):
            for name, link in links_in(made).items():
                found = interval(link.auc, subject.choices.confidence)
                yield {
                    "likeness": name,
                    "claimed": promise_of(made).epsilon,
                    "runs": [str(made.folder)],
                    "confidence": subject.choices.confidence,
                    "trials": link.pairs,
                    "rounds": found.count + 1,
                    "auc": found.mean,
                    "auc_half": found.half if found.count > 1 else None,
                }


def cosines(first: Round, second: Round) -> Matrix:
    """Return the cosines of the directions."""
    return _unit(first) @ _unit(second).T


def norms(first: Round, second: Round) -> Matrix:
    """Return how near the published norms s_k are, in ratio."""
    one, two = (np.log([r.message.norm for r in each]) for each in (first, second))
    return np.asarray(-np.abs(one[:, None] - two[None]))


def records(first: Round, second: Round) -> Matrix:
    """Return how near the declared numbers of records n_k are."""
    one, two = (np.array([r.message.declaration.records for r in each]) for each in (first, second))
    return np.asarray(-np.abs(one[:, None] - two[None]), dtype=np.float64)


LIKENESSES: Mapping[str, Likeness] = {
    "direction": cosines,
    "norm": norms,
    "declared records": records,
}
"""What a reader of the chain can compare."""


def links_in(run: Run) -> dict[str, Link]:
    """Return how well the messages of a run are linked, by each likeness.

    Args:
        run: over, with its directions.

    Raises:
        RunRefused: no holder speaks in two rounds that follow each other.
    """
    found: dict[str, list[float]] = {name: [] for name in LIKENESSES}
    pairs = 0
    for first, second in _neighbours(run):
        same = _same(first, second)
        if same.any() and not same.all():
            pairs += int(same.sum())
            for name, likeness in LIKENESSES.items():
                alike = likeness(first, second)
                found[name].append(auc(alike[same], alike[~same]))
    if not pairs:
        raise RunRefused(
            f"{run.folder}: no holder speaks in two rounds that follow each other; linkability "
            "compares such messages"
        )
    return {name: Link(tuple(values), pairs) for name, values in found.items()}


def _neighbours(run: Run) -> Iterator[tuple[Round, Round]]:
    """Yield each two rounds that follow each other; of a holder's answers the first that came."""
    rounds: dict[int, dict[int, Released]] = {}
    for released in releases_of(run):
        rounds.setdefault(released.message.round, {}).setdefault(released.holder, released)
    for round_ in sorted(rounds):
        if round_ + 1 in rounds:
            yield list(rounds[round_].values()), list(rounds[round_ + 1].values())


def _same(first: Round, second: Round) -> Flags:
    one, two = (np.array([released.holder for released in each]) for each in (first, second))
    return np.asarray(one[:, None] == two[None])


def _unit(messages: Round) -> Matrix:
    rows = np.stack([released.message.direction.astype(np.float64) for released in messages])
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True))


def linked_messages(rows: Sequence[LinkabilityRow]) -> Drawing:
    """Draw how well messages of one holder are linked, by what is compared."""
    from fedchain.reports.figures.style import GREY, axes, finished, legend_below, sign_of, styled

    claims = {row.claimed: row.claim for row in rows}
    names = list(dict.fromkeys(row.likeness for row in rows))
    with styled():
        figure, ax = axes(2.4)
        ax.axhline(0.5, color=GREY, linestyle=":", label="guessing")
        for style, name in enumerate(names):
            those, sign = [row for row in rows if row.likeness == name], sign_of(style, style)
            ax.errorbar(
                [list(claims).index(row.claimed) + 0.14 * (style - 1) for row in those],
                [row.auc for row in those],
                [row.auc_half or 0.0 for row in those],
                fmt=sign.marker,
                color=sign.colour,
                elinewidth=0.8,
                capsize=1.5,
                label=name,
            )
        ax.set_xticks(range(len(claims)), list(claims.values()))
        ax.set(xlim=(-0.6, len(claims) - 0.4), ylim=(0.3, 1.03), ylabel="AUC of linking")
        legend_below(figure, 2)
    caption = (
        "How well two messages under different pseudonyms, one round apart, are known for the same "
        "holder's: by the cosine of their directions, their norms, and the numbers of records that "
        f"they declare. Means over rounds, with {rows[0].confidence:.0%} intervals."
    )
    return finished("linked_messages", caption, figure)


register(
    Audit(
        name="linkability",
        attack=linkability_findings,
        row=LinkabilityRow,
        columns={
            "likeness": "compared",
            "claimed": "ε claimed",
            "auc": "AUC of linking",
            "auc_half": "±",
            "trials": "pairs",
            "rounds": "rounds",
        },
        figure=linked_messages,
    )
)
