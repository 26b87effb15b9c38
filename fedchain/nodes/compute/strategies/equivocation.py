"""Equivocation: a compute node sends two blocks on one parent, each to half of the nodes."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

from fedchain.ledger.chain.block import Block
from fedchain.ledger.chain.chain import Chain
from fedchain.nodes.compute.strategy import Draft, Place, Scene, Strategy, at_once, strategies
from fedchain.nodes.payloads import Send
from fedchain.registry import cites


class Equivocator:
    """One attacker that withholds its first block on a parent until it finds a second block."""

    def __init__(self, place: Place) -> None:
        self.counters: Counter[str] = Counter()
        self._place = place
        self._first: Block | None = None

    def works_on(self, chain: Chain) -> bytes:
        """Return the hash of the first block's parent, or of the head if no first block waits."""
        return chain.head if self._first is None else self._first.header.parent

    def writes(self, draft: Draft) -> Draft:
        """Return the draft; the second block gets a later time than the first block."""
        if self._first is None or draft.parent != self._first.header.parent:
            return draft
        return replace(draft, time_ms=max(draft.time_ms, self._first.header.time_ms + 1))

    def publishes(self, scene: Scene) -> list[Send]:
        """Return both blocks once both are found, or the first if another node's block arrives."""
        if not scene.own:
            self._first = None
            return at_once(scene)
        if self._first is None:
            self._first = scene.block
            return []
        self._first = None
        self.counters["pairs of blocks"] += 1
        pair = [send.payload for send in at_once(scene)]
        others = [node for node in sorted(self._place.shares) if node != self._place.node]
        halves = [Send(pair[place % 2], node) for place, node in enumerate(others)]
        return [*halves, *(Send(block, "everybody") for block in pair)]


@strategies
@cites()
def equivocation(place: Place) -> Strategy:
    """Find two blocks on one parent, and send each to half of the compute nodes first.

    Both blocks are valid, and one of them becomes stale. Every node that sees both blocks keeps
    them as evidence.

    Args:
        place: the node's place in the network, with the ids of the other compute nodes.
    """
    liar = Equivocator(place)
    return Strategy(
        works_on=liar.works_on,
        writes=liar.writes,
        again=True,
        publishes=liar.publishes,
        counters=liar.counters,
    )
