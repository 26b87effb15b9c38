"""Group pool: it computes the gradients of many groups, then each sum by secure aggregation."""

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
from fedchain.secure_aggregation.member import GroupMember, Session
from fedchain.timing import Stopwatch

MOST = 2**62
"""Largest number that a Byzantine member can add: the sum is computed in 64-bit words."""

NO_ROWS: Singles = np.empty((0, 0), dtype=np.float32)
Steps = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Attempt:
    """The members of one group in the attempt that opens their sum."""

    asked: ReleaseRequest
    """The request for the release of the group."""
    attendance: DropoutOutcome
    """Which members are lost, and in which step."""
    holders: tuple[int, ...]
    """The members that send their masked numbers, as numbers of data holders."""


class GroupPool:
    """Computes the releases of groups in one worker.

    ``HolderPool`` does the same for holders that form no groups.
    """

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
            gradients: computes the gradients; no other worker uses it.
            scenario: says who attacks, and how directions are stored.
            groups: settings of the groups.
            task: the task; it knows the records of each holder.
            mechanism: the mechanism that messages declare.
            noise: draws each member's share of the mechanism's noise.
            subspace: projects the means after the noise; no other worker uses it. None: no
                projection.
        """
        self._gradients, self._scenario, self._groups = gradients, scenario, groups
        self._task, self._subspace = task, subspace
        self._mechanism, self._noise = mechanism, noise
        self._byzantine = Byzantine(scenario)
        self._count = functools.lru_cache(4096)(lambda holder: task.holders[holder].count)

    def twin(self) -> GroupPool:
        """Return an equal pool for another thread."""
        subspace = self._subspace and self._subspace.twin()
        shared = self._scenario, self._groups, self._task, self._mechanism, self._noise
        return GroupPool(self._gradients.twin(), *shared, subspace)

    def __call__(self, weights: Vector, asked: Sequence[ReleaseRequest]) -> ReleaseBatch:
        """Return the signed messages of these groups.

        Args:
            weights: (d,), the same for all groups.
            asked: the requests; ``context.holder`` is the number of the group.
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
            messages.append(self._make_message(weights, own, attempt, watch) if attempt else None)
            first += count
        return ReleaseBatch(tuple(messages), watch.lap())

    def _attempt(self, asked: ReleaseRequest) -> Attempt | None:
        """Return the attempt that opens the sum of a group; None if no attempt does."""
        attendance = first_reconstruction(self._groups, asked.context)
        if attendance is None:
            return None
        return Attempt(asked, attendance, contributors(self._scenario.nodes, asked.context))

    def _make_message(
        self, weights: Vector, gradients: Singles, attempt: Attempt, watch: Stopwatch
    ) -> Message | None:
        """Return the message of a group: noise and attacks first, then sum, mean and signature."""
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
        """Return the key of each member's share of the noise.

        A key depends on holder, round, parent, attempt, number of shares and scale of the noise,
        so that no two draws coincide.
        """
        context, scale = attempt.asked.context, scale_names(self._mechanism)
        at = context.round, context.parent, attempt.attendance.number, self._noise.shares
        return [digest(context.seed, "share", holder, *at, *scale) for holder in attempt.holders]

    def _misbehave(self, steps: Steps, attempt: Attempt, counts: Sequence[int]) -> None:
        """Overwrite the noisy gradients of Byzantine members with what their attacks send."""
        context, step = attempt.asked.context, self._noise.step
        for row, holder, count in zip(steps, attempt.holders, counts, strict=True):
            _, attack = self._byzantine.attack_of(holder, context.round)
            if attack is not None:
                scale = step / self._mechanism.terms.units(count)
                generator = stream(context.seed, "attack", holder, context.round)
                said = np.nan_to_num(attack(row * scale, generator) / scale)
                row[:] = np.rint(np.clip(said, -MOST, MOST)).astype(np.int64)

    def _sum(self, steps: Steps, attempt: Attempt) -> Steps:
        """Add the members' numbers modulo 2^64 by secure aggregation.

        No member's numbers leave the member without a mask.
        """
        context, number = attempt.asked.context, attempt.attendance.number
        session = _session(context, self._groups, number)
        seed, at = context.seed, (context.round, context.parent, number)
        holders = self._groups.members_of(context.holder)
        members = [
            GroupMember(session, place, _channel(seed, holder), digest(seed, "masks", holder, *at))
            for place, holder in zip(session.numbers, holders, strict=True)
        ]
        numbers = dict(
            zip(attempt.attendance.summed(self._groups.size), steps.view(np.uint64), strict=True)
        )
        return summed(members, session, numbers, attempt.attendance.lost).words.view(np.int64)


def _session(context: ReleaseContext, groups: Groups, number: int) -> Session:
    """Return the session of an attempt. Its name follows from public values alone."""
    numbers = b"%d:%d:%d" % (context.round, context.holder, number)
    names = context.chain_id, context.parent, numbers
    holders = groups.members_of(context.holder)
    channels = tuple(_channel(context.seed, holder).public for holder in holders)
    return Session(hashlib.sha256(b"".join(names)).digest(), channels, groups.threshold)


@functools.lru_cache(2**14)
def _channel(seed: int, holder: int) -> KeyPair:
    """Return a member's key pair for the whole run; it encrypts the shares between members."""
    return key_pair(digest(seed, "channel", holder))
