"""Spam: made-up blocks and messages that are meant to fill the memory of other nodes."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Annotated

from pydantic import Field

from fedchain.ledger.chain.block import Block, sign_block
from fedchain.ledger.chain.crypto import public_key_of
from fedchain.ledger.chain.message import identity_of
from fedchain.nodes.compute.strategy import Place, Scene, Strategy, at_once, strategies
from fedchain.nodes.payloads import Send
from fedchain.randomness import digest
from fedchain.registry import cites


@strategies
@cites()
def spam(
    place: Place,
    *,
    blocks: Annotated[int, Field(ge=0, le=10_000)] = 10,
    messages: Annotated[int, Field(ge=0, le=10_000)] = 10,
) -> Strategy:
    """Send made-up blocks and messages to neighbours whenever the node finds or accepts a block.

    The blocks are signed but have no work, and half of them have made-up parents. The messages have
    made-up signatures. Other nodes drop the spam at once. With sampled work, which cannot be
    checked, they keep a bounded number of the blocks with made-up parents.

    Args:
        place: the node's place in the network, with the seed for the made-up blocks and messages.
        blocks: number of made-up blocks for each real block, 0 to 10,000.
        messages: number of made-up messages for each real block that carries messages, 0 to 10,000.
    """
    counters: Counter[str] = Counter()
    address = identity_of(public_key_of(place.secret))

    def publishes(scene: Scene) -> list[Send]:
        name, height = scene.block.header.hash, scene.block.header.height
        made = [digest(place.seed, "spam", place.node, name, n) for n in range(blocks)]
        junk = [
            replace(
                scene.block.header,
                height=height + 1,
                address=address,
                parent=noise if count % 2 else name,
                weights_hash=noise,
                nonce=count,
            )
            for count, noise in enumerate(made)
        ]
        sends = [
            Send(
                sign_block(Block(header, scene.block.messages), place.secret),
                "everybody",
                relayed=False,
            )
            for header in junk
        ]
        for count in range(messages if scene.block.messages else 0):
            model = scene.block.messages[count % len(scene.block.messages)]
            signature = digest(place.seed, "spam", place.node, name, "message", count) * 2
            message = replace(model, parent=name, round=height + 1, signature=signature)
            sends.append(Send(message, "compute", relayed=False))
        counters["made-up blocks"] += len(junk)
        counters["made-up messages"] += len(sends) - len(junk)
        return [*at_once(scene), *sends]

    return Strategy(publishes=publishes, counters=counters)
