"""Holder pool: it computes the gradients of many holders together, then their messages.

A gradient becomes a message in four steps: noise, momentum, direction and signature. Releases of
colluders are first returned unsigned, since colluders may change them.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol, TypeVar

import numpy as np

from fedchain.arrays import Matrix, Singles, Vector
from fedchain.ledger.chain.message import Message
from fedchain.nodes.holders.adversary import nudged
from fedchain.nodes.holders.momentum import with_momentum
from fedchain.nodes.holders.pool_parts import PoolParts
from fedchain.nodes.holders.release import (
    Answer,
    ReleaseRequest,
    Withheld,
    declaration_of,
    drawn_records,
    messages_of,
    private_releases,
    secret_key,
)
from fedchain.privacy.mechanisms import ClipFollower, Mechanism
from fedchain.timing import Stopwatch

if TYPE_CHECKING:
    # It imports torch, which a check of a scenario file does not need.
    from fedchain.learning.gradients.methods import GradientMethod

NOISED_TOGETHER = 2**21
"""Number of gradient entries that get noise and are quantised in one call."""
FEW, MANY = 25, 256
"""Largest number of holders that a worker computes together: FEW for a large dense network, MANY
for a small dense network."""
PLANES_TOGETHER = 64
"""Largest number of examples of several holders that kernels compute together."""
FEW_NUMBERS, MOST_NUMBERS = 2**19, 2**23
"""Largest number of gradient entries that a worker computes together: FEW_NUMBERS for more than FEW
holders, MOST_NUMBERS for 2 to FEW holders. A single holder has no limit."""
Asked = TypeVar("Asked")


@dataclass(frozen=True)
class ReleaseBatch:
    """The releases that were computed for several requests."""

    messages: tuple[Answer, ...]
    """The message or withheld release for each request, in the order of the requests."""
    seconds: Mapping[str, float]
    """Wall time in seconds, by stage."""
    clips: tuple[float, ...] = ()
    """The clip of each holder's next release; empty if clips do not follow a quantile."""


class ReleaseBackend(Protocol):
    """Computes releases in one worker: ``HolderPool`` for holders, ``GroupPool`` for groups."""

    def __call__(self, weights: Vector, asked: Sequence[ReleaseRequest]) -> ReleaseBatch:
        """Return the releases for the requests, computed at the weights, shape (dimension,)."""

    def twin(self) -> ReleaseBackend:
        """Return an equal backend for another thread."""


class HolderPool:
    """Computes the releases of holders in one worker."""

    def __init__(self, parts: PoolParts) -> None:
        """Store the parts."""
        self._parts = parts

    def twin(self) -> HolderPool:
        """Return an equal pool for another thread."""
        return HolderPool(self._parts.twin())

    def __call__(self, weights: Vector, asked: Sequence[ReleaseRequest]) -> ReleaseBatch:
        """Return the releases of holders.

        Args:
            weights: the weights at which all gradients are computed, shape (dimension,).
            asked: the requests. The last bits of a gradient may depend on which requests are
                computed together.
        """
        watch = Stopwatch()
        follower = self._parts.mechanism.clip_follower
        if asked[0].sent is not None:
            return self._send_decided(asked, watch)
        if follower is not None:
            said = [self._follow(weights, each, follower, watch) for each in asked]
            own, clips = tuple(each for each, _ in said), tuple(clip for _, clip in said)
            return ReleaseBatch(own, watch.lap(), clips)
        with watch("gradients"):
            rows, sums = self._parts.mean_gradients(weights, [each.context for each in asked])
        messages: list[Answer] = []
        step = max(1, NOISED_TOGETHER // rows.shape[1])
        for start in range(0, len(asked), step):
            part = slice(start, start + step)
            some, noisy = rows[part], None if sums is None else sums[part]
            mechanism = self._parts.mechanism
            messages += self._make_messages(weights, some, asked[part], mechanism, watch, noisy)
        return ReleaseBatch(tuple(messages), watch.lap())

    def _send_decided(self, asked: Sequence[ReleaseRequest], watch: Stopwatch) -> ReleaseBatch:
        """Return the signed messages of colluders, with the vectors that they decided to send."""
        follower, messages, clips = self._parts.mechanism.clip_follower, list[Answer](), []
        with watch("signing"):
            for each in asked:
                assert each.sent is not None, "all colluders decide before any of them is asked"
                mechanism = self._parts.mechanism
                if follower is not None and each.clip is not None:
                    mechanism = follower.with_clip(each.clip)
                    clips.append(each.sent.next_clip or each.clip)
                (row,) = each.sent.rows.values()
                (message,) = self._sign(row[None], [each], mechanism)
                if message is not None and each.sent.nudge:
                    message = nudged(message, each.sent.nudge, each.identity.secret)
                messages.append(message)
        return ReleaseBatch(tuple(messages), watch.lap(), tuple(clips))

    def _follow(
        self, weights: Vector, asked: ReleaseRequest, follower: ClipFollower, watch: Stopwatch
    ) -> tuple[Answer, float]:
        """Return a holder's release, clipped by its own clip, and the holder's next clip."""
        context = asked.context
        records = self._parts.count(context.holder)
        clip = self._parts.mechanism.terms.clip if asked.clip is None else asked.clip
        mechanism = follower.with_clip(clip)
        with watch("gradients"):
            mask = drawn_records(context, records, mechanism)
            whose = self._parts.records_of(context)
            row, within = self._parts.gradients.bounded(weights, whose, clip, mask)
            row /= mechanism.terms.sampling_rate * records
        (message,) = self._make_messages(weights, row, [asked], mechanism, watch)
        key = secret_key("clip", context)
        after = follower.next_clip(key, clip, within, int(mask.sum()), records)
        if isinstance(message, Withheld):
            message = replace(message, next_clip=after)
        return message, after

    def _make_messages(
        self,
        weights: Vector,
        gradients: Matrix,
        asked: Sequence[ReleaseRequest],
        mechanism: Mechanism,
        watch: Stopwatch,
        noisy: Matrix | None = None,
    ) -> list[Answer]:
        """Turn mean gradients, shape (holders, dimension), into messages or withheld releases.

        ``noisy`` has the gradients with their noise; with None it is added here.
        """
        records = [self._parts.count(each.context.holder) for each in asked]
        contexts = [each.context for each in asked]
        with watch("noise"):
            releases: Singles | Matrix = (
                private_releases(gradients, mechanism, records, contexts)
                if noisy is None
                else noisy
            )
        if self._parts.subspace is not None:
            with watch("gradients"):
                releases = self._parts.subspace.projected(releases, weights, contexts[0].parent)
        if (momentum := self._parts.scenario.nodes.momentum) is not None:
            releases = with_momentum(releases, [each.last for each in asked], momentum)
        colluders = self._parts.colluders
        if colluders is None:
            with watch("signing"):
                return list(self._sign(releases, asked, mechanism))
        found: list[Answer] = [None] * len(asked)
        honest = []
        for i, at in enumerate(contexts):
            if colluders.attack_of(at.holder, at.round) is None:
                honest.append(i)
            else:
                clean = {at.holder: np.array(gradients[i])}
                found[i] = Withheld({at.holder: releases[i].copy()}, clean=clean)
        with watch("signing"):
            kept = releases if len(honest) == len(asked) else releases[honest]
            signed = self._sign(kept, [asked[i] for i in honest], mechanism)
        for i, message in zip(honest, signed, strict=True):
            found[i] = message
        return found

    def _sign(
        self, releases: Singles | Matrix, asked: Sequence[ReleaseRequest], mechanism: Mechanism
    ) -> list[Message | None]:
        """Sign releases, shape (requests, dimension), and return the messages."""
        at = [each.context for each in asked]
        said = [declaration_of(mechanism, self._parts.count(o.holder), o.noise_step) for o in at]
        return messages_of(releases, asked, said, self._parts.scenario.ledger.storage)


def chunks_of(asked: Sequence[Asked], most: int) -> list[list[Asked]]:
    """Divide requests into chunks of at most ``most`` requests that are computed together.

    The chunks do not depend on the number of workers.
    """
    count = math.ceil(len(asked) / most)
    # Most machines have an even number of cores, so an even number of chunks is preferred.
    count = min(len(asked), count + count % 2)
    each, longer = divmod(len(asked), count)  # the first chunks have one request more
    starts = [i * each + min(i, longer) for i in range(count + 1)]
    return [list(asked[start:end]) for start, end in itertools.pairwise(starts)]


def chunk_size(
    method: GradientMethod, dimension: int, members: int = 1, *, examples: int = MANY
) -> int:
    """Return the largest number of requests in one chunk.

    Args:
        method: how gradients are computed. Only ``segments`` and ``planes`` compute several holders
            together.
        dimension: number of entries of a gradient.
        members: number of holders behind each request: 1, or the size of a group.
        examples: number of examples of a holder.

    >>> chunk_size("segments", 50_000), chunk_size("layers", 50_000)
    (25, 1)
    >>> chunk_size("planes", 30_000, examples=8), chunk_size("planes", 30_000, examples=200)
    (8, 1)
    """
    if method == "planes":
        return max(1, PLANES_TOGETHER // max(1, examples) // members)
    if method != "segments":
        return 1
    holders = min(max(FEW, FEW_NUMBERS // dimension), MANY, MOST_NUMBERS // dimension)
    return max(1, holders // members)
