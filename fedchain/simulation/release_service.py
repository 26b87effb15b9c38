"""Release service: it computes every release of a run once, and counts what it costs.

The simulation asks it when a gradient is due. It holds the privacy budgets, draws who drops out of
a group, computes the releases of a cohort together on the engine, and takes from the ledger what
an interrupted run has released already.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from fedchain.arrays import Vector
from fedchain.ledger.chain.message import Message, identity_of, message_id
from fedchain.ledger.chain.rules import chain_id_of
from fedchain.ledger.chain.state import State
from fedchain.ledger.chain.verdict_cache import VerdictCache
from fedchain.ledger.storage.store import Store
from fedchain.nodes.holders.dropouts import DropoutOutcome, contributors, draw_dropouts
from fedchain.nodes.holders.holder_pool import ReleaseBatch, ReleaseRequest
from fedchain.nodes.holders.release import ReleaseContext
from fedchain.nodes.holders.sybils import under_names
from fedchain.privacy.budget import Budget
from fedchain.simulation.recorder import Released, finite
from fedchain.simulation.setup import RunSetup
from fedchain.timing import Stopwatch

Ask = Callable[[Vector, Sequence[ReleaseRequest]], Iterator[ReleaseBatch]]
"""(weights (d,), requests) to the releases of the requests, some of them at a time."""
Compute = Callable[[bytes, Sequence[ReleaseRequest]], Sequence[Message | None]]
"""(parent, requests) to the message of each; None where there is no direction to send."""
KEPT_PARENTS = 8
"""Blocks whose cohorts and clips are remembered: forks older than this ask for no new release."""


class ReleaseService:
    """Every release of a run, of whichever participant (a holder or a group), and its cost."""

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
        """Start with nothing released.

        Args:
            setup: the parts.
            store: the ledger on disk; what an interrupted run has released is taken from it.
            ask: computes the releases of several participants at the same weights.
            state: block to the state after it.
            verdict_cache: checks messages while others are still computed.
            watch: counts wall time by stage.
        """
        self._setup, self._store, self._ask, self._state = setup, store, ask, state
        self._verdict_cache, self._watch = verdict_cache, watch
        self._chain_id = chain_id_of(setup.genesis)
        self._cohort = Cohort(self._compute)
        self._budgets: dict[int, Budget] = {}
        follows = setup.mechanism.clip_follower is not None
        self._clips = Clips(setup.mechanism.terms.clip) if follows else None

    @property
    def counts(self) -> dict[int, int]:
        """Releases so far of every participant that was asked, forks included."""
        return {participant: budget.releases for participant, budget in self._budgets.items()}

    def budget(self, participant: int) -> Budget:
        """Return what a participant may still release."""
        return self._budgets.setdefault(participant, Budget(self._setup.mechanism))

    def begin(self, participant: int, parent: bytes, round_: int) -> None:
        """Note that a participant computes its gradient now: those who do are computed together."""
        self._cohort.expect(self._request(participant, parent, round_))

    def attempt(self, participant: int, parent: bytes, round_: int, number: int) -> DropoutOutcome:
        """Return who drops out of an attempt at a message; only a group can fail at it."""
        context = self._request(participant, parent, round_).context
        return draw_dropouts(self._setup.scenario.nodes.groups, context, number)

    def release(
        self, participant: int, parent: bytes, round_: int
    ) -> tuple[tuple[Message, ...], list[Released]]:
        """Return what a participant sends, and what the simulator knows of each message.

        Args:
            participant: a holder or group that has begun at this parent.
            parent: the block whose weights it used, 32 bytes.
            round_: the height of the block that may carry it.

        Returns:
            Its messages, one under each of its names; none if its gradient has no direction.
        """
        request = self._request(participant, parent, round_)
        self._cohort.close(
            request
        )  # before looking: who is computed together must not depend on it
        message = self._recorded(request) or self._cohort.message(request)
        if message is None:
            return (), []
        if self._clips is not None:
            self._clips.made(participant, parent)
        byzantine, seed = self._setup.byzantine, self._setup.scenario.seed
        members = contributors(self._setup.scenario.nodes, request.context)
        attack = byzantine.attacks_behind(members, round_)
        names = byzantine.names_of(participant, round_)
        messages = tuple(under_names(message, names, seed, participant))
        count = self.budget(participant).releases + 1
        cost = count, finite(self._setup.mechanism.epsilon_after(count)), len(members)
        return messages, [
            Released(participant, message_id(m), parent, round_, m.norm, attack, *cost)
            for m in messages
        ]

    def _request(self, participant: int, parent: bytes, round_: int) -> ReleaseRequest:
        context = ReleaseContext(
            seed=self._setup.scenario.seed,
            chain_id=self._chain_id,
            parent=parent,
            round=round_,
            holder=participant,
        )
        clip = self._clips.at(participant, parent) if self._clips is not None else None
        return ReleaseRequest(context, self._setup.identities.of(participant, round_), clip)

    def _compute(self, parent: bytes, group: Sequence[ReleaseRequest]) -> list[Message | None]:
        """Compute releases together; check their messages while the others are still computed."""
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

    def _recorded(self, request: ReleaseRequest) -> Message | None:
        """Return the message that the ledger of an interrupted run has of this participant."""
        if request.context.round > self._store.highest or self._clips is not None:
            return None  # no message says where its holder's clip went: it is computed again
        parent, identity = request.context.parent, identity_of(request.identity.public_key)
        return self._store.message_by_identity(parent, identity)


class Cohort:
    """The participants that wait at the same block: the first one due has all of them computed.

    Who is computed together follows from the events alone, not from what a ledger has already: a
    run that goes on after an interruption computes the same participants together again.
    """

    def __init__(
        self, compute: Callable[[bytes, Sequence[ReleaseRequest]], Sequence[Message | None]]
    ) -> None:
        """Start with nobody waiting.

        Args:
            compute: makes the messages of several participants at one block.
        """
        self._compute = compute
        self._waiting: dict[bytes, dict[int, ReleaseRequest]] = {}
        self._together: dict[bytes, dict[int, tuple[ReleaseRequest, ...]]] = {}
        self._messages: dict[bytes, dict[int, Message | None]] = {}

    def expect(self, request: ReleaseRequest) -> None:
        """Note that a participant begins to work at its block."""
        context = request.context
        self._waiting.setdefault(context.parent, {})[context.holder] = request
        _forget_oldest(self._waiting, self._together, self._messages)

    def close(self, request: ReleaseRequest) -> tuple[ReleaseRequest, ...]:
        """Return who is computed together with this participant; who begins later is not."""
        participant, parent = request.context.holder, request.context.parent
        together = self._together.setdefault(parent, {})
        if participant not in together:
            # Many forks may have pushed the parent out: then the participant is alone.
            waiting = {**self._waiting.pop(parent, {}), participant: request}
            group = tuple(waiting[number] for number in sorted(waiting))
            together.update(dict.fromkeys(waiting, group))
        return together[participant]

    def message(self, request: ReleaseRequest) -> Message | None:
        """Return the message of a participant at its block; None if it has no direction."""
        participant, parent = request.context.holder, request.context.parent
        group = self.close(request)
        messages = self._messages.setdefault(parent, {})
        if participant not in messages:
            made = self._compute(parent, group)
            messages.update({a.context.holder: m for a, m in zip(group, made, strict=True)})
        return messages.pop(participant)  # it is rarely asked for again, and large


class Clips:
    """The clips of holders that follow a quantile: a release with one clip leads to the next.

    A clip moves on when its release is made, not when it is computed: what was computed for a
    block that was left again was never seen, and counts for nothing.

    >>> clips = Clips(1.0)
    >>> clips.at(3, b"parent")
    1.0
    >>> clips.lead(3, b"parent", 0.9)
    >>> clips.made(3, b"parent")
    >>> clips.at(3, b"parent"), clips.at(3, b"child"), clips.at(4, b"child")
    (1.0, 0.9, 1.0)
    """

    def __init__(self, first: float) -> None:
        """Let all holders start with the same clip."""
        self._first = first
        self._newest: dict[int, float] = {}
        self._used: dict[bytes, dict[int, float]] = {}
        self._leads: dict[bytes, dict[int, float]] = {}

    def at(self, holder: int, parent: bytes) -> float:
        """Return the clip of a holder's release at a block: the same one when asked again."""
        newest = self._newest.get(holder, self._first)
        clip = self._used.setdefault(parent, {}).setdefault(holder, newest)
        _forget_oldest(self._used, self._leads)
        return clip

    def lead(self, holder: int, parent: bytes, clip: float) -> None:
        """Note the clip that a release at this block leads to."""
        self._leads.setdefault(parent, {})[holder] = clip

    def made(self, holder: int, parent: bytes) -> None:
        """Move a holder's clip on: its release at this block was made; made again, it stays."""
        clip = self._leads.get(parent, {}).pop(holder, None)
        if clip is not None:
            self._newest[holder] = clip


def _forget_oldest(*tables: dict[bytes, Any]) -> None:
    for table in tables:
        while len(table) > KEPT_PARENTS:
            table.pop(next(iter(table)))
