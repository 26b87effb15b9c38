"""Groups that are asked together: gradients at once, then the sum of each group, unseen."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from fedchain.arrays import Singles, Vector
from fedchain.learning.task import Task
from fedchain.ledger.chain.message import Declaration, Message
from fedchain.nodes.holders.byzantine import Byzantine
from fedchain.nodes.holders.dropouts import DropoutOutcome, contributors, first_reconstruction
from fedchain.nodes.holders.holder_pool import (
    Gradients,
    PublicSubspace,
    ReleaseBatch,
    ReleaseRequest,
)
from fedchain.nodes.holders.release import ReleaseContext, Speaker, messages_of, scale_names
from fedchain.privacy.mechanisms import GroupNoise, Mechanism
from fedchain.randomness import digest, stream
from fedchain.scenario import Groups, Scenario
from fedchain.secure_aggregation.assembler import summed
from fedchain.secure_aggregation.masks import KeyPair, key_pair
from fedchain.secure_aggregation.member import Member, Session
from fedchain.timing import Stopwatch

MOST = 2**62
"""Largest step that a Byzantine member can say: words have no room for more."""

NO_ROWS: Singles = np.empty((0, 0), dtype=np.float32)
Steps = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Attempt:
    """The members of one group in the attempt that opens their sum."""

    asked: ReleaseRequest
    """The group, as it is asked."""
    attendance: DropoutOutcome
    """Who is there, and how long."""
    holders: tuple[int, ...]
    """The members that send numbers, as data holders."""


class GroupPool:
    """The groups of a scenario, as one worker has them; ``HolderPool`` is for holders alone."""

    def __init__(
        self,
        gradients: Gradients,
        scenario: Scenario,
        groups: Groups,
        task: Task,
        mechanism: Mechanism,
        noise: GroupNoise,
        subspace: PublicSubspace | None = None,
    ) -> None:
        """Hold the parts.

        Args:
            gradients: for this worker alone.
            scenario: names the attacks, and how directions are stored.
            groups: how they are made.
            task: whose holders they are.
            mechanism: what holders declare.
            noise: draws the shares of its noise.
            subspace: where the sums are projected, for this worker alone; None: nowhere.
        """
        self._gradients, self._scenario, self._groups = gradients, scenario, groups
        self._task, self._subspace = task, subspace
        self._mechanism, self._noise = mechanism, noise
        self._byzantine = Byzantine(scenario)
        self._count = functools.lru_cache(4096)(lambda holder: task.holders[holder].count)

    def twin(self) -> GroupPool:
        """Return another one for another thread."""
        subspace = self._subspace and self._subspace.twin()
        shared = self._scenario, self._groups, self._task, self._mechanism, self._noise
        return GroupPool(self._gradients.twin(), *shared, subspace)

    def __call__(self, weights: Vector, asked: Sequence[ReleaseRequest]) -> ReleaseBatch:
        """Return the signed messages of these groups.

        Args:
            weights: (d,), the same for all.
            asked: the groups; in the place of a holder each has its own number.
        """
        watch = Stopwatch()
        attempts = [self._attempt(each) for each in asked]
        with watch("gradients"):
            holders = [holder for each in attempts if each for holder in each.holders]
            rows = self._gradients(weights, holders) if holders else NO_ROWS
        messages: list[Message | None] = []
        first = 0
        for attempt in attempts:
            count = len(attempt.holders) if attempt else 0
            own = rows[first : first + count]
            messages.append(self._speak(weights, own, attempt, watch) if attempt else None)
            first += count
        return ReleaseBatch(tuple(messages), watch.lap())

    def _attempt(self, asked: ReleaseRequest) -> Attempt | None:
        attendance = first_reconstruction(self._groups, asked.context)
        if attendance is None:
            return None
        return Attempt(asked, attendance, contributors(self._scenario.nodes, asked.context))

    def _speak(
        self, weights: Vector, gradients: Singles, attempt: Attempt, watch: Stopwatch
    ) -> Message | None:
        counts = [self._count(holder) for holder in attempt.holders]
        with watch("noise"):
            steps = self._noise.in_steps(gradients, self._noise_keys(attempt), counts)
            self._misbehave(steps, attempt, counts)
            whole = self._sum(steps, attempt)
        units = sum(map(self._mechanism.terms.units, counts))
        mean = (whole * (self._noise.step / units))[None]
        if self._subspace is not None:
            with watch("gradients"):
                mean = self._subspace.projected(mean, weights, attempt.asked.context.parent)
        with watch("signing"):
            noise, clip = self._mechanism.noise_multiplier, self._mechanism.terms.clip
            declaration = Declaration(self._mechanism.name, noise, clip, sum(counts))
            speaker = Speaker(attempt.asked.context, attempt.asked.identity, declaration)
            return messages_of(mean, [speaker], self._scenario.ledger.storage)[0]

    def _noise_keys(self, attempt: Attempt) -> list[bytes]:
        """Name each member's share of the noise: by holder, round, parent, attempt and scale."""
        context, scale = attempt.asked.context, scale_names(self._mechanism)
        at = context.round, context.parent, attempt.attendance.number, self._noise.shares
        return [digest(context.seed, "share", holder, *at, *scale) for holder in attempt.holders]

    def _misbehave(self, steps: Steps, attempt: Attempt, counts: Sequence[int]) -> None:
        """Put what Byzantine members add in the place of their gradients with their noise."""
        context, step = attempt.asked.context, self._noise.step
        for row, holder, count in zip(steps, attempt.holders, counts, strict=True):
            _, attack = self._byzantine.attack_of(holder, context.round)
            if attack is not None:
                scale = step / self._mechanism.terms.units(count)
                generator = stream(context.seed, "attack", holder, context.round)
                said = np.nan_to_num(attack(row * scale, generator) / scale)
                row[:] = np.rint(np.clip(said, -MOST, MOST)).astype(np.int64)

    def _sum(self, steps: Steps, attempt: Attempt) -> Steps:
        """Add the members' numbers, none of which leaves its member unmasked; modulo 2^64."""
        context, number = attempt.asked.context, attempt.attendance.number
        session = _session(context, self._groups, number)
        seed, at = context.seed, (context.round, context.parent, number)
        holders = self._groups.members_of(context.holder)
        members = [
            Member(session, place, _channel(seed, holder), digest(seed, "masks", holder, *at))
            for place, holder in zip(session.numbers, holders, strict=True)
        ]
        numbers = dict(
            zip(attempt.attendance.summed(self._groups.size), steps.view(np.uint64), strict=True)
        )
        return summed(members, session, numbers, attempt.attendance.lost).words.view(np.int64)


def _session(context: ReleaseContext, groups: Groups, number: int) -> Session:
    """Return the session of an attempt; everybody can compute its name."""
    numbers = b"%d:%d:%d" % (context.round, context.holder, number)
    names = context.chain_id, context.parent, numbers
    holders = groups.members_of(context.holder)
    channels = tuple(_channel(context.seed, holder).public for holder in holders)
    return Session(hashlib.sha256(b"".join(names)).digest(), channels, groups.threshold)


@functools.lru_cache(2**14)
def _channel(seed: int, holder: int) -> KeyPair:
    """Return a member's key, with which it hears from the others all the run."""
    return key_pair(digest(seed, "channel", holder))
