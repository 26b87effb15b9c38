"""Release service: it computes the releases of a run, and counts their privacy cost."""

from __future__ import annotations

import math
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache

from fedchain.arrays import Vector
from fedchain.errors import FedchainError
from fedchain.ledger.chain.block import Block
from fedchain.ledger.chain.message import Message, identity_of
from fedchain.ledger.chain.verdict_cache import VerdictCache
from fedchain.ledger.storage.recall import recorded_message
from fedchain.ledger.storage.store import Store
from fedchain.nodes.holders.adversary import adversary_in, under_names
from fedchain.nodes.holders.dropouts import DropoutOutcome, contributors, draw_dropouts
from fedchain.nodes.holders.holder_pool import ReleaseBatch
from fedchain.nodes.holders.release import Answer, ReleaseContext, ReleaseRequest, Withheld
from fedchain.privacy.budget import Budget, NoBudget
from fedchain.privacy.local_steps import releases_in_message
from fedchain.results import MessageRecord
from fedchain.simulation.clips import Clips
from fedchain.simulation.run_blocks import RunBlocks
from fedchain.simulation.run_trail import trail_of_run
from fedchain.simulation.setup import RunSetup, deepest_fork
from fedchain.timing import Stopwatch
from fedchain.transition import agreed_rule

Ask = Callable[[Vector, Sequence[ReleaseRequest]], Iterator[ReleaseBatch]]
"""A function (weights, requests) that yields the releases in batches."""
KEPT_PARENTS = 8
"""Number of blocks whose messages are cached."""


@dataclass
class Cohort:
    """The releases of all participants of a round at one block."""

    answers: dict[int, Answer]
    """The message or the withheld release of each participant, by participant id."""
    steps: dict[int, int]
    """The index of each answer's noise in the noise schedule, by participant id."""
    decided: dict[int, Message | None] = field(default_factory=dict)
    """The message that colluders have decided to send, by participant id."""


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
        # The attackers know the rule with all that the scenario leaves open.
        deployed = setup.scenario.model_copy(update={"aggregation": agreed_rule(setup.rules)})
        self._adversary = adversary_in(deployed, keep)
        self._cohorts: dict[bytes, Cohort] = {}
        # Many participants have made the same number of releases.
        self._epsilon_bound = lru_cache(maxsize=4096)(setup.mechanism.epsilon_bound)
        self._trail = trail_of_run(setup, blocks.block)
        self._root = setup.scenario.nodes.participants if setup.scenario.rooted else None
        self._each = releases_in_message(setup.mechanism, setup.scenario.local)
        self._budgets: dict[int, Budget] = {}
        self._clips = Clips(setup.mechanism.terms.clip, keep) if follows else None
        # A message does not contain the next clip. So if clips follow a quantile, the releases are
        # computed again. A read-only store is being checked, so every release is computed again.
        self._recorded_rounds = 0 if follows or not store.writable else store.highest
        self.released: list[MessageRecord] = []
        """Records of the messages sent since the recorder last emptied the list. A message is
        recorded as late until a block carries the message."""
        self.worst: tuple[int, float | None] = 0, None
        """The largest number of releases of one participant so far, and the total epsilon of these
        releases, which is None if infinite."""

    @property
    def counts(self) -> dict[int, int]:
        """Number of releases by participant id, including releases on forks."""
        spent = self._budgets.items()
        return {participant: budget.releases for participant, budget in spent if budget.releases}

    def budget(self, participant: int) -> Budget:
        """Return the privacy budget of a participant."""
        if participant not in self._budgets:
            kind = NoBudget if participant == self._root else Budget
            self._budgets[participant] = kind(self._setup.mechanism, self._each)
        return self._budgets[participant]

    def carry(self, block: Block) -> None:
        """Update the holders' clips after a block, if clips follow a quantile."""
        if self._clips is not None:
            self._clips.carry(block)

    def attempt(self, participant: int, parent: bytes, round_: int, number: int) -> DropoutOutcome:
        """Draw which members of a group drop out of attempt ``number``, counted from 1.

        Without groups nobody drops out, and the public root never does.
        """
        if self._groups is None or participant == self._root:
            return DropoutOutcome()
        context = self._request(participant, parent, round_).context
        return draw_dropouts(self._groups, context, self._seed, number)

    def release(self, participant: int, parent: bytes, round_: int) -> tuple[Message, ...]:
        """Return the messages of a participant, and add their records to ``released``.

        Args:
            participant: id of a holder or group in the round's cohort.
            parent: hash of the block whose weights the participant uses, 32 bytes.
            round_: height of the block that may carry the messages.

        Returns:
            One message, or one for each name of a Sybil attacker; empty if the release is not
            finite.

        Raises:
            FedchainError: a message in the store has other noise than the privacy budget allows.
        """
        request = self._request(participant, parent, round_)
        members, adversary = self._members_behind(request), self._adversary
        attacks = adversary.listen(members, parent, round_) if adversary else set()
        sender, known = identity_of(request.identity.public_key), round_ <= self._recorded_rounds
        message = recorded_message(self._store, parent, sender) if known else None
        message = message or self._message(participant, parent, round_)
        if message is None:
            return ()
        if message.declaration.noise_step != request.context.noise_step:
            raise FedchainError(_other_noise(message, request.context))
        messages: tuple[Message, ...] = (message,)
        attack = adversary.colluders.label(attacks) if adversary else ""
        if adversary and attacks:
            names = adversary.colluders.names_of(participant, round_)
            messages = tuple(under_names(message, names, self._setup.secret, participant))
        elif adversary:
            adversary.hear(participant, parent, round_)
        epsilon, count = None, self.budget(participant).releases_with(parent)
        if participant != self._root:
            with self._watch("accounting"):
                epsilon = finite(self._epsilon_bound(count))
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
        """Return the ids of the holders whose gradients are in a participant's message."""
        if request.context.holder == self._root:
            return ()
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
            noise_step=self.budget(participant).noise_step(parent, round_) or 0,
        )
        clip = self._clips.at(participant, parent) if self._clips is not None else None
        return ReleaseRequest(context, self._setup.identities.of(participant, round_), clip)

    def _message(self, participant: int, parent: bytes, round_: int) -> Message | None:
        """Return a participant's message at a block; None if the release is not finite."""
        # The whole cohort is computed, since the last bits of a gradient may depend on who is
        # computed together. It is computed again if a release elsewhere has changed the noise.
        cohort = self._cohorts.get(parent)
        if (
            cohort is None
            or participant not in cohort.answers
            or cohort.steps[participant] != self.budget(participant).noise_step(parent, round_)
        ):
            members = sorted(self._setup.sampling.holders_of(round_))
            asked = [self._request(each, parent, round_) for each in members]
            answers = dict(zip(members, self._compute(parent, asked), strict=True))
            steps = {each.context.holder: each.context.noise_step for each in asked}
            cohort = self._cohorts[parent] = Cohort(answers, steps)
            while len(self._cohorts) > KEPT_PARENTS:
                self._cohorts.pop(next(iter(self._cohorts)))
        answer = cohort.answers[participant]
        if isinstance(answer, Withheld):
            if participant not in cohort.decided:
                self._decide(participant, cohort, parent, round_)
            return cohort.decided.pop(participant)
        if self._adversary is None or not self._adversary.colluders.see_others(round_):
            del cohort.answers[participant]  # it is large and rarely needed again
        return answer

    def _decide(self, participant: int, cohort: Cohort, parent: bytes, round_: int) -> None:
        """Let a participant's colluders decide what they send, and sign their messages."""
        state = self._blocks.state(parent)
        assert self._adversary is not None, "only colluders withhold a release"
        sent = self._adversary.decide(
            participant,
            cohort.answers,
            parent=parent,
            state=state,
            previous=lambda: self._blocks.block(parent).messages,
        )
        asked = []
        for k, each in sent.items():
            request = self._request(k, parent, round_)
            context = replace(request.context, noise_step=cohort.steps[k])
            asked.append(replace(request, context=context, sent=each))
        for k, message in zip(sent, self._compute(parent, asked), strict=True):
            assert not isinstance(message, Withheld), "they have decided"
            cohort.decided[k] = message

    def _compute(self, parent: bytes, asked: Sequence[ReleaseRequest]) -> list[Answer]:
        """Compute the messages of requests, and check finished messages in the meantime."""
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


def _other_noise(message: Message, due: ReleaseContext) -> str:
    return (
        f"ledger: message {message.id.hex()[:8]} of participant {due.holder} in round {due.round}: "
        f"noise_step: is {message.declaration.noise_step}; what the participant has spent allows "
        f"{due.noise_step}"
    )


def finite(epsilon: float) -> float | None:
    """Return epsilon, or None if epsilon is infinite.

    >>> finite(math.inf) is None
    True
    """
    return epsilon if math.isfinite(epsilon) else None
