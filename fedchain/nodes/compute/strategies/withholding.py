"""Withholding: valid blocks that are published late, or that build on old parents."""

from __future__ import annotations

from collections import Counter
from typing import Annotated

from pydantic import Field

from fedchain.ledger.chain.chain import Chain
from fedchain.nodes.compute.strategy import Place, Scene, Strategy, at_once, strategies
from fedchain.nodes.payloads import Send
from fedchain.registry import cites


@strategies
@cites()
def withholding(place: Place, *, delay_s: Annotated[float, Field(gt=0, le=1e9)] = 60.0) -> Strategy:
    """Publish each block of the node late, and build on it in the meantime.

    In a learning task, holders send no messages for a withheld block, so the node waits until the
    block is published.

    Args:
        place: not used.
        delay_s: simulated seconds for which a block is withheld, above 0.
    """
    del place
    counters: Counter[str] = Counter()

    def publishes(scene: Scene) -> list[Send]:
        counters["blocks withheld"] += len(scene.withheld)
        return [Send(send.payload, send.to, delay_s) for send in at_once(scene)]

    return Strategy(publishes=publishes, counters=counters)


@strategies
@cites()
def stale_parents(place: Place, *, depth: Annotated[int, Field(ge=1, le=64)] = 1) -> Strategy:
    """Build on a block below the head, once for each new head.

    The blocks are valid but become stale, since their branch has less work. In a learning task, the
    node finds no block on a deep parent, since mempools drop the messages of old rounds.

    Args:
        place: not used.
        depth: number of blocks from the parent to the head, 1 to 64.
    """
    del place
    counters: Counter[str] = Counter()

    def works_on(chain: Chain) -> bytes:
        block = chain.head
        for _ in range(min(depth, chain.height)):
            block = chain.link(block).header.parent
        return block

    def publishes(scene: Scene) -> list[Send]:
        counters["blocks on stale parents"] += scene.own
        return at_once(scene)

    return Strategy(works_on=works_on, publishes=publishes, counters=counters)
