"""Evidence from canaries with overlapping gradients, planted among the records of a user's task."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from fedchain.agreement import mechanism_of
from fedchain.arrays import Flags, Matrix, Vector
from fedchain.audits.evidence import CanaryEvidence, NoiseOfOthers, Seen, WeightsAt, noisy_count
from fedchain.audits.runs_for_audit import PublishedRelease
from fedchain.learning.evaluation import dimension
from fedchain.learning.gradients.cohort import CohortGradients
from fedchain.learning.task import Task, tasks
from fedchain.learning.tasks.canary_records import canaries_among, inside_of
from fedchain.learning.tasks.public_subspace import PublicDirections
from fedchain.privacy.mechanisms import Mechanism
from fedchain.scenario import Scenario

# Until a holder's first release, nothing published depends on which of its canaries take part.
STRONG = 0.5
"""Least strength of a canary that is judged, as a share of the largest strength. The strength is
the length of the canary's first gradient, without the part along the gradients of earlier
canaries."""
RIDGE = 1e-9
"""Added to the squared length of each gradient, so that equal gradients cause no error."""


@dataclass(frozen=True)
class AuditedRelease:
    """One release with what the auditor knows about it. The unit of length is the clip."""

    release: PublishedRelease
    """The release."""
    rows: Matrix
    """Gradient of each canary that the auditor looks for, shape (canaries, dimension)."""
    left: Vector
    """Noisy sum of gradients in the release, minus the gradients of all records except these
    canaries, shape (dimension,)."""
    noise: Vector
    """``left`` minus the gradients of the canaries that take part, shape (dimension,)."""
    moves: Vector
    """Amount by which each canary changes the count of an adaptive clip, 1/2 or -1/2, shape
    (canaries,)."""
    count: float
    """Count of an adaptive clip over the records that take part, without noise."""


class RecordsKnown:
    """Gradients of all records and canaries of a task, computed with the code of the run."""

    def __init__(self, scenario: Scenario) -> None:
        """Build the task without canaries, and a second task with one canary per holder."""
        planted = scenario.task.parameters
        whole = tasks.build(planted["of"], scenario.nodes.holders, int(planted["data_seed"]))
        self.each = int(planted["each"])
        among = canaries_among(whole, scenario.seed, self.each)
        ones = np.eye(self.each, dtype=np.bool_)
        single = tuple(made.part(one) for _, made in among for one in ones)
        self._mechanism: Mechanism = mechanism_of(scenario, dimension(whole.model()))
        self._records = self._gradients(whole)
        self._canaries = self._gradients(replace(whole, holders=single))
        self._subspace = PublicDirections(whole) if whole.subspace else None
        self._inside = [inside_of(scenario.seed, k, self.each) for k in range(len(among))]

    def _gradients(self, task: Task) -> CohortGradients:
        terms = self._mechanism.terms
        return CohortGradients(task, terms.clip, automatic=terms.automatic)

    def inside(self, holder: int) -> Flags:
        """Return which canaries of a holder take part, shape (canaries,)."""
        return self._inside[holder]

    def canaries(self, holder: int, weights: Vector, clip: float) -> tuple[Matrix, Vector]:
        """Return the gradient of each canary of a holder, and how far the canary moves the count.

        The count is that of an adaptive clip. The shapes are (canaries, dimension) and (canaries,).
        """
        those = range(holder * self.each, (holder + 1) * self.each)
        # a count is the number of gradients within the clip minus half of all
        return self._sums(self._canaries, those, weights, clip)

    def own(self, holder: int, weights: Vector, clip: float) -> tuple[Vector, float]:
        """Return the sum of the gradients of a holder's records, without canaries, and their count.

        The sum has shape (dimension,). The count is that of an adaptive clip.
        """
        rows, counts = self._sums(self._records, [holder], weights, clip)
        return rows[0], float(counts[0])

    def _sums(
        self, gradients: CohortGradients, holders: Sequence[int], weights: Vector, clip: float
    ) -> tuple[Matrix, Vector]:
        records = np.array([gradients.task.holders[holder].count for holder in holders])
        if self._mechanism.clip_follower is None:
            sums = gradients(weights, holders).astype(np.float64) * records[:, None]
            return sums / clip, np.zeros(len(records))
        found = [
            gradients.bounded(weights, holder, clip, np.ones(number, np.bool_))
            for holder, number in zip(holders, records.tolist(), strict=True)
        ]
        sums = np.concatenate([row for row, _ in found]).astype(np.float64)
        return sums / clip, np.array([within for _, within in found]) - records / 2

    def projected(self, rows: Matrix, weights: Vector, parent: bytes) -> Matrix:
        """Return rows, shape (n, dimension), projected onto the task's public subspace, if any."""
        return rows if self._subspace is None else self._subspace.projected(rows, weights, parent)


def seen_among_records(
    scenario: Scenario, released: Sequence[PublishedRelease], weights_at: WeightsAt
) -> list[Seen]:
    """Return what releases reveal about the canaries of the task ``planted``.

    In a group, the audit looks for the canaries of the first member. The evidence is weaker if
    records are sampled, or if a member drops out.
    """
    known = RecordsKnown(scenario)
    looked: dict[int, list[AuditedRelease]] = {}
    order = sorted(released, key=lambda each: (each.message.round, each.message.parent))
    evidence: dict[int, list[tuple[CanaryEvidence, CanaryEvidence, CanaryEvidence]]] = {}
    last: dict[int, AuditedRelease] = {}
    for parent, those in itertools.groupby(order, key=lambda each: each.message.parent):
        at = [_looked_at(one, scenario, known, weights_at(parent)) for one in those]
        shared = NoiseOfOthers({(one.release.holder, parent): one.noise for one in at})
        for one in at:
            holder, inside = one.release.holder, _inside(one.release, scenario, known)
            alien, before = shared.beside(holder, parent), last.get(holder, one)
            found = (
                along(one.rows, one.left, inside),
                along(one.rows - before.rows, one.left - before.left, inside),
                along(one.rows, one.left - alien, inside),
            )
            evidence.setdefault(holder, []).append(found)
            last[holder] = replace(one, rows=one.rows.astype(np.float32))  # they are large
            kept = replace(one, rows=one.rows[:0], left=one.left[:0], noise=one.noise[:0])
            looked.setdefault(holder, []).append(kept)
    return [
        _seen(
            looked[holder],
            evidence[holder],
            _inside(looked[holder][0].release, scenario, known),
            scenario,
        )
        for holder in sorted(looked)
    ]


def _inside(release: PublishedRelease, scenario: Scenario, known: RecordsKnown) -> Flags:
    return known.inside(scenario.nodes.members_of(release.holder)[0])


def _looked_at(
    release: PublishedRelease, scenario: Scenario, known: RecordsKnown, weights: Vector
) -> AuditedRelease:
    """Return one release with what the auditor knows about it."""
    declared, parent = release.message.declaration, release.message.parent
    first, *others = scenario.nodes.members_of(release.holder)
    inside = known.inside(first)
    rows, moves = known.canaries(first, weights, declared.clip)
    rest, count = known.own(first, weights, declared.clip)
    for member in others:
        rest = rest + known.own(member, weights, declared.clip)[0]
        rest = rest + known.inside(member) @ known.canaries(member, weights, declared.clip)[0]
    rows = known.projected(rows, weights, parent)
    rest = known.projected(rest[None], weights, parent)[0]
    left = release.vector * (declared.records / declared.clip) - rest
    return AuditedRelease(
        release, rows, left, left - inside @ rows, moves, float(count + inside @ moves)
    )


def along(rows: Matrix, left: Vector, inside: Flags) -> CanaryEvidence:
    """Return the evidence of one release for canaries whose gradients overlap.

    ``rows`` and ``left`` are as in ``AuditedRelease``. ``inside`` says which canaries take part.

    >>> rows = np.array([[1.0, 0.0], [0.6, 0.8]])
    >>> found = along(rows, rows.sum(axis=0), np.array([True, True]))
    >>> found.scores().round(6).tolist(), found.squares.round(6).tolist()
    ([1.0, 1.0], [[1.0, 0.64]])
    """
    # With K = G G^T = L L^T for the gradients G, L^-1 G y is L^T b plus independent noise, where b
    # says who is in. The entries of L^T b that belong to other canaries are known.
    lower = np.linalg.cholesky(rows @ rows.T + RIDGE * np.eye(len(rows)))
    own = np.diag(lower)
    turned = np.linalg.solve(lower, rows @ left) - lower.T @ inside + own * inside
    return CanaryEvidence((own * turned)[None], (own**2)[None])


def _seen(
    looked: Sequence[AuditedRelease],
    evidence: Sequence[tuple[CanaryEvidence, CanaryEvidence, CanaryEvidence]],
    inside: Flags,
    scenario: Scenario,
) -> Seen:
    first = np.sqrt(evidence[0][0].squares[0])
    strong = first >= STRONG * first.max()
    own, changes, others = (
        CanaryEvidence(
            np.concatenate([each.products[:, strong] for each in kind]),
            np.concatenate([each.squares[:, strong] for each in kind]),
        )
        for kind in zip(*evidence, strict=True)
    )
    return Seen(
        holder=looked[0].release.holder,
        rounds=np.array([one.release.message.round for one in looked]),
        inside=inside[strong],
        own=own,
        changes=changes,
        others=others,
        counts=_counts(looked, strong, inside, scenario),
    )


def _counts(
    looked: Sequence[AuditedRelease], strong: Flags, inside: Flags, scenario: Scenario
) -> dict[int, float]:
    """Return scores of strong canaries, by their position, from the noisy counts of a holder.

    Each count gives the score of a different canary.
    """
    counts: dict[int, float] = {}
    behind = {one.release.message.id: one for one in looked}
    turns = zip(np.flatnonzero(strong).tolist(), looked, strict=False)
    for place, (number, one) in enumerate(turns):
        noisy, last = noisy_count(one.release, scenario), one.release.last
        if noisy is not None and last is not None and last.message.id in behind:
            then = behind[last.message.id]
            noise = (noisy - then.count) / then.moves[number]
            counts[place] = inside[number] + noise
    return counts
