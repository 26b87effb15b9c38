"""Selfish mining: a secret branch that is shown only when others come near it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Annotated

from pydantic import Field

from fedchain.events import Send
from fedchain.ledger.chain.block import Block, block_hash
from fedchain.nodes.compute.behaviour import Scene, Strategy
from fedchain.nodes.compute.strategies.strategy import Place, strategies
from fedchain.randomness import stream

AFTER_S = 0.002
"""A release that is not rushed leaves so long after the slowest way of the block that it
answers: it never arrives in the same millisecond."""


@dataclass(frozen=True)
class Lead:
    """Where the attacker stands: Eyal and Sirer's state."""

    blocks: int = 0
    """Secret blocks above the public branch."""
    tie: bool = False
    """Whether its published block and an honest one race: their state 0'."""


def after_own(lead: Lead) -> tuple[Lead, int]:
    """Return the state after an own block, and how many secret blocks are published.

    >>> after_own(Lead(0, tie=True))
    (Lead(blocks=0, tie=False), 1)
    """
    return (Lead(), 1) if lead.tie else (Lead(lead.blocks + 1), 0)


def after_public(lead: Lead) -> tuple[Lead, int]:
    """Return the state after the public branch has grown, and how many blocks are published.

    One block ahead: it is shown, and the race is on. Two ahead: both are shown, and the others'
    block is lost. More: one is shown, which costs nothing and splits the others.

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
    """One attacker: its state, and the height of the public branch."""

    def __init__(self, place: Place, gamma: float) -> None:
        self.deeds: Counter[str] = Counter()
        self._place, self._gamma = place, gamma
        self._lead, self._public = Lead(), 0

    def publishes(self, scene: Scene) -> list[Send]:
        """Decide what to show after an own block, or after one of the others."""
        height = scene.block.header.height
        if scene.own:
            self.deeds["blocks found"] += 1
            self._lead, count = after_own(self._lead)
        elif height <= self._public:
            return []  # a fork below the public head changes nothing
        else:
            self._lead, count = after_public(self._lead)
        shown, scene.withheld[:count] = scene.withheld[:count], []
        if not scene.own:
            self._public = height
        self._public = max([self._public, *(block.header.height for block in shown)])
        self.deeds["ties"] += self._lead.tie
        if scene.own or len(shown) != 1:
            return [Send(block, "everybody") for block in shown]
        return self._race(shown[0], self._place.makers.get(scene.block.header.address))

    def _race(self, block: Block, rival: int | None) -> list[Send]:
        """Let a share gamma of the honest power hear of the own block first."""
        place = self._place
        others = {n: s for n, s in place.shares.items() if n != place.node}
        reachable = sum(share for node, share in others.items() if node != rival)
        chance = self._gamma * sum(others.values()) / reachable if reachable else 0.0
        draws = stream(place.seed, "rushing", block_hash(block.header)).random(len(others))
        first = [n for n, draw in zip(sorted(others), draws, strict=True) if draw < chance]
        rushed = [Send(block, node) for node in first if node != rival]
        return [*rushed, Send(block, "everybody", place.slowest_s + AFTER_S)]


@strategies
def selfish_mining(place: Place, *, gamma: Annotated[float, Field(ge=0, le=1)] = 0.5) -> Strategy:
    """Keep blocks secret and show them just in time to make the others' work void.

    The share of the main chain's blocks is Eyal and Sirer's revenue: above the own share of work
    a from a = 1/3 on at gamma 0, 1/4 at gamma 1/2. With a learning task a secret block draws no
    messages, since holders cannot answer what they have not seen: no lead grows beyond one.

    Args:
        place: the shares of work; who found which block.
        gamma: share of the honest hash power that hears of the attacker's block first when two
            race, 0 to 1; the finder of the other block never does.

    Reference:
        Eyal and Sirer, "Majority is not enough: Bitcoin mining is vulnerable", 2014.
    """
    miner = SelfishMiner(place, gamma)
    return Strategy(publishes=miner.publishes, hears_at_once=True, deeds=miner.deeds)
