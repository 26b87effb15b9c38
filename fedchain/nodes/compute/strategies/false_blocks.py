"""False blocks: blocks with wrong weights or times, which honest nodes should refuse."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from fedchain.arrays import read_only
from fedchain.ledger.chain.state import State
from fedchain.nodes.compute.strategy import Draft, Place, Scene, Strategy, at_once, strategies
from fedchain.nodes.payloads import Send
from fedchain.registry import cites


def regardless(scene: Scene, counters: Counter[str]) -> list[Send]:
    """Send the node's own block, even if the node's chain has refused the block.

    A refused block reaches only the sender's neighbours.
    """
    if not scene.own:
        return at_once(scene)
    counters["invalid blocks" if not scene.accepted else "valid blocks"] += 1
    return at_once(scene) if scene.accepted else [Send(scene.block, "everybody", relayed=False)]


@strategies
@cites()
def wrong_weights(place: Place, *, by: Literal["ulp", "replaced"] = "ulp") -> Strategy:
    """Commit to weights that do not follow from the block's messages.

    Every full node recomputes the weights bit for bit, and refuses both kinds of wrong weights.
    Without a learning task the attack has no effect.

    Args:
        place: not used.
        by: ulp: the first weight is one unit in the last place too large; replaced: every weight w
            becomes -w - 1.
    """
    del place
    counters: Counter[str] = Counter()

    def writes(draft: Draft) -> Draft:
        weights = -draft.after.weights - 1 if by == "replaced" else draft.after.weights.copy()
        if by == "ulp":
            weights[:1] = np.nextafter(weights[:1], weights.dtype.type(np.inf))
        return replace(draft, after=State(read_only(weights), draft.after.memory))

    return Strategy(
        writes=writes, publishes=lambda scene: regardless(scene, counters), counters=counters
    )


@strategies
@cites()
def bad_time(
    place: Place, *, ahead_s: Annotated[float, Field(ge=-1e9, le=1e9)] = 10_000.0
) -> Strategy:
    """Write a false time into the node's own blocks.

    Other nodes accept a time above the median of the last 11 blocks and at most two hours ahead of
    their clock. Within these bounds, false times can change the difficulty.

    Args:
        place: not used.
        ahead_s: simulated seconds that are added to the true time. If negative, the written time is
            earlier, but not before genesis.
    """
    del place
    counters: Counter[str] = Counter()

    def writes(draft: Draft) -> Draft:
        return replace(draft, time_ms=max(0, draft.time_ms + round(1000 * ahead_s)))

    return Strategy(
        writes=writes, publishes=lambda scene: regardless(scene, counters), counters=counters
    )
