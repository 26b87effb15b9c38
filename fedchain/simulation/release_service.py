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
from dataclasses import dataclass, field, replace

from fedchain.arrays import Vector
from fedchain.ledger.chain.block import Block
from fedchain.ledger.chain.message import Message, identity_of
from fedchain.ledger.chain.verdict_cache import VerdictCache
from fedchain.ledger.storage.recall import recorded_message
from fedchain.ledger.storage.store import Store
from fedchain.nodes.holders.adversary import adversary_in, under_names
from fedchain.nodes.holders.dropouts import DropoutOutcome, contributors, draw_dropouts
from fedchain.nodes.holders.holder_pool import ReleaseBatch
from fedchain.nodes.holders.release import Answer, ReleaseContext, ReleaseRequest, Withheld
from fedchain.privacy.budget import Budget
from fedchain.results import MessageRecord
from fedchain.simulation.run_blocks import RunBlocks
from fedchain.simulation.run_trail import trail_of_run
from fedchain.simulation.setup import RunSetup, deepest_fork
from fedchain.timing import Stopwatch

Ask = Callable[[Vector, Sequence[ReleaseRequest]], Iterator[ReleaseBatch]]
"""A function of the weights (d,) and the requests. It yields the releases in batches."""
KEPT_PARENTS = 8
"""Number of blocks whose messages are cached. Messages at an older block are computed again, with
the same bits."""


@dataclass
class Cohort:
    """What was computed at one block for all participants of the round."""

    answers: dict[int, Answer]
    """By participant: its message, or what is withheld until its colluders decide."""
    decided: dict[int, Message | None] = field(default_factory=dict)
    """The messages of participants whose colluders have decided."""


class ReleaseService:
    """Computes all releases of participants (holders or groups), and counts the privacy cost."""

    def __init__(
        self,
        *,
        setup: RunSetup,
        store: Store,
        ask: Ask,
        blocks: RunBlocks,
        verdict_cache: VerdictCache,
        watch: Stopwatch,
    ) -> None:
        """Start with nothing released."""
        self._setup, self._store, self._ask, self._blocks = setup, store, ask, blocks
        self._verdict_cache, self._watch = verdict_cache, watch
        self._chain_id, self._groups = setup.genesis.header.hash, setup.scenario.nodes.groups
        follows, keep = setup.mechanism.clip_follower is not None, deepest_fork(setup.scenario)
        self._seed = setup.scenario.seed
        self._adversary = adversary_in(setup.scenario, keep)
        self._cohorts: dict[bytes, Cohort] = {}
        self._trail = trail_of_run(setup, blocks.block)
        self._budgets: dict[int, Budget] = {}
        self._clips = Clips(setup.mechanism.terms.clip, keep) if follows else None
        # A message does not contain the next clip. So if clips follow a quantile, the releases are
        # computed again. Whoever only reads a ledger checks it: it asks for every release.
        self._recorded_rounds = 0 if follows or not store.writable else store.highest
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

    def carry(self, block: Block) -> None:
        """Note a block that leaves its sender: its messages set the next clips of their holders."""
        if self._clips is not None:
            self._clips.carry(block)

    def attempt(self, participant: int, parent: bytes, round_: int, number: int) -> DropoutOutcome:
        """Draw which members of a group drop out of an attempt; without groups it never fails."""
        if self._groups is None:
            return DropoutOutcome()
        context = self._request(participant, parent, round_).context
        return draw_dropouts(self._groups, context, self._seed, number)

    def release(self, participant: int, parent: bytes, round_: int) -> tuple[Message, ...]:
        """Return the messages of a participant, and add their records to ``released``.

        Args:
            participant: a holder or group of the round's cohort.
            parent: hash of the block whose weights the participant used, 32 bytes.
            round_: the height of the block that may carry the messages.

        Returns:
            One message for each name of the participant; no message if the release is not finite.
        """
        request, message = self._request(participant, parent, round_), None
        members, adversary = self._members_behind(request), self._adversary
        attacks = adversary.listen(members, parent, round_) if adversary else set()
        if round_ <= self._recorded_rounds:
            identity = identity_of(request.identity.public_key)
            message = recorded_message(self._store, parent, identity)
        message = message or self._message(participant, parent, round_)
        if message is None:
            return ()
        messages: tuple[Message, ...] = (message,)
        attack = adversary.colluders.label(attacks) if adversary else ""
        if adversary and attacks:
            names = adversary.colluders.names_of(participant, round_)
            messages = tuple(under_names(message, names, self._setup.secret, participant))
        elif adversary:
            adversary.hear(participant, parent, round_)
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
        secret = self._setup.secret
        if self._adversary is not None:
            members = self._setup.scenario.nodes.members_of(participant)
            secret = self._adversary.colluders.secret_of(secret, members, round_)
        context = ReleaseContext(
            secret=secret,
            chain_id=self._chain_id,
            parent=parent,
            round=round_,
            holder=participant,
        )
        clip = self._clips.at(participant, parent) if self._clips is not None else None
        return ReleaseRequest(context, self._setup.identities.of(participant, round_), clip)

    def _message(self, participant: int, parent: bytes, round_: int) -> Message | None:
        """Return a participant's message at a block; None if the release is not finite.

        The first call at a block computes the messages of the whole cohort of the round, since the
        last bits of a gradient may depend on who is computed together.
        """
        if parent not in self._cohorts or participant not in self._cohorts[parent].answers:
            members = sorted(self._setup.sampling.holders_of(round_))
            asked = [self._request(each, parent, round_) for each in members]
            answers = dict(zip(members, self._compute(parent, asked), strict=True))
            self._cohorts[parent] = Cohort(answers)
            while len(self._cohorts) > KEPT_PARENTS:
                self._cohorts.pop(next(iter(self._cohorts)))
        cohort = self._cohorts[parent]
        answer = cohort.answers[participant]
        if isinstance(answer, Withheld):
            if participant not in cohort.decided:
                self._decide(participant, cohort, parent, round_)
            return cohort.decided.pop(participant)
        if self._adversary is None or not self._adversary.colluders.see_others(round_):
            del cohort.answers[participant]  # it is large and rarely needed again
        return answer

    def _decide(self, participant: int, cohort: Cohort, parent: bytes, round_: int) -> None:
        """Let the adversaries behind a participant decide, and sign what their holders send."""
        state = self._blocks.state(parent)
        assert self._adversary is not None, "only colluders withhold a release"
        sent = self._adversary.decide(participant, cohort.answers, parent=parent, state=state)
        asked = [replace(self._request(k, parent, round_), sent=each) for k, each in sent.items()]
        for k, message in zip(sent, self._compute(parent, asked), strict=True):
            assert not isinstance(message, Withheld), "they have decided"
            cohort.decided[k] = message

    def _compute(self, parent: bytes, asked: Sequence[ReleaseRequest]) -> list[Answer]:
        """Compute messages together; check a batch of them while the next batch is computed."""
        if self._trail is not None:
            last = self._trail.at(parent)
            asked = [replace(each, last=last.get(each.context.holder)) for each in asked]
        found: list[Answer] = []
        clips: list[float] = []
        seconds: Counter[str] = Counter()
        began = time.perf_counter()
        with self._watch("gradients"):
            for batch in self._ask(self._blocks.state(parent).weights, asked):
                found += batch.messages
                clips += batch.clips
                seconds.update(batch.seconds)
                sent = [message for message in batch.messages if isinstance(message, Message)]
                self._verdict_cache.check_ahead(sent, self._setup.rules, self._chain_id)
        self._watch.share("gradients", time.perf_counter() - began, seconds)
        if self._clips is not None:
            for request, message, clip in zip(asked, found, clips, strict=True):
                if isinstance(message, Message):
                    self._clips.lead(message, request.context.holder, clip)
        return found


class Clips:
    """The clips of holders, if clips follow a quantile: each message sets its holder's next clip.

    The clip at a block follows from the messages that the blocks below it and the block itself
    carry. Messages that no block of this branch carries have no effect. In the example, holder 3
    uses clip 1.0 at genesis and clip 0.9 at a block with its message.

    >>> from types import SimpleNamespace as Record
    >>> message, header = Record(id=b"m", round=1), Record(hash=b"1", parent=b"0", height=1)
    >>> clips = Clips(1.0, keep=16)
    >>> clips.lead(message, 3, 0.9)
    >>> clips.carry(Record(header=header, messages=[message]))
    >>> clips.at(3, b"0"), clips.at(3, b"1"), clips.at(4, b"1")
    (1.0, 0.9, 1.0)
    """

    def __init__(self, first: float, keep: int) -> None:
        """Start all holders with the same clip; no fork is deeper than ``keep`` blocks."""
        self._first, self._keep = first, keep
        self._leads: dict[bytes, tuple[int, int, float]] = {}
        self._after: dict[bytes, tuple[int, dict[int, float]]] = {}

    def at(self, holder: int, parent: bytes) -> float:
        """Return the clip for a holder's release at a block."""
        return self._clips_after(parent).get(holder, self._first)

    def lead(self, message: Message, holder: int, clip: float) -> None:
        """Note the clip that a holder uses after a block that carries this message."""
        self._leads[message.id] = message.round, holder, clip

    def carry(self, block: Block) -> None:
        """Take in a block after its parent; a second call for the same block changes nothing."""
        name, height = block.header.hash, block.header.height
        if name in self._after:
            return
        led = [self._leads[each.id] for each in block.messages if each.id in self._leads]
        clips = {holder: clip for _, holder, clip in led}
        self._after[name] = height, {**self._clips_after(block.header.parent), **clips}
        oldest = height - self._keep
        while self._after[first := next(iter(self._after))][0] < oldest:
            del self._after[first]
        while self._leads and self._leads[first := next(iter(self._leads))][0] < oldest:
            del self._leads[first]

    def _clips_after(self, block: bytes) -> dict[int, float]:
        return self._after[block][1] if block in self._after else {}


def finite(epsilon: float) -> float | None:
    """Return epsilon, or None if it is infinite.

    >>> finite(math.inf) is None
    True
    """
    return epsilon if math.isfinite(epsilon) else None
