"""Evidence: what the releases of a run tell of each canary, and the scores that follow from it.

The auditor is as strong as the guarantee allows: it knows every record but one, and the weights at
which each gradient was computed. So it subtracts what it knows from a release, and is left with
noise, and with the canary's gradient if the canary is in.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from fedchain.arrays import Flags, Matrix, Vector
from fedchain.audits.lower_bounds import Trials
from fedchain.audits.runs_for_audit import PublishedRelease
from fedchain.learning.tasks.canary_records import axes_of, inside_of
from fedchain.privacy.mechanisms.gaussian import CLIP_RATE
from fedchain.scenario import Scenario

WeightsAt = Callable[[bytes], Vector]
"""Maps the hash of a block to the weights (d,) after it."""
Scores = Mapping[str, Trials]
"""Scores of canaries, by the name of what is looked at."""


@dataclass(frozen=True)
class CanaryEvidence:
    """How far releases go along the gradients of canaries; the unit of length is the clip."""

    products: Matrix
    """Inner product of each release with each canary's gradient, shape (t, canaries), without what
    the auditor knows."""
    squares: Matrix
    """What the product is on average if the canary is in, shape (t, canaries); else it is 0."""

    def scores(self, rows: Flags | slice = slice(None)) -> Vector:
        """Return a score of each canary from some releases: near 1 for "in", near 0 for "out".

        >>> CanaryEvidence(np.array([[2.0, 0.1], [1.0, 0.0]]), np.ones((2, 2))).scores()
        array([1.5 , 0.05])
        """
        total = self.squares[rows].sum(axis=0)
        found: Vector = np.zeros(len(total))
        np.divide(self.products[rows].sum(axis=0), total, out=found, where=total > 0)
        return found


@dataclass(frozen=True, kw_only=True)
class Seen:
    """What the t releases of one holder or group tell of its canaries."""

    holder: int
    """The data holder, or the group."""
    rounds: Vector
    """Round of each release, shape (t,)."""
    inside: Flags
    """Whether each canary takes part in training, shape (canaries,)."""
    own: CanaryEvidence
    """From the releases as they are: the best evidence if every release has fresh noise."""
    changes: CanaryEvidence
    """From the changes between releases, in which noise that a holder reuses cancels out."""
    others: CanaryEvidence
    """From the releases minus the mean noise of the others at the same block, in which noise that
    holders share cancels out."""
    counts: Mapping[int, float] = field(default_factory=dict)
    """Score of a canary from the noisy count of an adaptive clip, by the number of the canary. Each
    count is used for another canary, so that the noise of each trial is another."""
    count_step: float = 1.0
    """How far a canary moves a count, as a multiple of how far one record may move it."""


def families_of(seen: Sequence[Seen]) -> dict[str, Scores]:
    """Return scores of all canaries in four families: of the run, and of its smaller parts.

    A score over the whole run hides a single round without noise, or a single holder with too
    little, among all others. So every round, every holder and every release has a score.
    """
    parts: dict[str, dict[str, list[Trials]]] = {
        name: {} for name in ("run", "round", "holder", "release")
    }

    def add(family: str, name: str, each: Seen, scores: Vector) -> None:
        parts[family].setdefault(name, []).append(Trials(scores, each.inside))

    for each in seen:
        whole = each.own.scores()
        add("run", "all rounds", each, whole)
        add("run", "changes between rounds", each, each.changes.scores())
        add("run", "differences between holders", each, each.others.scores())
        add("holder", f"holder {each.holder}", each, whole)
        for number in np.unique(each.rounds).tolist():
            one = each.own.scores(each.rounds == number)
            add("round", f"round {number}", each, one)
            add("release", f"holder {each.holder} in round {number}", each, one)
    return {
        family: {name: _pooled(trials) for name, trials in scores.items()}
        for family, scores in parts.items()
    }


def _pooled(trials: Sequence[Trials]) -> Trials:
    return Trials(
        np.concatenate([each.scores for each in trials]),
        np.concatenate([each.inside for each in trials]),
    )


def count_trials(seen: Sequence[Seen]) -> tuple[Trials, float] | None:
    """Return the trials from all counts of adaptive clips, and a factor; None without counts.

    Every count is one Gaussian trial. The counts of a holder's whole run together have sqrt(counts)
    times the mu of a single one; the factor is this root for the holder with the fewest counts,
    divided by ``Seen.count_step``.
    """
    having = [each for each in seen if each.counts]
    if not having:
        return None
    scores = np.concatenate([list(each.counts.values()) for each in having])
    inside = np.concatenate([each.inside[list(each.counts)] for each in having])
    fewest = min(len(each.counts) for each in having)
    return Trials(scores, inside), math.sqrt(fewest) / having[0].count_step


def noisy_count(release: PublishedRelease, scenario: Scenario) -> float | None:
    """Return the noisy count that moved a holder's clip from its last release to this one.

    It is the number of the holder's records with a gradient within the clip, minus half of those
    that were drawn, plus noise. Everybody can compute it: messages declare their clips. None: the
    clip is fixed, or the holder has no earlier release on the branch.
    """
    quantile = scenario.privacy.parameters.get("clip_quantile")
    if quantile is None or release.last is None:
        return None
    before, after = release.last.message.declaration, release.message.declaration
    share = quantile - math.log(after.clip / before.clip) / CLIP_RATE
    rate = float(scenario.privacy.parameters.get("sampling_rate", 1.0))
    return float((share - 0.5) * rate * before.records)


def by_holder(
    released: Iterable[PublishedRelease],
) -> Iterator[tuple[int, list[PublishedRelease]]]:
    """Yield each holder with its releases, which come in order of the holders."""
    for holder, releases in itertools.groupby(released, key=lambda each: each.holder):
        yield holder, list(releases)


def seen_along_axes(
    scenario: Scenario, released: Sequence[PublishedRelease], weights_at: WeightsAt
) -> list[Seen]:
    """Return what releases tell of the canaries of the task ``canaries``.

    Every canary pulls along an axis of its own, with the sign of the weights along the axis. If
    holders form groups, a release is the sum of a group. The audit then looks for the canaries of
    the group's first member, and subtracts those of the other members, which have the same axes. If
    a member dropped out, too much is subtracted, and the audit becomes weaker.
    """
    each = int(scenario.task.parameters["each"])
    axes = axes_of(scenario.seed, each).astype(np.float64)
    signs = {at: np.sign(axes @ weights_at(at)) for at in {r.message.parent for r in released}}
    pulls: dict[int, Matrix] = {}
    coins: dict[int, Flags] = {}
    for holder, releases in by_holder(released):
        turned = np.stack([signs[one.message.parent] for one in releases])
        members = scenario.nodes.members_of(holder)
        coins[holder], *others = (inside_of(scenario.seed, member, each) for member in members)
        known = turned * np.sum(others, axis=0)  # 0 if there are no others
        pulls[holder] = np.stack([axes @ one.vector * _unit(one) for one in releases]) - known
    noise = {
        (holder, one.message.parent): pull - signs[one.message.parent] * coins[holder]
        for holder, releases in by_holder(released)
        for one, pull in zip(releases, pulls[holder], strict=True)
    }
    shared = NoiseOfOthers(noise)
    seen = []
    for holder, releases in by_holder(released):
        parents, pull = [one.message.parent for one in releases], pulls[holder]
        turned = np.stack([signs[parent] for parent in parents])
        turns, whole = turned - turned.mean(axis=0), turned**2
        alien = np.stack([shared.beside(holder, parent) for parent in parents])
        seen.append(
            Seen(
                holder=holder,
                rounds=np.array([one.message.round for one in releases]),
                inside=coins[holder],
                own=CanaryEvidence(turned * pull, whole),
                changes=CanaryEvidence(turns * pull, turns * turned),
                others=CanaryEvidence(turned * (pull - alien), whole),
                counts=_counts_along_axes(releases, scenario, coins[holder]),
                count_step=2.0,  # from a record of zeros to one far above the clip
            )
        )
    return seen


def _unit(release: PublishedRelease) -> float:
    """Return the factor that makes a mean gradient a sum, in clips."""
    return release.message.declaration.records / release.message.declaration.clip


def _counts_along_axes(
    releases: Sequence[PublishedRelease], scenario: Scenario, inside: Flags
) -> dict[int, float]:
    """Return scores from noisy counts: a canary that is in is above the clip, others are 0."""
    counts: dict[int, float] = {}
    for one in releases:
        noisy, number = noisy_count(one, scenario), len(counts)
        if noisy is not None and number < len(inside):
            counts[number] = inside[number] - (noisy - float((0.5 - inside).sum()))
    return counts


class NoiseOfOthers:
    """The mean noise of the other holders at a block, as an auditor who knows all records sees it.

    >>> noise = {(0, b"p"): np.array([1.0]), (1, b"p"): np.array([3.0]), (0, b"q"): np.array([5.0])}
    >>> others = NoiseOfOthers(noise)
    >>> others.beside(0, b"p"), others.beside(0, b"q")
    (array([3.]), array([0.]))
    """

    def __init__(self, noise: Mapping[tuple[int, bytes], Vector]) -> None:
        """Take the noise of each release, by holder and parent block."""
        self._noise = noise
        self._totals: dict[bytes, Vector] = {}
        self._sizes: dict[bytes, int] = {}
        for (_, parent), each in noise.items():
            self._totals[parent] = self._totals.get(parent, 0.0) + each
            self._sizes[parent] = self._sizes.get(parent, 0) + 1

    def beside(self, holder: int, parent: bytes) -> Vector:
        """Return the mean noise of all other holders at a block; 0 if there are no others."""
        rest = self._totals[parent] - self._noise[holder, parent]
        return np.asarray(rest / max(1, self._sizes[parent] - 1))
