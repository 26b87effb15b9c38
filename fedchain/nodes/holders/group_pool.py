"""Group pool: it computes gradients of group members, and adds them by secure aggregation."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from fedchain.arrays import Singles, Vector
from fedchain.ledger.chain.message import Declaration, Message
from fedchain.nodes.holders.byzantine import Byzantine
from fedchain.nodes.holders.dropouts import DropoutOutcome, contributors, first_reconstruction
from fedchain.nodes.holders.holder_pool import PoolParts, ReleaseBatch
from fedchain.nodes.holders.momentum import with_momentum
from fedchain.nodes.holders.release import (
    ReleaseContext,
    ReleaseRequest,
    messages_of,
    scale_names,
)
from fedchain.randomness import digest
from fedchain.scenario import Groups
from fedchain.secure_aggregation.assembler import summed
from fedchain.secure_aggregation.masks import KeyPair, key_pair
from fedchain.secure_aggregation.member import GroupMember, Session
from fedchain.timing import Stopwatch

LARGEST_ADDED = 2**62
"""Largest number that a Byzantine member can send, since sums are computed in 64-bit words."""

NO_ROWS: Singles = np.empty((0, 0), dtype=np.float32)
NoiseSteps = npt.NDArray[np.int64]


@dataclass(frozen=True)
class OpenedSum:
    """The attempt in which the sum of a group is opened, and the members that take part in it."""

    asked: ReleaseRequest
    """The request for the release of the group."""
    outcome: DropoutOutcome
    """Which members are lost, and in which step."""
    holders: tuple[int, ...]
    """Ids of the data holders that send their masked numbers."""


class GroupPool:
    """Computes the releases of groups in one worker. Without groups, ``HolderPool`` is used."""

    def __init__(self, parts: PoolParts) -> None:
        """Hold the parts; their mechanism must divide the noise among a group's members."""
        groups, noise = parts.scenario.nodes.groups, parts.mechanism.group_noise
        assert groups is not None, "holders without groups have a pool of their own"
        assert noise is not None, "it was built with shares"
        self._parts, self._groups, self._noise = parts, groups, noise

    def twin(self) -> GroupPool:
        """Return an equal pool for another thread."""
        return GroupPool(self._parts.twin())

    def __call__(self, weights: Vector, asked: Sequence[ReleaseRequest]) -> ReleaseBatch:
        """Return the signed messages of these groups.

        Args:
            weights: the weights (d,) at which all gradients are computed.
            asked: the requests; ``context.holder`` is the id of the group.
        """
        watch = Stopwatch()
        attempts = [self._attempt(each) for each in asked]
        with watch("gradients"):
            holders = [holder for each in attempts if each for holder in each.holders]
            rows = self._parts.gradients(weights, holders) if holders else NO_ROWS
        messages: list[Message | None] = []
        first = 0
        for attempt in attempts:
            count = len(attempt.holders) if attempt else 0
            own = rows[first : first + count]
            messages.append(self._make_message(weights, own, attempt, watch) if attempt else None)
            first += count
        return ReleaseBatch(tuple(messages), watch.lap())

    def _attempt(self, asked: ReleaseRequest) -> OpenedSum | None:
        """Return the attempt that opens the sum of a group; None if no attempt does."""
        outcome = first_reconstruction(self._groups, asked.context)
        if outcome is None:
            return None
        return OpenedSum(asked, outcome, contributors(self._groups, asked.context))

    def _make_message(
        self, weights: Vector, gradients: Singles, attempt: OpenedSum, watch: Stopwatch
    ) -> Message | None:
        """Return the message of a group: noise and attacks first, then sum, mean and signature."""
        counts = [self._parts.count(holder) for holder in attempt.holders]
        with watch("noise"):
            steps = self._noise.in_steps(gradients, self._noise_keys(attempt), counts)
            if self._parts.byzantine is not None:
                self._misbehave(steps, attempt, counts, self._parts.byzantine)
            whole = self._sum(steps, attempt)
        units = sum(map(self._parts.mechanism.terms.units, counts))
        mean = (whole * (self._noise.step / units))[None]
        if self._parts.subspace is not None:
            with watch("gradients"):
                mean = self._parts.subspace.projected(mean, weights, attempt.asked.context.parent)
        if (momentum := self._parts.scenario.nodes.momentum) is not None:
            mean = with_momentum(mean, [attempt.asked.last], momentum)
        with watch("signing"):
            noise, clip = self._parts.mechanism.noise_multiplier, self._parts.mechanism.terms.clip
            declaration = Declaration(self._parts.mechanism.name, noise, clip, sum(counts))
            storage = self._parts.scenario.ledger.storage
            return messages_of(mean, [attempt.asked], [declaration], storage)[0]

    def _noise_keys(self, attempt: OpenedSum) -> list[bytes]:
        """Return the key of each member's share of the noise.

        A key depends on holder, round, parent, attempt, number of shares and scale of the noise,
        so that no two draws coincide.
        """
        context, scale = attempt.asked.context, scale_names(self._parts.mechanism)
        at = context.round, context.parent, attempt.outcome.number, self._noise.shares
        return [digest(context.seed, "share", holder, *at, *scale) for holder in attempt.holders]

    def _misbehave(
        self, steps: NoiseSteps, attempt: OpenedSum, counts: Sequence[int], byzantine: Byzantine
    ) -> None:
        """Overwrite the noisy gradients of Byzantine members with what their attacks send."""
        context, step = attempt.asked.context, self._noise.step
        for row, holder, count in zip(steps, attempt.holders, counts, strict=True):
            scale = step / self._parts.mechanism.terms.units(count)
            sent = byzantine.sent_instead(row * scale, holder, context.round, context.seed)
            if sent is not None:
                whole = np.clip(np.nan_to_num(sent / scale), -LARGEST_ADDED, LARGEST_ADDED)
                row[:] = np.rint(whole).astype(np.int64)

    def _sum(self, steps: NoiseSteps, attempt: OpenedSum) -> NoiseSteps:
        """Add the members' numbers modulo 2^64 by secure aggregation.

        Each member masks its numbers before they leave the member.
        """
        context, number = attempt.asked.context, attempt.outcome.number
        session = _session(context, self._groups, number)
        seed, at = context.seed, (context.round, context.parent, number)
        holders = self._groups.members_of(context.holder)
        members = [
            GroupMember(session, place, _channel(seed, holder), digest(seed, "masks", holder, *at))
            for place, holder in zip(session.numbers, holders, strict=True)
        ]
        numbers = dict(
            zip(attempt.outcome.summed(self._groups.size), steps.view(np.uint64), strict=True)
        )
        return summed(members, session, numbers, attempt.outcome.lost).words.view(np.int64)


def _session(context: ReleaseContext, groups: Groups, number: int) -> Session:
    """Return the secure aggregation session of one attempt; its name is made of public values."""
    numbers = b"%d:%d:%d" % (context.round, context.holder, number)
    names = context.chain_id, context.parent, numbers
    holders = groups.members_of(context.holder)
    channels = tuple(_channel(context.seed, holder).public for holder in holders)
    return Session(hashlib.sha256(b"".join(names)).digest(), channels, groups.threshold)


@functools.lru_cache(2**14)
def _channel(seed: int, holder: int) -> KeyPair:
    """Return a member's key pair for the whole run; it encrypts what members send each other."""
    return key_pair(digest(seed, "channel", holder))
