"""Selfish mining: a secret branch is published only when the public branch comes close."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Annotated

from pydantic import Field

from fedchain.ledger.chain.block import Block
from fedchain.nodes.compute.strategy import Place, Scene, Strategy, strategies
from fedchain.nodes.payloads import Send
from fedchain.randomness import stream
from fedchain.registry import cites

AFTER_S = 0.002
"""In a race, the attacker sends its block to all nodes this many simulated seconds after the rival
block should have arrived everywhere. Only the nodes drawn by ``gamma`` get it at once."""


@dataclass(frozen=True)
class Lead:
    """The state of the attacker, as Eyal and Sirer define it."""

    blocks: int = 0
    """Number of secret blocks above the public branch."""
    tie: bool = False
    """Whether a published block of the attacker races with an honest block (state 0')."""


def after_own(lead: Lead) -> tuple[Lead, int]:
    """Return the state after the attacker has found a block, and the number of blocks to publish.

    In a race the attacker publishes the new block; otherwise the new block stays secret.

    >>> after_own(Lead(0, tie=True))
    (Lead(blocks=0, tie=False), 1)
    """
    return (Lead(), 1) if lead.tie else (Lead(lead.blocks + 1), 0)


def after_public(lead: Lead) -> tuple[Lead, int]:
    """Return the state after the public branch has grown, and the number of blocks to publish.

    With a lead of one block, the attacker publishes the block and starts a race. With a lead of two
    blocks, it publishes both. With a longer lead, it publishes one block.

    Reference:
        Eyal and Sirer, "Majority is not enough: Bitcoin mining is vulnerable", 2014, Algorithm 1.

    >>> after_public(Lead(2))
    (Lead(blocks=0, tie=False), 2)
    """
    if lead.blocks == 0:
        return Lead(), 0
    if lead.blocks == 1:
        return Lead(tie=True), 1
    return (Lead(), 2) if lead.blocks == 2 else (Lead(lead.blocks - 1), 1)


class SelfishMiner:
    """One attacker that tracks its lead and the height of the public branch."""

    def __init__(self, place: Place, gamma: float) -> None:
        self.counters: Counter[str] = Counter()
        self._place, self._gamma = place, gamma
        self._lead, self._public = Lead(), 0

    def publishes(self, scene: Scene) -> list[Send]:
        """Return the blocks to publish after a block of the attacker or of another node."""
        height = scene.block.header.height
        if scene.own:
            self.counters["blocks found"] += 1
            self._lead, count = after_own(self._lead)
        elif height <= self._public:
            return []  # a block below the public head changes nothing
        else:
            self._lead, count = after_public(self._lead)
        shown, scene.withheld[:count] = scene.withheld[:count], []
        if not scene.own:
            self._public = height
        self._public = max([self._public, *(block.header.height for block in shown)])
        self.counters["ties"] += self._lead.tie
        if scene.own or len(shown) != 1:
            return [Send(block, "everybody") for block in shown]
        return self._race(shown[0], self._place.makers.get(scene.block.header.address))

    def _race(self, block: Block, rival: int | None) -> list[Send]:
        """Return the attacker's block for a race, sent first to a share gamma of the hash power."""
        # The finder of the rival block always has the rival block first. So every other node is
        # drawn with a higher probability, at most 1, to reach the share gamma in total.
        place = self._place
        others = {n: s for n, s in place.shares.items() if n != place.node}
        reachable = sum(share for node, share in others.items() if node != rival)
        chance = self._gamma * sum(others.values()) / reachable if reachable else 0.0
        draws = stream(place.seed, "rushing", block.header.hash).random(len(others))
        first = [n for n, draw in zip(sorted(others), draws, strict=True) if draw < chance]
        rushed = [Send(block, node) for node in first if node != rival]
        return [*rushed, Send(block, "everybody", place.slowest_s + AFTER_S)]


@strategies
@cites("eyal2014")
def selfish_mining(place: Place, *, gamma: Annotated[float, Field(ge=0, le=1)] = 0.5) -> Strategy:
    """Keep blocks secret, and publish them just in time to make the blocks of others stale.

    With more than 1/3 of the hash power at gamma 0, or 1/4 at gamma 1/2, the attacker's share of
    the main chain exceeds its share of the hash power. In a learning task, holders send no messages
    for secret blocks, so the lead is at most one block.

    Args:
        place: the node's place in the network, with the hash power and address of each node.
        gamma: share of the honest hash power that receives the attacker's block first when two
            blocks race, 0 to 1.

    Reference:
        Eyal and Sirer, "Majority is not enough: Bitcoin mining is vulnerable", 2014.
    """
    miner = SelfishMiner(place, gamma)
    return Strategy(publishes=miner.publishes, hears_at_once=True, counters=miner.counters)
