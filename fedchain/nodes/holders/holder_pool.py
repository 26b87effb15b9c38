"""Holders that are asked together: gradients at once, then noise, attack and signature of each."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from fedchain.arrays import Flags, Matrix, Singles, Vector
from fedchain.learning.task import Sampled, Task
from fedchain.ledger.chain.message import Declaration, Message
from fedchain.nodes.holders.byzantine import Byzantine
from fedchain.nodes.holders.identity import Identity
from fedchain.nodes.holders.release import (
    ReleaseContext,
    Speaker,
    drawn_records,
    messages_of,
    private_releases,
    secret_key,
)
from fedchain.privacy.mechanisms import ClipFollower, Mechanism
from fedchain.randomness import stream
from fedchain.scenario import Scenario
from fedchain.timing import Stopwatch

BLOCK = 2**21
"""Numbers that are noised and quantised together: a worker then rarely asks for the interpreter's
lock, for which it would wait as long as a small call takes."""


class Gradients(Protocol):
    """Clipped mean gradients of a cohort, as one thread computes them."""

    def __call__(
        self, weights: Vector, holders: Sequence[int], sampled: Sampled | None = None
    ) -> Singles:
        """Return one row a holder, (len(holders), d), at the weights (d,).

        Where records are sampled, the sum over those that take part is divided by the number
        that is expected.
        """

    def bounded(
        self, weights: Vector, holder: int, clip: float, mask: Flags
    ) -> tuple[Singles, int]:
        """Return the sum (1, d) of one holder's gradients, and how many are below its clip."""

    def twin(self) -> Gradients:
        """Return another one for another thread."""


class PublicSubspace(Protocol):
    """Where releases are projected after the noise, as one thread computes it."""

    def projected(self, releases: Singles | Matrix, weights: Vector, parent: bytes) -> Matrix:
        """Return what of each release (n, d) stays, at the weights (d,) of the block parent."""

    def twin(self) -> PublicSubspace:
        """Return another one for another thread."""


@dataclass(frozen=True)
class ReleaseRequest:
    """A holder, or a group of them, that is to speak."""

    context: ReleaseContext
    """When, and about which weights."""
    identity: Identity
    """Its key for this round."""
    clip: float | None = None
    """Where its clip stands; None: where the mechanism says."""


@dataclass(frozen=True)
class ReleaseBatch:
    """What several holders have to say."""

    messages: tuple[Message | None, ...]
    """One a holder, in the order asked; None: there is no direction to send."""
    seconds: Mapping[str, float]
    """What it took, by stage."""
    clips: tuple[float, ...] = ()
    """The clip that each release leads to, where clips follow a quantile."""


class ReleaseBackend(Protocol):
    """Whoever is asked, as one worker has them: holders, or groups of them."""

    def __call__(self, weights: Vector, asked: Sequence[ReleaseRequest]) -> ReleaseBatch:
        """Return what they say at the weights (d,)."""

    def twin(self) -> ReleaseBackend:
        """Return another one for another thread."""


class HolderPool:
    """The holders of a scenario, as one worker has them."""

    def __init__(
        self,
        *,
        gradients: Gradients,
        scenario: Scenario,
        task: Task,
        mechanism: Mechanism,
        subspace: PublicSubspace | None = None,
    ) -> None:
        """Hold the parts.

        Args:
            gradients: for this worker alone.
            scenario: names the attacks, and how directions are stored.
            task: whose holders they are.
            mechanism: draws the noise.
            subspace: where releases are projected, for this worker alone; None: nowhere.
        """
        self._gradients, self._scenario = gradients, scenario
        self._task, self._mechanism, self._subspace = task, mechanism, subspace
        self._byzantine = Byzantine(scenario)
        # A task of a million holders makes their records when they are asked for.
        self._count = functools.lru_cache(4096)(lambda holder: task.holders[holder].count)

    def twin(self) -> HolderPool:
        """Return another one for another thread."""
        subspace = self._subspace and self._subspace.twin()
        gradients, task, mechanism = self._gradients.twin(), self._task, self._mechanism
        return HolderPool(
            gradients=gradients,
            scenario=self._scenario,
            task=task,
            mechanism=mechanism,
            subspace=subspace,
        )

    def __call__(self, weights: Vector, asked: Sequence[ReleaseRequest]) -> ReleaseBatch:
        """Return the signed messages of these holders.

        Args:
            weights: (d,), the same for all.
            asked: the holders. The last bits of a gradient may depend on who else is asked
                together with it, so that the same messages need the same company.
        """
        watch = Stopwatch()
        follower = self._mechanism.clip_follower
        if follower is not None:
            said = [self._follow(weights, each, follower, watch) for each in asked]
            own, clips = tuple(each for each, _ in said), tuple(clip for _, clip in said)
            return ReleaseBatch(own, watch.lap(), clips)
        with watch("gradients"):
            holders = [each.context.holder for each in asked]
            rows = self._gradients(weights, holders, self._sampled(asked))
        messages: list[Message | None] = []
        step = max(1, BLOCK // rows.shape[1])
        for start in range(0, len(asked), step):
            part = slice(start, start + step)
            messages += self._speak(weights, rows[part], asked[part], self._mechanism, watch)
        return ReleaseBatch(tuple(messages), watch.lap())

    def _sampled(self, asked: Sequence[ReleaseRequest]) -> Sampled | None:
        """Draw the records that take part, where not all do."""
        rate = self._mechanism.terms.sampling_rate
        if rate == 1:
            return None
        at = [each.context for each in asked]
        masks = tuple(drawn_records(o, self._count(o.holder), self._mechanism) for o in at)
        return Sampled(masks, rate)

    def _follow(
        self, weights: Vector, asked: ReleaseRequest, follower: ClipFollower, watch: Stopwatch
    ) -> tuple[Message | None, float]:
        """Let one holder speak with its own clip; return the clip that this leads to."""
        context = asked.context
        records = self._count(context.holder)
        clip = self._mechanism.terms.clip if asked.clip is None else asked.clip
        mechanism = follower.with_clip(clip)
        with watch("gradients"):
            mask = drawn_records(context, records, mechanism)
            row, within = self._gradients.bounded(weights, context.holder, clip, mask)
            row /= np.float32(mechanism.terms.sampling_rate * records)
        (message,) = self._speak(weights, row, [asked], mechanism, watch)
        key = secret_key("clip", context, mechanism)
        return message, follower.next_clip(key, clip, within, int(mask.sum()), records)

    def _speak(
        self,
        weights: Vector,
        gradients: Singles,
        asked: Sequence[ReleaseRequest],
        mechanism: Mechanism,
        watch: Stopwatch,
    ) -> list[Message | None]:
        records = [self._count(each.context.holder) for each in asked]
        contexts = [each.context for each in asked]
        with watch("noise"):
            releases: Singles | Matrix = private_releases(gradients, mechanism, records, contexts)
        if self._subspace is not None:
            with watch("gradients"):
                releases = self._subspace.projected(releases, weights, contexts[0].parent)
        with watch("signing"):
            self._misbehave(releases, contexts)
            speakers = [
                Speaker(each.context, each.identity, _declaration(mechanism, count))
                for each, count in zip(asked, records, strict=True)
            ]
            return messages_of(releases, speakers, self._scenario.ledger.storage)

    def _misbehave(self, releases: Singles | Matrix, contexts: Sequence[ReleaseContext]) -> None:
        """Put what Byzantine holders send in the place of their releases."""
        for release, context in zip(releases, contexts, strict=True):
            _, attack = self._byzantine.attack_of(context.holder, context.round)
            if attack is not None:
                generator = stream(context.seed, "attack", context.holder, context.round)
                release[:] = attack(release, generator)


def _declaration(mechanism: Mechanism, records: int) -> Declaration:
    return Declaration(mechanism.name, mechanism.noise_multiplier, mechanism.terms.clip, records)
