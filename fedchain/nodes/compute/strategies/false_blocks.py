"""Blocks that say what is not so: no honest node accepts them."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from fedchain.arrays import read_only
from fedchain.events import Send
from fedchain.ledger.chain.state import State
from fedchain.nodes.compute.behaviour import Draft, Scene, Strategy, at_once
from fedchain.nodes.compute.strategies.strategy import Place, strategies


def regardless(scene: Scene, deeds: Counter[str]) -> list[Send]:
    """Send an own block to everybody also when the own chain refuses it.

    Honest nodes do not pass it on; it reaches the sender's neighbours and nobody else.
    """
    if not scene.own:
        return at_once(scene)
    deeds["invalid blocks" if not scene.accepted else "valid blocks"] += 1
    return at_once(scene) if scene.accepted else [Send(scene.block, "everybody", relayed=False)]


@strategies
def wrong_weights(place: Place, *, by: Literal["ulp", "replaced"] = "ulp") -> Strategy:
    """Commit to weights that are not the aggregate of the block's messages.

    Every full node computes the step again, bit for bit, so one unit in the last place of one
    weight is as good a reason to refuse the block as another model. Where nothing is learned
    there is nothing to lie about.

    Args:
        place: not used.
        by: ulp: the first weight is one unit in the last place too large; replaced: another
            model altogether, every weight with the opposite sign and one added.
    """
    del place
    deeds: Counter[str] = Counter()

    def writes(draft: Draft) -> Draft:
        weights = -draft.after.weights - 1 if by == "replaced" else draft.after.weights.copy()
        if by == "ulp":
            weights[:1] = np.nextafter(weights[:1], weights.dtype.type(np.inf))
        return replace(draft, after=State(read_only(weights), draft.after.memory))

    return Strategy(writes=writes, publishes=lambda scene: regardless(scene, deeds), deeds=deeds)


@strategies
def bad_time(
    place: Place, *, ahead_s: Annotated[float, Field(ge=-1e9, le=1e9)] = 10_000.0
) -> Strategy:
    """Write another time into the own blocks.

    A time must be above the median of the last 11 blocks, and at most two hours ahead of the
    reader's clock; in between a miner may lie, which is what makes retargeting a game.

    Args:
        place: not used.
        ahead_s: seconds added to the true time, simulated; negative: back, to genesis at most.
    """
    del place
    deeds: Counter[str] = Counter()

    def writes(draft: Draft) -> Draft:
        return replace(draft, time_ms=max(0, draft.time_ms + round(1000 * ahead_s)))

    return Strategy(writes=writes, publishes=lambda scene: regardless(scene, deeds), deeds=deeds)
