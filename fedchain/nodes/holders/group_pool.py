"""Group pool: it computes the gradients of group members, and sums them by secure aggregation."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from fedchain.arrays import Matrix, Vector
from fedchain.ledger.chain.message import Message
from fedchain.nodes.holders.dropouts import DropoutOutcome, contributors, first_reconstruction
from fedchain.nodes.holders.holder_pool import ReleaseBatch
from fedchain.nodes.holders.momentum import with_momentum
from fedchain.nodes.holders.pool_parts import PoolParts
from fedchain.nodes.holders.release import (
    Answer,
    ReleaseContext,
    ReleaseRequest,
    Withheld,
    declaration_of,
    messages_of,
)
from fedchain.randomness import digest
from fedchain.scenario import Groups
from fedchain.secure_aggregation.assembler import summed
from fedchain.secure_aggregation.masks import KeyPair, key_pair
from fedchain.secure_aggregation.member import GroupMember, Session
from fedchain.timing import Stopwatch

LARGEST_ADDED = 2**62
"""Largest number that a Byzantine member can add to a sum of 64-bit words."""

NO_ROWS: Matrix = np.empty((0, 0))
NoiseSteps = npt.NDArray[np.int64]


@dataclass(frozen=True)
class OpenedSum:
    """The attempt in which the sum of a group is opened."""

    asked: ReleaseRequest
    """The request for the group's release."""
    outcome: DropoutOutcome
    """The lost members, and the steps that they miss."""
    holders: tuple[int, ...]
    """Ids of the data holders whose gradients are in the sum."""


class GroupPool:
    """Computes the releases of groups in one worker."""

    def __init__(self, parts: PoolParts) -> None:
        """Store the parts. The mechanism must divide the noise among the members of a group."""
        groups, noise = parts.scenario.nodes.groups, parts.mechanism.group_noise
        assert groups is not None, "holders without groups have a pool of their own"
        assert noise is not None, "it was built with shares"
        self._parts, self._groups, self._noise = parts, groups, noise

    def twin(self) -> GroupPool:
        """Return an equal pool for another thread."""
        return GroupPool(self._parts.twin())

    def __call__(self, weights: Vector, asked: Sequence[ReleaseRequest]) -> ReleaseBatch:
        """Return the releases of groups.

        Args:
            weights: the weights at which all gradients are computed, shape (dimension,).
            asked: the requests; ``context.holder`` is the id of the group.
        """
        watch = Stopwatch()
        attempts = [self._attempt(each) for each in asked]
        messages: list[Answer] = []
        if asked[0].sent is not None:
            for attempt in attempts:
                assert attempt is not None, "its members have decided what they send"
                messages.append(self._sign(weights, self._decided_sum(attempt), attempt, watch))
            return ReleaseBatch(tuple(messages), watch.lap())
        with watch("gradients"):
            at = [
                replace(each.asked.context, holder=holder)
                for each in attempts
                if each is not None
                for holder in each.holders
            ]
            rows = self._parts.mean_gradients(weights, at)[0] if at else NO_ROWS
        first = 0
        for attempt in attempts:
            count = len(attempt.holders) if attempt else 0
            own = rows[first : first + count]
            messages.append(self._make_message(weights, own, attempt, watch) if attempt else None)
            first += count
        return ReleaseBatch(tuple(messages), watch.lap())

    def _attempt(self, asked: ReleaseRequest) -> OpenedSum | None:
        """Return the attempt that opens the sum of a group; None if all attempts fail."""
        seed = self._parts.scenario.seed
        outcome = first_reconstruction(self._groups, asked.context, seed)
        if outcome is None:
            return None
        return OpenedSum(asked, outcome, contributors(self._groups, asked.context, seed))

    def _make_message(
        self, weights: Vector, gradients: Matrix, attempt: OpenedSum, watch: Stopwatch
    ) -> Answer:
        """Return the signed message of a group, or the withheld release of a group with colluders.

        Noise is added to each gradient before the sum.
        """
        counts = [self._parts.count(holder) for holder in attempt.holders]
        round_ = attempt.asked.context.round
        of = self._parts.colluders
        liars = [of is not None and of.attack_of(k, round_) is not None for k in attempt.holders]
        with watch("noise"):
            steps = self._noise.in_steps(gradients, self._noise_keys(attempt), counts)
            whole = self._sum(steps, attempt)
        if any(liars):
            lying = [(k, attempt.holders[k]) for k, lies in enumerate(liars) if lies]
            rows = {holder: steps[k] * self._scale(holder) for k, holder in lying}
            clean = {holder: np.array(gradients[k]) for k, holder in lying}
            return Withheld(rows, whole - steps[liars].sum(axis=0), clean=clean)
        return self._sign(weights, whole, attempt, watch)

    def _scale(self, holder: int) -> float:
        """Return how much one step of the noise's grid changes a member's mean gradient."""
        return self._noise.step / self._parts.mechanism.terms.units(self._parts.count(holder))

    def _decided_sum(self, attempt: OpenedSum) -> NoiseSteps:
        """Return the sum of a group, modulo 2^64, with the vectors that its colluders add."""
        sent = attempt.asked.sent
        assert sent is not None, "its colluders have decided"
        whole = sent.rest
        assert whole is not None, "a group withholds the rest of its sum"
        for holder, row in sent.rows.items():
            words = np.nan_to_num(row / self._scale(holder))
            words = np.clip(words, -LARGEST_ADDED, LARGEST_ADDED)
            whole = whole + np.rint(words).astype(np.int64)
        return whole

    def _sign(
        self, weights: Vector, whole: NoiseSteps, attempt: OpenedSum, watch: Stopwatch
    ) -> Message | None:
        """Return the signed message of a group, given the group's sum."""
        counts = [self._parts.count(holder) for holder in attempt.holders]
        units = sum(map(self._parts.mechanism.terms.units, counts))
        mean = (whole * (self._noise.step / units))[None]
        if self._parts.subspace is not None:
            with watch("gradients"):
                mean = self._parts.subspace.projected(mean, weights, attempt.asked.context.parent)
        if (momentum := self._parts.scenario.nodes.momentum) is not None:
            mean = with_momentum(mean, [attempt.asked.last], momentum)
        with watch("signing"):
            everybody = self._groups.members_of(attempt.asked.context.holder)
            declaration = declaration_of(
                self._parts.mechanism, sum(map(self._parts.count, everybody))
            )
            storage = self._parts.scenario.ledger.storage
            return messages_of(mean, [attempt.asked], [declaration], storage)[0]

    def _noise_keys(self, attempt: OpenedSum) -> list[bytes]:
        """Return the secret keys for the members' shares of the noise, new in every attempt."""
        context = attempt.asked.context
        at = context.round, context.parent, attempt.outcome.number
        return [digest(context.secret, "share", holder, *at) for holder in attempt.holders]

    def _sum(self, steps: NoiseSteps, attempt: OpenedSum) -> NoiseSteps:
        """Return the sum of the members' vectors, modulo 2^64, by secure aggregation."""
        context, number = attempt.asked.context, attempt.outcome.number
        session = _session(context, self._groups, number)
        secret, at = context.secret, (context.round, context.parent, number)
        holders = self._groups.members_of(context.holder)
        members = [
            GroupMember(session, place, _channel(secret, own), digest(secret, "masks", own, *at))
            for place, own in zip(session.numbers, holders, strict=True)
        ]
        numbers = dict(
            zip(attempt.outcome.summed(self._groups.size), steps.view(np.uint64), strict=True)
        )
        return summed(members, session, numbers, attempt.outcome.lost).words.view(np.int64)


def _session(context: ReleaseContext, groups: Groups, number: int) -> Session:
    """Return the secure aggregation session of a group's attempt ``number``."""
    numbers = b"%d:%d:%d" % (context.round, context.holder, number)
    names = context.chain_id, context.parent, numbers
    holders = groups.members_of(context.holder)
    channels = tuple(_channel(context.secret, holder).public for holder in holders)
    return Session(hashlib.sha256(b"".join(names)).digest(), channels, groups.threshold)


@functools.lru_cache(2**14)
def _channel(secret: bytes, holder: int) -> KeyPair:
    """Return the key pair with which a member encrypts its shares during the whole run."""
    return key_pair(digest(secret, "channel", holder))
