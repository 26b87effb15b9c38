"""Replay: compares messages in the ledger with those that scenario, data and secret lead to."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from fedchain.arrays import Vector
from fedchain.ledger.chain.message import Message, identity_of
from fedchain.ledger.storage.recall import recorded_message
from fedchain.ledger.storage.store import Store
from fedchain.nodes.holders.adversary import vectors_of
from fedchain.nodes.holders.holder_pool import ReleaseBatch
from fedchain.nodes.holders.release import Answer, ReleaseRequest, Withheld
from fedchain.simulation.release_service import Ask

ROUNDED = 1e-3
"""Largest change of an entry that counts as rounding, as a share of the message's largest entry.
One step of the stored integers is allowed in addition."""


@dataclass
class Replay:
    """Computes messages again, compares them with the ledger, and returns the ledger's messages."""

    # A message that no block has is computed with its whole cohort, since a gradient's last bits
    # depend on which gradients are computed together. All messages are computed at the weights of
    # the ledger, so that the rounding of another processor does not add up.
    everything: bool
    """Whether to compute all messages again; False: only those that the ledger lacks."""
    compared: int = 0
    """Number of messages in the ledger that were computed again."""
    equal: int = 0
    """Number of compared messages that are equal bit for bit."""
    farthest: float = 0.0
    """Largest distance between a message and the computed one, divided by the norm of the computed
    one."""
    least_cosine: float = 1.0
    """Least cosine between a message and the computed one."""
    first: str = ""
    """Round, participant and id of the first message that is not equal bit for bit."""
    wrong: str = ""
    """The first message that differs by more than rounding, and how; empty if none does."""
    _seen: set[bytes] = field(default_factory=set)

    def of(self, store: Store, ask: Ask) -> Ask:
        """Return a function that a simulation calls for the releases at given weights.

        ``ask`` is the function of the engine, which computes the releases.
        """

        def asked_for(weights: Vector, asked: Sequence[ReleaseRequest]) -> Iterator[ReleaseBatch]:
            recorded = [
                recorded_message(store, each.context.parent, identity_of(each.identity.public_key))
                for each in asked
            ]
            known = [message for message in recorded if message is not None]
            if len(known) == len(asked) and not self.everything:
                yield ReleaseBatch(tuple(known), {"ledger": 1.0})
                return
            rest = iter(zip(recorded, asked, strict=True))
            for batch in ask(weights, asked):
                pairs = zip(batch.messages, rest, strict=False)
                messages = tuple(self._judged(here, *there) for here, there in pairs)
                yield replace(batch, messages=messages)

        return asked_for

    def _judged(self, here: Answer, there: Message | None, request: ReleaseRequest) -> Answer:
        """Compare two messages; return the ledger's, or the computed one if the ledger has none."""
        if there is None or isinstance(here, Withheld):
            return here
        if there.declaration.noise_step != request.context.noise_step:
            return here  # the participant answered another block first, and is asked again later
        if there.id in self._seen:
            return there
        self._seen.add(there.id)
        self.compared += 1
        if here is not None and here.id == there.id:
            self.equal += 1
            return there
        context = request.context
        where = f"round {context.round}, participant {context.holder}, message {there.id.hex()[:8]}"
        self.first = self.first or where
        if here is None:
            self.wrong = self.wrong or f"{where}: what data and seed give is not finite"
            return there
        self._measure(there, here, where)
        return there

    def _measure(self, there: Message, here: Message, where: str) -> None:
        """Store how far a message of the ledger is from the computed one."""
        one, other = vectors_of([there, here], len(here.direction))
        lengths = np.linalg.norm(one), np.linalg.norm(other)
        distance = float(np.linalg.norm(one - other) / max(lengths[1], np.finfo(float).tiny))
        product = lengths[0] * lengths[1]
        cosine = float(one @ other / product) if product else float(lengths[0] == lengths[1])
        self.farthest = max(self.farthest, distance)
        self.least_cosine = min(self.least_cosine, cosine)
        step = max(each.norm * 2.0**-each.exponent for each in (there, here))
        most = step + ROUNDED * float(np.abs(other).max(initial=0.0))
        clips = there.declaration.clip, here.declaration.clip  # genesis agrees on all else
        moved = float(np.abs(one - other).max(initial=0.0))
        if moved > most or not math.isclose(*clips, rel_tol=ROUNDED):
            words = f"is {distance:.3g} of its length away, cosine {cosine:.3g}"
            self.wrong = self.wrong or f"{where}: {words}, clip {clips[0]:.3g} for {clips[1]:.3g}"
