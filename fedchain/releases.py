"""What the data holders of a run say: computed together, recalled, attacked and counted."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence

from fedchain.arrays import Vector
from fedchain.ledger.library import Library
from fedchain.ledger.message import Message, identity_of, message_id
from fedchain.ledger.rules import chain_id_of
from fedchain.ledger.state import State
from fedchain.ledger.store import Store
from fedchain.nodes.attendance import Attendance, attendance_of, behind
from fedchain.nodes.cohort import Cohort
from fedchain.nodes.release import Occasion
from fedchain.nodes.speakers import Asked, Spoken
from fedchain.nodes.sybils import under_names
from fedchain.observer import Released, finite
from fedchain.privacy.budget import Budget
from fedchain.privacy.clips import Clips
from fedchain.timing import Stopwatch
from fedchain.world import World

Ask = Callable[[Vector, Sequence[Asked]], Iterator[Spoken]]
"""(weights (d,), holders) to what they say, some of them at a time."""


class Releases:
    """Every release of a run, of whichever holder, and what it has cost."""

    def __init__(
        self,
        world: World,
        store: Store,
        ask: Ask,
        state: Callable[[bytes], State],
        library: Library,
        watch: Stopwatch,
    ) -> None:
        """Begin with nothing said.

        Args:
            world: the parts.
            store: the ledger on disk; what an interrupted run has said is taken from it.
            ask: computes what several holders say at the same weights.
            state: block to the state after it.
            library: checks messages while others are still computed.
            watch: counts wall time by stage.
        """
        self._world, self._store, self._ask, self._state = world, store, ask, state
        self._library, self._watch = library, watch
        self._chain_id = chain_id_of(world.genesis)
        self._cohort = Cohort(self._hear)
        self._budgets: dict[int, Budget] = {}
        follows = world.mechanism.clip_follower is not None
        self._clips = Clips(world.mechanism.terms.clip) if follows else None

    @property
    def counts(self) -> dict[int, int]:
        """Releases so far of every holder that has been asked, forks included."""
        return {holder: budget.releases for holder, budget in self._budgets.items()}

    def budget(self, holder: int) -> Budget:
        """Return what a holder has left to say."""
        return self._budgets.setdefault(holder, Budget(self._world.mechanism))

    def begin(self, holder: int, parent: bytes, round_: int) -> None:
        """Note that a holder computes its gradient now: those who do are computed together."""
        self._cohort.expect(self._asked(holder, parent, round_))

    def attend(self, holder: int, parent: bytes, round_: int, attempt: int) -> Attendance:
        """Return how an attempt at a message goes, which only a group can fail at."""
        occasion = self._asked(holder, parent, round_).occasion
        return attendance_of(self._world.scenario.nodes.groups, occasion, attempt)

    def of(
        self, holder: int, parent: bytes, round_: int
    ) -> tuple[tuple[Message, ...], list[Released]]:
        """Return what a holder sends, and what the simulator knows of each message.

        Args:
            holder: who has begun at this parent.
            parent: the block whose weights it used, 32 bytes.
            round_: the height of the block that may carry it.

        Returns:
            Its messages, under each of its names; none if it has nothing to say.
        """
        asked = self._asked(holder, parent, round_)
        self._cohort.close(asked)  # before looking: who is asked together must not depend on it
        message = self._recorded(asked) or self._cohort.message(asked)
        if message is None:
            return (), []
        if self._clips is not None:
            self._clips.made(holder, parent)
        byzantine, seed = self._world.byzantine, self._world.scenario.seed
        members = behind(self._world.scenario.nodes, asked.occasion)
        attack = byzantine.attacks_behind(members, round_)
        said = tuple(under_names(message, byzantine.names_of(holder, round_), seed, holder))
        count = self.budget(holder).releases + 1
        epsilon = finite(self._world.mechanism.epsilon_after(count))
        cost = count, epsilon, len(members)
        return said, [
            Released(holder, message_id(m), parent, round_, m.norm, attack, *cost) for m in said
        ]

    def _asked(self, holder: int, parent: bytes, round_: int) -> Asked:
        occasion = Occasion(self._world.scenario.seed, self._chain_id, parent, round_, holder)
        clip = self._clips.at(holder, parent) if self._clips is not None else None
        return Asked(occasion, self._world.identities.of(holder, round_), clip)

    def _hear(self, parent: bytes, group: Sequence[Asked]) -> list[Message | None]:
        """Let holders speak together; what they say is checked while the others still compute."""
        heard: list[Message | None] = []
        seconds: Counter[str] = Counter()
        began = time.perf_counter()
        with self._watch("gradients"):
            for spoken in self._ask(self._state(parent).weights, group):
                if self._clips is not None:
                    those = group[len(heard) : len(heard) + len(spoken.clips)]
                    for each, clip in zip(those, spoken.clips, strict=True):
                        self._clips.lead(each.occasion.holder, parent, clip)
                heard += spoken.messages
                seconds.update(spoken.seconds)
                said = [message for message in spoken.messages if message is not None]
                self._library.check_ahead(said, self._world.rules, self._chain_id)
        self._watch.share("gradients", time.perf_counter() - began, seconds)
        return heard

    def _recorded(self, asked: Asked) -> Message | None:
        """Return what the ledger of an interrupted run has from this holder."""
        if asked.occasion.round > self._store.highest or self._clips is not None:
            return None  # no message says where its holder's clip went: it is computed again
        parent, identity = asked.occasion.parent, identity_of(asked.identity.public_key)
        return self._store.message_by_identity(parent, identity)
