"""Replay: messages computed again from scenario, data and secret, beside those in the blocks."""

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
"""Part of a message's largest entry by which rounding may move any entry, beside one step of the
integers in which a direction is stored."""


@dataclass
class Replay:
    """Stands before the engine of a play: it takes messages from the ledger, and compares them.

    A message that no block has is computed with its whole cohort, since last bits of a gradient
    depend on who is computed together. The play goes on with what the ledger has, so that the last
    bits of another processor do not add up: each message is judged at the weights of its block.
    """

    everything: bool
    """Whether to compute every message again, also those that the ledger has."""
    compared: int = 0
    """Number of messages of the ledger that were computed again."""
    equal: int = 0
    """Number of them that are the same, bit for bit."""
    farthest: float = 0.0
    """Largest distance of a message from what was computed, in parts of the latter's norm."""
    least_cosine: float = 1.0
    """Least cosine between a message and what was computed."""
    first: str = ""
    """Where the first message stands that is not the same bit for bit."""
    wrong: str = ""
    """The first message that differs by more than rounding, and by how much."""
    _seen: set[bytes] = field(default_factory=set)

    def of(self, store: Store, ask: Ask) -> Ask:
        """Return the function that a simulation asks for the releases at given weights."""

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
        """Return the message of the ledger after the comparison, or what only was computed."""
        if there is None or isinstance(here, Withheld):
            return here
        if there.declaration.noise_step != request.context.noise_step:
            return here  # it answered another block first, and is asked again with its noise then
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
        """Note how far a message of the ledger is from the one that was computed."""
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
