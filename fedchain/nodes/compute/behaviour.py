"""How a compute node behaves: what it works on, what its blocks say, and when it shows them."""

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
    """A block to be, before it has a header."""

    parent: bytes
    """Hash of the block that it stands on."""
    time_ms: int
    """When it is made, as it will say."""
    messages: Messages
    """What it carries, in ascending order of id."""
    after: State
    """The state that it will commit to."""


@dataclass(frozen=True, kw_only=True)
class Scene:
    """What a compute node sees when it decides what to send."""

    block: Block
    """What has just been found or accepted."""
    own: bool
    """Whether the node has made it."""
    accepted: bool
    """Whether the node's own chain has accepted it; another's block always was."""
    chain: Chain
    """The node's view."""
    withheld: list[Block]
    """Its accepted blocks that nobody else has seen, lowest first; what is sent is taken out."""


def head_of(chain: Chain) -> bytes:
    """Work on the head."""
    return chain.head


def everything(messages: Messages) -> Messages:
    """Carry every message."""
    return messages


def unchanged(draft: Draft) -> Draft:
    """Write what the rules lead to."""
    return draft


def at_once(scene: Scene) -> list[Send]:
    """Send every own block to everybody as soon as the own chain has accepted it."""
    sends = [Send(block, "everybody") for block in scene.withheld]
    scene.withheld.clear()
    return sends


@dataclass(frozen=True, kw_only=True)
class Strategy:
    """What a compute node does; every default is what an honest one does."""

    works_on: Callable[[Chain], bytes] = head_of
    """Which accepted block it builds on."""
    carries: Callable[[Messages], Messages] = everything
    """Which of the messages for that block it carries, in the same order."""
    least: int | None = None
    """Messages at which it starts at once; None: all, or the quorum after the deadline."""
    writes: Callable[[Draft], Draft] = unchanged
    """What its block says instead."""
    again: bool = False
    """Whether it works on a parent once more when its block on it is found."""
    publishes: Callable[[Scene], list[Send]] = at_once
    """What it sends when it has found a block, and when it has accepted another's."""
    hears_at_once: bool = False
    """Whether it hears of every block when it is sent: it listens everywhere."""
    deeds: Counter[str] = field(default_factory=Counter)
    """What it has done so far, counted by what it was."""


HONEST = Strategy()
"""The behaviour of whoever follows the protocol."""
