"""Release service: it computes every release of a run once, and counts the privacy cost.

The simulation calls it when a gradient is due. The service holds the privacy budgets, and draws
which members of a group drop out. It computes the releases of all participants at one block
together, on the engine. If a run is resumed, it reads earlier releases from the ledger instead.
"""

from __future__ import annotations

import math
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from fedchain.arrays import Vector
from fedchain.ledger.chain.message import Message, identity_of
from fedchain.ledger.chain.state import State
from fedchain.ledger.chain.verdict_cache import VerdictCache
from fedchain.ledger.storage.recall import recorded_message
from fedchain.ledger.storage.store import Store
from fedchain.nodes.holders.byzantine import byzantine_in, under_names
from fedchain.nodes.holders.dropouts import DropoutOutcome, contributors, draw_dropouts
from fedchain.nodes.holders.holder_pool import ReleaseBatch
from fedchain.nodes.holders.release import ReleaseContext, ReleaseRequest
from fedchain.privacy.budget import Budget
from fedchain.results import MessageRecord
from fedchain.simulation.setup import RunSetup
from fedchain.timing import Stopwatch

Ask = Callable[[Vector, Sequence[ReleaseRequest]], Iterator[ReleaseBatch]]
"""A function of the weights (d,) and the requests. It yields the releases in batches."""
Compute = Callable[[bytes, Sequence[ReleaseRequest]], Sequence[Message | None]]
"""A function of a block's hash and the requests at this block. It returns the message of each
request; None: the release is not finite."""
KEPT_PARENTS = 8
"""Number of blocks whose cohorts and clips are remembered; holders release at no older block."""


class ReleaseService:
    """Computes all releases of participants (holders or groups), and counts the privacy cost."""

    def __init__(
        self,
        *,
        setup: RunSetup,
        store: Store,
        ask: Ask,
        state: Callable[[bytes], State],
        verdict_cache: VerdictCache,
        watch: Stopwatch,
    ) -> None:
        """Start with nothing released; ``state`` maps a block hash to the state after the block."""
        self._setup, self._store, self._ask, self._state = setup, store, ask, state
        self._verdict_cache, self._watch = verdict_cache, watch
        self._chain_id, self._groups = setup.genesis.header.hash, setup.scenario.nodes.groups
        self._seed = setup.scenario.seed
        self._byzantine = byzantine_in(setup.scenario)
        self._cohort = Cohort(self._compute)
        self._budgets: dict[int, Budget] = {}
        follows = setup.mechanism.clip_follower is not None
        self._clips = Clips(setup.mechanism.terms.clip) if follows else None
        # A message does not contain the next clip. So if clips follow a quantile, the releases are
        # computed again.
        self._recorded_rounds = 0 if follows else store.highest
        self.released: list[MessageRecord] = []
        """Records of the messages sent since the recorder last emptied the list. Each message is
        recorded as late until a block carries it."""
        self.worst: tuple[int, float | None] = 0, None
        """The largest number of releases of one participant so far, and the total epsilon of these
        releases; None: it is infinite."""

    @property
    def counts(self) -> dict[int, int]:
        """Number of releases so far by participant, forks included; it omits those never asked."""
        return {participant: budget.releases for participant, budget in self._budgets.items()}

    def budget(self, participant: int) -> Budget:
        """Return the privacy budget of a participant."""
        if participant not in self._budgets:
            self._budgets[participant] = Budget(self._setup.mechanism)
        return self._budgets[participant]

    def begin(self, participant: int, parent: bytes, round_: int) -> None:
        """Note that a participant begins to compute its gradient at a block.

        The gradients of participants that have begun at the same block are computed together.
        """
        self._cohort.expect(self._request(participant, parent, round_))

    def attempt(self, participant: int, parent: bytes, round_: int, number: int) -> DropoutOutcome:
        """Draw which members of a group drop out of an attempt; without groups it never fails."""
        if self._groups is None:
            return DropoutOutcome()
        context = self._request(participant, parent, round_).context
        return draw_dropouts(self._groups, context, self._seed, number)

    def release(self, participant: int, parent: bytes, round_: int) -> tuple[Message, ...]:
        """Return the messages of a participant, and add their records to ``released``.

        Args:
            participant: a holder or group that has begun at this parent.
            parent: hash of the block whose weights the participant used, 32 bytes.
            round_: the height of the block that may carry the messages.

        Returns:
            One message for each name of the participant; no message if the release is zero or not
            finite.
        """
        request = self._request(participant, parent, round_)
        # This comes first, so that the ledger does not affect who is computed together.
        self._cohort.close(request)
        message = None
        if round_ <= self._recorded_rounds:
            identity = identity_of(request.identity.public_key)
            message = recorded_message(self._store, parent, identity)
        message = message or self._cohort.message(request)
        if message is None:
            return ()
        if self._clips is not None:
            self._clips.made(participant, parent)
        attack, members = "", self._members_behind(request)
        messages: tuple[Message, ...] = (message,)
        if self._byzantine is not None:
            attack = self._byzantine.attacks_behind(members, round_)
            names = self._byzantine.names_of(participant, round_)
            messages = tuple(under_names(message, names, self._setup.secret, participant))
        count = self.budget(participant).releases + 1
        epsilon = finite(self._setup.mechanism.epsilon_after(count))
        self.worst = max(self.worst, (count, epsilon), key=lambda worst: worst[0])
        self.released += [
            MessageRecord(
                round=round_,
                block=sys.intern(parent.hex()),  # one text in memory for all messages at a parent
                holder=participant,
                id=each.id.hex(),
                norm=each.norm,
                cosine=None,
                used=False,
                reason="late",
                epsilon=epsilon,
                attack=attack,
                late=True,
                members=len(members),
            )
            for each in messages
        ]
        return messages

    def _members_behind(self, request: ReleaseRequest) -> tuple[int, ...]:
        """Return the holders whose gradients are in a participant's message."""
        if self._groups is None:
            return (request.context.holder,)
        return contributors(self._groups, request.context, self._seed)

    def _request(self, participant: int, parent: bytes, round_: int) -> ReleaseRequest:
        context = ReleaseContext(
            secret=self._setup.secret,
            chain_id=self._chain_id,
            parent=parent,
            round=round_,
            holder=participant,
        )
        clip = self._clips.at(participant, parent) if self._clips is not None else None
        return ReleaseRequest(context, self._setup.identities.of(participant, round_), clip)

    def _compute(self, parent: bytes, group: Sequence[ReleaseRequest]) -> list[Message | None]:
        """Compute releases together; check a batch of messages while the next batch is computed."""
        found: list[Message | None] = []
        seconds: Counter[str] = Counter()
        began = time.perf_counter()
        with self._watch("gradients"):
            for batch in self._ask(self._state(parent).weights, group):
                if self._clips is not None:
                    those = group[len(found) : len(found) + len(batch.clips)]
                    for each, clip in zip(those, batch.clips, strict=True):
                        self._clips.lead(each.context.holder, parent, clip)
                found += batch.messages
                seconds.update(batch.seconds)
                sent = [message for message in batch.messages if message is not None]
                self._verdict_cache.check_ahead(sent, self._setup.rules, self._chain_id)
        self._watch.share("gradients", time.perf_counter() - began, seconds)
        return found


class Cohort:
    """The participants whose gradients are computed together, by block.

    The gradients of a cohort are computed when the first of them is due. The simulated events alone
    determine who is in a cohort, not the contents of the ledger. So a run that is resumed after an
    interruption has the same cohorts.
    """

    def __init__(self, compute: Compute) -> None:
        """Start empty; each call of ``compute`` will get the requests of one whole cohort."""
        self._compute = compute
        self._waiting: dict[bytes, dict[int, ReleaseRequest]] = {}
        self._together: dict[bytes, dict[int, tuple[ReleaseRequest, ...]]] = {}
        self._messages: dict[bytes, dict[int, Message | None]] = {}

    def expect(self, request: ReleaseRequest) -> None:
        """Add a participant's request to those that wait at the same block."""
        context = request.context
        self._waiting.setdefault(context.parent, {})[context.holder] = request
        _forget_oldest(self._waiting, self._together, self._messages)

    def close(self, request: ReleaseRequest) -> tuple[ReleaseRequest, ...]:
        """Close the cohort of a participant, and return the requests in it.

        A participant that begins at the same block later belongs to another cohort.
        """
        participant, parent = request.context.holder, request.context.parent
        together = self._together.setdefault(parent, {})
        if participant not in together:
            # If many forks have displaced the parent from the table, the participant is alone.
            waiting = {**self._waiting.pop(parent, {}), participant: request}
            group = tuple(waiting[number] for number in sorted(waiting))
            together.update(dict.fromkeys(waiting, group))
        return together[participant]

    def message(self, request: ReleaseRequest) -> Message | None:
        """Return a participant's message at a block; None if the release is not finite."""
        participant, parent = request.context.holder, request.context.parent
        group = self.close(request)
        messages = self._messages.setdefault(parent, {})
        if participant not in messages:
            made = self._compute(parent, group)
            messages.update({a.context.holder: m for a, m in zip(group, made, strict=True)})
        return messages.pop(participant)  # it is large and rarely needed again


class Clips:
    """The clips of holders, if clips follow a quantile: each release sets the holder's next clip.

    The clip changes when the release is sent. A release that is computed but never sent, because
    the holder moves to another block, does not change the clip. In the example, holder 3 uses clip
    1.0 at one block and clip 0.9 at the next.

    >>> clips = Clips(1.0)
    >>> clips.at(3, b"parent")
    1.0
    >>> clips.lead(3, b"parent", 0.9)
    >>> clips.made(3, b"parent")
    >>> clips.at(3, b"parent"), clips.at(3, b"child"), clips.at(4, b"child")
    (1.0, 0.9, 1.0)
    """

    def __init__(self, first: float) -> None:
        """Start all holders with the same clip."""
        self._first = first
        self._newest: dict[int, float] = {}
        self._used: dict[bytes, dict[int, float]] = {}
        self._leads: dict[bytes, dict[int, float]] = {}

    def at(self, holder: int, parent: bytes) -> float:
        """Return the clip for a holder's release at a block; later calls return the same clip."""
        newest = self._newest.get(holder, self._first)
        clip = self._used.setdefault(parent, {}).setdefault(holder, newest)
        _forget_oldest(self._used, self._leads)
        return clip

    def lead(self, holder: int, parent: bytes, clip: float) -> None:
        """Note the clip that the holder uses after its release at this block is sent."""
        self._leads.setdefault(parent, {})[holder] = clip

    def made(self, holder: int, parent: bytes) -> None:
        """Set the clip of a holder's next release, since its release at this block was sent.

        A second call for the same block changes nothing.
        """
        clip = self._leads.get(parent, {}).pop(holder, None)
        if clip is not None:
            self._newest[holder] = clip


def _forget_oldest(*tables: dict[bytes, Any]) -> None:
    """Drop the oldest blocks of each table, so that it holds at most ``KEPT_PARENTS``."""
    for table in tables:
        while len(table) > KEPT_PARENTS:
            table.pop(next(iter(table)))


def finite(epsilon: float) -> float | None:
    """Return epsilon, or None if it is infinite.

    >>> finite(math.inf) is None
    True
    """
    return epsilon if math.isfinite(epsilon) else None
