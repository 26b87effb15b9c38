"""Evidence: what the releases of a run reveal about each canary, and the scores that follow.

The auditor subtracts the gradients of all other records from a release. Noise is left, plus the
canary's gradient if the canary takes part.
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
"""Function that returns the weights after a block, given the block's hash."""
Scores = Mapping[str, Trials]
"""Scores of canaries, by a name such as ``round 3``."""


@dataclass(frozen=True)
class CanaryEvidence:
    """Inner products of releases with the gradients of canaries. The unit of length is the clip."""

    products: Matrix
    """Inner product of each release with each canary's gradient, shape (releases, canaries). What
    the auditor knows is subtracted from the release first."""
    squares: Matrix
    """Expected product if the canary takes part, shape (releases, canaries); otherwise 0 is
    expected."""

    def scores(self, rows: Flags | slice = slice(None)) -> Vector:
        """Return a score of each canary from the releases ``rows``: near 1 for "in", 0 for "out".

        >>> CanaryEvidence(np.array([[2.0, 0.1], [1.0, 0.0]]), np.ones((2, 2))).scores()
        array([1.5 , 0.05])
        """
        total = self.squares[rows].sum(axis=0)
        found: Vector = np.zeros(len(total))
        np.divide(self.products[rows].sum(axis=0), total, out=found, where=total > 0)
        return found


@dataclass(frozen=True, kw_only=True)
class Seen:
    """What the releases of one holder or group reveal about its canaries."""

    holder: int
    """Id of the data holder or group."""
    rounds: Vector
    """Round of each release, shape (releases,)."""
    inside: Flags
    """Whether each canary takes part in training, shape (canaries,)."""
    own: CanaryEvidence
    """Evidence from the releases as they are."""
    changes: CanaryEvidence
    """Evidence from the changes between releases, in which noise that a holder reuses cancels."""
    others: CanaryEvidence
    """Evidence from the releases minus the mean noise of the other holders at the same block, so
    that noise that holders share cancels out."""
    counts: Mapping[int, float] = field(default_factory=dict)
    """Scores of canaries from the noisy counts of an adaptive clip, by the canary's index. Each
    count gives the score of a different canary."""
    count_step: float = 1.0
    """Change of a count by one canary, divided by the change that epsilon assumes for one
    record."""


def families_of(seen: Sequence[Seen]) -> dict[str, Scores]:
    """Return the scores of all canaries for the whole run, and for each round, holder and release.

    The result maps the families ``run``, ``round``, ``holder`` and ``release`` to their scores.
    """
    # A score over the whole run hides a single round without noise, or a single holder with too
    # little, among all others.
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
    """Return the trials from all counts of adaptive clips and a factor, or None without counts.

    The factor times the mu of one trial is the mu of a whole run. The factor is sqrt(n) /
    ``Seen.count_step``, where n is the smallest number of counts of a holder.
    """
    having = [each for each in seen if each.counts]
    if not having:
        return None
    scores = np.concatenate([list(each.counts.values()) for each in having])
    inside = np.concatenate([each.inside[list(each.counts)] for each in having])
    fewest = min(len(each.counts) for each in having)
    return Trials(scores, inside), math.sqrt(fewest) / having[0].count_step


def noisy_count(release: PublishedRelease, scenario: Scenario) -> float | None:
    """Return the noisy count that moved a holder's clip from the previous release to this one.

    The count is the number of drawn records with a gradient norm within the clip, minus half of all
    drawn records, plus noise. The result is None if the clip is fixed, or if the holder has no
    earlier release on the branch.
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
    """Yield the id of each holder with its releases; ``released`` must be sorted by holder."""
    for holder, releases in itertools.groupby(released, key=lambda each: each.holder):
        yield holder, list(releases)


def seen_along_axes(
    scenario: Scenario, released: Sequence[PublishedRelease], weights_at: WeightsAt
) -> list[Seen]:
    """Return what releases reveal about the canaries of the task ``canaries``.

    In a group, the audit looks for the canaries of the first member. The evidence is weaker if a
    member drops out.
    """
    each = int(scenario.task.parameters["each"])
    axes = axes_of(scenario.seed, each).astype(np.float64)
    # each canary pulls along its own axis, with the sign of the weights along the axis
    signs = {at: np.sign(axes @ weights_at(at)) for at in {r.message.parent for r in released}}
    pulls: dict[int, Matrix] = {}
    coins: dict[int, Flags] = {}
    for holder, releases in by_holder(released):
        turned = np.stack([signs[one.message.parent] for one in releases])
        members = scenario.nodes.members_of(holder)
        coins[holder], *others = (inside_of(scenario.seed, member, each) for member in members)
        # the canaries of the other members have the same axes
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
    """Return the factor that turns a mean gradient into a sum, in units of the clip."""
    return release.message.declaration.records / release.message.declaration.clip


def _counts_along_axes(
    releases: Sequence[PublishedRelease], scenario: Scenario, inside: Flags
) -> dict[int, float]:
    """Return scores of canaries, one from each noisy count, by the canary's index."""
    counts: dict[int, float] = {}
    for one in releases:
        noisy, number = noisy_count(one, scenario), len(counts)
        if noisy is not None and number < len(inside):
            # the gradient of a canary that is in exceeds the clip, others are 0
            counts[number] = inside[number] - (noisy - float((0.5 - inside).sum()))
    return counts


class NoiseOfOthers:
    """Mean noise of the other holders' releases at a block, for an auditor who knows all records.

    >>> noise = {(0, b"p"): np.array([1.0]), (1, b"p"): np.array([3.0]), (0, b"q"): np.array([5.0])}
    >>> others = NoiseOfOthers(noise)
    >>> others.beside(0, b"p"), others.beside(0, b"q")
    (array([3.]), array([0.]))
    """

    def __init__(self, noise: Mapping[tuple[int, bytes], Vector]) -> None:
        """Store the noise of each release, by holder id and hash of the parent block."""
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
