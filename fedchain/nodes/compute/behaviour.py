"""Strategy: what a compute node works on, what its blocks contain, and when it publishes them.

Each decision is a function of a strategy. The honest strategy is here; others replace some of
its functions.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from fedchain.events import Send
from fedchain.ledger.chain.block import Block
from fedchain.ledger.chain.chain import Chain
from fedchain.ledger.chain.message import Message
from fedchain.ledger.chain.state import State

Messages = tuple[Message, ...]


@dataclass(frozen=True)
class Draft:
    """The contents of a block that has no header yet."""

    parent: bytes
    """Hash of its parent."""
    time_ms: int
    """The time that its header will state, simulated milliseconds since genesis."""
    messages: Messages
    """Its messages, in ascending order of id."""
    after: State
    """The state to which its header will commit."""


@dataclass(frozen=True, kw_only=True)
class Scene:
    """What a compute node sees when it decides what to send."""

    block: Block
    """The block that was just found or accepted."""
    own: bool
    """Whether the node has made the block itself."""
    accepted: bool
    """Whether the node's own chain has accepted the block; always true for a block of others."""
    chain: Chain
    """The node's chain."""
    withheld: list[Block]
    """The node's own accepted blocks that it has not published, lowest first. A strategy removes
    the blocks that it sends."""


def head_of(chain: Chain) -> bytes:
    """Return the head: an honest node builds on it."""
    return chain.head


def everything(messages: Messages) -> Messages:
    """Return all messages: an honest node leaves none out."""
    return messages


def unchanged(draft: Draft) -> Draft:
    """Return the draft as it is: an honest node follows the rules."""
    return draft


def at_once(scene: Scene) -> list[Send]:
    """Send each own block to everybody as soon as the node's own chain has accepted it."""
    sends = [Send(block, "everybody") for block in scene.withheld]
    scene.withheld.clear()
    return sends


@dataclass(frozen=True, kw_only=True)
class Strategy:
    """The decisions of a compute node. The defaults are those of an honest node."""

    works_on: Callable[[Chain], bytes] = head_of
    """Returns the hash of the accepted block to build on."""
    carries: Callable[[Messages], Messages] = everything
    """Returns which of the messages for that block the new block carries, in the same order."""
    least: int | None = None
    """Number of messages at which the node starts its work. None: when the messages of all holders
    are there, or the quorum after the deadline."""
    writes: Callable[[Draft], Draft] = unchanged
    """Returns the contents that the block gets in place of the draft."""
    again: bool = False
    """Whether the node works on the same parent again after it has found a block on it."""
    publishes: Callable[[Scene], list[Send]] = at_once
    """Returns what the node sends after it has found a block, or accepted a block of another."""
    hears_at_once: bool = False
    """Whether the node receives every block at the moment that it leaves its sender."""
    deeds: Counter[str] = field(default_factory=Counter)
    """Number of deeds so far, by kind, for the report."""


HONEST = Strategy()
"""The strategy of a node that follows the protocol."""
