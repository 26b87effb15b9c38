"""Withholding: valid blocks that are published late, or that build on a stale parent."""

from __future__ import annotations

from collections import Counter
from typing import Annotated

from pydantic import Field

from fedchain.ledger.chain.chain import Chain
from fedchain.nodes.compute.strategy import Place, Scene, Strategy, at_once, strategies
from fedchain.nodes.payloads import Send


@strategies
def withholding(place: Place, *, delay_s: Annotated[float, Field(gt=0, le=1e9)] = 60.0) -> Strategy:
    """Publish each block of the node late, and build on it in the meantime.

    The node gains nothing: the others find blocks of their own, and a late block is stale. Holders
    do not know a withheld head and send no messages for it. So with a learning task the node
    waits at its withheld block until it is published.

    Args:
        place: not used.
        delay_s: how long a block is withheld, simulated seconds, above 0.
    """
    del place
    counters: Counter[str] = Counter()

    def publishes(scene: Scene) -> list[Send]:
        counters["blocks withheld"] += len(scene.withheld)
        return [Send(send.payload, send.to, delay_s) for send in at_once(scene)]

    return Strategy(publishes=publishes, counters=counters)


@strategies
def stale_parents(place: Place, *, depth: Annotated[int, Field(ge=1, le=64)] = 1) -> Strategy:
    """Build on a block below the head, once for each new head.

    The blocks are valid, but their branch has less work than the head, so they become stale.
    Mempools keep only the messages of the last two rounds. So with a task that needs messages,
    the node finds no block on a deeper parent.

    Args:
        place: not used.
        depth: how many blocks the parent is below the head, 1 to 64.
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
