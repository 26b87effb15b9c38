"""Equivocation: two blocks of one maker on one parent, each for half of the nodes."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

from fedchain.events import Send
from fedchain.ledger.chain.block import Block
from fedchain.ledger.chain.chain import Chain
from fedchain.nodes.compute.behaviour import Draft, Scene, Strategy, at_once
from fedchain.nodes.compute.strategies.strategy import Place, strategies


class Equivocator:
    """One attacker: its first block waits for the second."""

    def __init__(self, place: Place) -> None:
        self.deeds: Counter[str] = Counter()
        self._place = place
        self._first: Block | None = None

    def works_on(self, chain: Chain) -> bytes:
        """Work on the parent of the first block once more."""
        return chain.head if self._first is None else self._first.header.parent

    def writes(self, draft: Draft) -> Draft:
        """Make the second block another one: a millisecond later."""
        if self._first is None or draft.parent != self._first.header.parent:
            return draft
        return replace(draft, time_ms=max(draft.time_ms, self._first.header.time_ms + 1))

    def publishes(self, scene: Scene) -> list[Send]:
        """Show both blocks together, or the first alone when another block has come."""
        if not scene.own:
            self._first = None
            return at_once(scene)
        if self._first is None:
            self._first = scene.block
            return []
        self._first = None
        self.deeds["pairs of blocks"] += 1
        pair = [send.payload for send in at_once(scene)]
        others = [node for node in sorted(self._place.shares) if node != self._place.node]
        halves = [Send(pair[place % 2], node) for place, node in enumerate(others)]
        return [*halves, *(Send(block, "everybody") for block in pair)]


@strategies
def equivocation(place: Place) -> Strategy:
    """Find two blocks on one parent, and give each to half of the compute nodes first.

    Each costs its own work, so the pair is late; both are valid, one of them ends as stale. That
    one maker has signed two blocks on one parent is kept as evidence by all who see both.

    Args:
        place: who the others are.
    """
    liar = Equivocator(place)
    return Strategy(
        works_on=liar.works_on,
        writes=liar.writes,
        again=True,
        publishes=liar.publishes,
        deeds=liar.deeds,
    )
