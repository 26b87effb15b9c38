"""Linkability: how well an attacker links messages of one holder under different pseudonyms.

A holder signs with a new key in every round, but its data stay the same. An epsilon for single
records does not limit this linking, so that the result is not compared with a claim.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import numpy as np
from pydantic import Field

from fedchain.arrays import Matrix
from fedchain.audits.lower_bounds import auc
from fedchain.audits.record import Audit, AuditRow, Label
from fedchain.audits.runs_for_audit import PublishedRelease, Subject, promise_of, releases_of
from fedchain.errors import RunRefused
from fedchain.results import Run
from fedchain.results.findings import Finding
from fedchain.statistics import Interval, interval

if TYPE_CHECKING:
    from fedchain.reports.figures.style import Drawing

Round = list[PublishedRelease]
"""The messages of one round, one per holder."""


class LinkabilityRow(AuditRow):
    """How well one measure of similarity links the messages of a run."""

    likeness: Label
    """Name of the measure of similarity, as in ``likenesses``."""
    confidence: Annotated[float, Field(gt=0, lt=1)]
    """Confidence of the interval over the rounds."""
    rounds: int
    """Number of rounds that were compared."""
    auc: float
    """Mean probability that two messages of one holder are more similar than two of different
    holders."""
    auc_half: Annotated[float, Field(ge=0)] | None
    """Half width of the interval of ``auc``; None if only one pair of rounds was compared."""


@dataclass(frozen=True)
class Linkage:
    """How well one measure of similarity links messages of one holder."""

    auc: tuple[float, ...]
    """AUC of each pair of successive rounds, see ``LinkabilityRow.auc``; 0.5 is no better than
    guessing."""
    pairs: int
    """Number of pairs of messages of the same holder."""


def linkability_findings(subject: Subject) -> Iterator[Finding]:
    """Yield one finding per run and measure of similarity: how well the measure links messages.

    Raises:
        RunRefused: no holder has messages in two successive rounds.
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


def likenesses(first: Round, second: Round) -> dict[str, Matrix]:
    """Return the similarity of each message of one round (row) to each message of another (column).

    The result has three measures by name. ``direction`` is the cosine between the directions.
    ``norm`` is minus the absolute logarithm of the ratio of the norms. ``declared records`` is
    minus the absolute difference of the declared numbers of records.
    """
    both, least = (first, second), np.finfo(np.float64).tiny
    one, two = (_unit(each) for each in both)
    norms = (np.log([max(released.message.norm, least) for released in each]) for each in both)
    records = ([released.message.declaration.records for released in each] for each in both)
    return {
        "direction": one @ two.T,
        "norm": -np.abs(np.subtract.outer(*norms)),
        "declared records": -np.abs(np.subtract.outer(*records)),
    }


def links_in(run: Run) -> dict[str, Linkage]:
    """Return how well each measure of similarity links the messages of a finished run.

    Raises:
        RunRefused: no holder has messages in two successive rounds.
    """
    found: dict[str, list[float]] = {}
    pairs = 0
    for first, second in _neighbours(run):
        one, two = (np.array([released.holder for released in each]) for each in (first, second))
        same = one[:, None] == two[None]
        if same.any() and not same.all():
            pairs += int(same.sum())
            for name, alike in likenesses(first, second).items():
                found.setdefault(name, []).append(auc(alike[same], alike[~same]))
    if not pairs:
        raise RunRefused(
            f"{run.folder}: no holder speaks in two rounds that follow each other; linkability "
            "compares such messages"
        )
    return {name: Linkage(tuple(values), pairs) for name, values in found.items()}


def _neighbours(run: Run) -> Iterator[tuple[Round, Round]]:
    """Yield each pair of successive rounds, with the first message of each holder."""
    rounds: dict[int, dict[int, PublishedRelease]] = {}
    for released in releases_of(run):
        rounds.setdefault(released.message.round, {}).setdefault(released.holder, released)
    for round_ in sorted(rounds):
        if round_ + 1 in rounds:
            yield list(rounds[round_].values()), list(rounds[round_ + 1].values())


def _unit(messages: Round) -> Matrix:
    rows = np.stack([released.message.direction.astype(np.float64) for released in messages])
    # The rows are whole numbers, so that only the norm of a gradient of zero is below 1.
    return np.asarray(rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1.0))


def linked_messages(rows: Sequence[LinkabilityRow]) -> Drawing:
    """Plot how well messages of one holder are linked, for each measure of similarity."""
    from fedchain.reports.figures import style

    claims = {row.claimed: row.claim for row in rows}
    names = list(dict.fromkeys(row.likeness for row in rows))
    with style.styled():
        figure, ax = style.axes(2.4)
        ax.axhline(0.5, color=style.GREY, linestyle=":", label="guessing")
        for number, name in enumerate(names):
            those = [row for row in rows if row.likeness == name]
            places = [list(claims).index(row.claimed) + 0.14 * (number - 1) for row in those]
            found = [Interval(row.auc, row.auc_half or 0.0, row.rounds) for row in those]
            sign = style.sign_of(number, number)
            style.draw_points(ax, places, found, sign, capsize=1.5, label=name)
        ax.set_xticks(range(len(claims)), list(claims.values()))
        ax.set(xlim=(-0.6, len(claims) - 0.4), ylim=(0.3, 1.03), ylabel="AUC of linking")
        style.legend_below(figure, 2)
    caption = (
        "How well two messages under different pseudonyms, one round apart, are known for the same "
        "holder's: by the cosine of their directions, their norms, and the numbers of records that "
        f"they declare. Means over rounds, with {rows[0].confidence:.0%} intervals."
    )
    return style.finished("linked_messages", caption, figure)


LINKABILITY = Audit(
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
    unseen="It compares neighbouring rounds alone; no epsilon for records bounds what it finds.",
)
