"""Censorship: valid blocks from which some messages are left out."""

from __future__ import annotations

from collections import Counter
from typing import Annotated, Literal

from pydantic import Field

from fedchain.nodes.compute.strategies.false_blocks import regardless
from fedchain.nodes.compute.strategy import Messages, Place, Scene, Strategy, at_once, strategies
from fedchain.nodes.payloads import Send
from fedchain.registry import cites


@strategies
@cites()
def censorship(
    place: Place, *, holders: Annotated[tuple[int, ...], Field(min_length=1)]
) -> Strategy:
    """Leave out the messages of some holders, as far as the quorum allows.

    Other nodes cannot see which messages are missing. If the other messages are fewer than the
    quorum, the block also carries censored messages.

    Args:
        place: the node's place in the network, with the quorum and the keys of the holders.
        holders: ids of the censored data holders, from 0.
    """
    counters: Counter[str] = Counter()

    def carries(messages: Messages) -> Messages:
        if not messages:
            return messages
        keys = {place.key_of(holder, messages[0].round) for holder in holders}
        censored = [message for message in messages if message.public_key in keys]
        spare = max(0, len(messages) - place.quorum)
        left_out = {message.public_key for message in censored[-spare:]} if spare else set()
        counters["messages left out"] += len(left_out)
        counters["censored messages carried for the quorum"] += len(censored) - len(left_out)
        return tuple(message for message in messages if message.public_key not in left_out)

    return Strategy(carries=carries, counters=counters)


@strategies
@cites()
def empty_blocks(place: Place, *, carry: Literal["nothing", "quorum"] = "nothing") -> Strategy:
    """Carry as few messages as possible, and do not wait for more.

    If the chain has a quorum, other nodes refuse an empty block. A block with just the quorum is
    valid, and the node starts its work before the other nodes.

    Args:
        place: the node's place in the network, with the quorum.
        carry: nothing (no messages) or quorum (the fewest messages that a block may carry).
    """
    counters: Counter[str] = Counter()
    least = place.quorum if carry == "quorum" else 0

    def publishes(scene: Scene) -> list[Send]:
        return regardless(scene, counters) if scene.own else at_once(scene)

    return Strategy(
        carries=lambda messages: messages[:least],
        least=least,
        publishes=publishes,
        counters=counters,
    )
