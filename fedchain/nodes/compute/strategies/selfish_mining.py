"""Selfish mining: a secret branch that is published only when the public one comes close."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Annotated

from pydantic import Field

from fedchain.ledger.chain.block import Block
from fedchain.nodes.compute.strategy import Place, Scene, Strategy, strategies
from fedchain.nodes.payloads import Send
from fedchain.randomness import stream

AFTER_S = 0.002
"""Extra delay of the attacker's block, simulated seconds. In a race some nodes get it at once. To
the others it is sent this long after the rival block has had time to arrive everywhere, so that the
two blocks never arrive in the same millisecond."""


@dataclass(frozen=True)
class Lead:
    """The state of the attacker, as Eyal and Sirer define it."""

    blocks: int = 0
    """Number of secret blocks above the public branch."""
    tie: bool = False
    """Whether the attacker's published block races with an honest block: state 0' of the paper."""


def after_own(lead: Lead) -> tuple[Lead, int]:
    """Return the state after the attacker has found a block, and how many blocks it publishes.

    If two blocks race, it publishes the new block. Otherwise it keeps the new block secret.

    >>> after_own(Lead(0, tie=True))
    (Lead(blocks=0, tie=False), 1)
    """
    return (Lead(), 1) if lead.tie else (Lead(lead.blocks + 1), 0)


def after_public(lead: Lead) -> tuple[Lead, int]:
    """Return the state after the public branch has grown, and how many blocks are now published.

    With a lead of one, the attacker publishes its block, and the two blocks race. With a lead of
    two, it publishes both, and the block of the others becomes stale. With a longer lead it
    publishes one block, which costs nothing and divides the other nodes.

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
    """One attacker: it tracks its lead and the height of the public branch."""

    def __init__(self, place: Place, gamma: float) -> None:
        self.counters: Counter[str] = Counter()
        self._place, self._gamma = place, gamma
        self._lead, self._public = Lead(), 0

    def publishes(self, scene: Scene) -> list[Send]:
        """Return what to publish after the attacker's own block, or after another node's block."""
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
        """Send the attacker's block; a share gamma of the honest hash power receives it first.

        The finder of the rival block always has the rival block first. So each of the
        other nodes is drawn with a higher probability, at most 1, to reach the share gamma in
        total.
        """
        place = self._place
        others = {n: s for n, s in place.shares.items() if n != place.node}
        reachable = sum(share for node, share in others.items() if node != rival)
        chance = self._gamma * sum(others.values()) / reachable if reachable else 0.0
        draws = stream(place.seed, "rushing", block.header.hash).random(len(others))
        first = [n for n, draw in zip(sorted(others), draws, strict=True) if draw < chance]
        rushed = [Send(block, node) for node in first if node != rival]
        return [*rushed, Send(block, "everybody", place.slowest_s + AFTER_S)]


@strategies
def selfish_mining(place: Place, *, gamma: Annotated[float, Field(ge=0, le=1)] = 0.5) -> Strategy:
    """Keep blocks secret, and publish them just in time to make the blocks of others stale.

    Eyal and Sirer call the attacker's share of the main chain its revenue. The revenue exceeds
    the attacker's share of the hash power if this share is above 1/3 at gamma 0, or above 1/4 at
    gamma 1/2. With a learning task holders do not see a secret block and send no messages for it,
    so the lead does not grow beyond one.

    Args:
        place: the node's place in the network, with the hash power and address of each node.
        gamma: share of the honest hash power that receives the attacker's block first when two
            blocks race, 0 to 1; the finder of the rival block never does.

    Reference:
        Eyal and Sirer, "Majority is not enough: Bitcoin mining is vulnerable", 2014.
    """
    miner = SelfishMiner(place, gamma)
    return Strategy(publishes=miner.publishes, hears_at_once=True, counters=miner.counters)
