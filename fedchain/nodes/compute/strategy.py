"""Strategy: what a compute node works on, what its blocks contain, and when it publishes them.

A strategy has one function for each decision. The honest strategy is here. A dishonest strategy
replaces some of its functions; each kind of attack on the chain has its own file.
"""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from fedchain.ledger.chain.block import BLOCK_VERSION, Block, Header, messages_root
from fedchain.ledger.chain.chain import Chain
from fedchain.ledger.chain.message import Message
from fedchain.ledger.chain.state import State
from fedchain.nodes.payloads import Send
from fedchain.registry import Family
from fedchain.scenario import ComputeAttack, Scenario

Messages = tuple[Message, ...]
Same = TypeVar("Same")


@dataclass(frozen=True)
class Draft:
    """The contents of a block that has no header yet."""

    parent: bytes
    """Hash of the block's parent."""
    time_ms: int
    """The time that the block's header will state, simulated milliseconds since genesis."""
    messages: Messages
    """The block's messages, in ascending order of id."""
    after: State
    """The state to which the block's header will commit."""

    def block(self, chain: Chain, address: bytes) -> Block:
        """Return the block of the compute node with this address, not signed, with nonce 0."""
        below = chain.link(self.parent)
        header = Header(
            version=BLOCK_VERSION,
            chain_id=chain.chain_id,
            height=below.header.height + 1,
            parent=self.parent,
            time_ms=self.time_ms,
            bits=below.bits,
            address=address,
            messages_root=messages_root(self.messages),
            weights_hash=self.after.weights_hash,
            memory_hash=self.after.memory_hash,
            rules_hash=chain.rules.hash,
            nonce=0,
        )
        return Block(header, self.messages)


@dataclass(frozen=True, kw_only=True)
class Scene:
    """What a compute node sees when it decides what to send."""

    block: Block
    """The block that was just found or accepted."""
    own: bool
    """Whether the node has made the block itself."""
    accepted: bool
    """Whether the node's own chain has accepted the block; always true for another node's block."""
    chain: Chain
    """The node's chain."""
    withheld: list[Block]
    """The node's own accepted blocks that it has not published, lowest first. A strategy removes
    the blocks that it sends."""


def head_of(chain: Chain) -> bytes:
    """Return the head: an honest node builds on it."""
    return chain.head


def unchanged(made: Same) -> Same:
    """Return messages or a draft unchanged, as an honest node does."""
    return made


def at_once(scene: Scene) -> list[Send]:
    """Send each own block to everybody as soon as the node's own chain has accepted it."""
    sends = [Send(block, "everybody") for block in scene.withheld]
    scene.withheld.clear()
    return sends


@dataclass(frozen=True, kw_only=True)
class Strategy:
    """The decisions of a compute node. The defaults are those of an honest node."""

    works_on: Callable[[Chain], bytes] = head_of
    """A function that returns the hash of the accepted block to build on."""
    carries: Callable[[Messages], Messages] = unchanged
    """A function that selects the messages for the new block, and keeps their order."""
    least: int | None = None
    """Number of messages at which the node starts its work. None: it starts with the messages of
    all holders, or after the deadline with the quorum."""
    writes: Callable[[Draft], Draft] = unchanged
    """A function that returns the contents of the block, given the draft of an honest node."""
    again: bool = False
    """Whether the node works on the same parent again after it has found a block on it."""
    publishes: Callable[[Scene], list[Send]] = at_once
    """A function that returns what the node sends after it has found a block, or accepted another
    node's block."""
    hears_at_once: bool = False
    """Whether the node receives every block at the moment that it leaves its sender."""
    counters: Counter[str] = field(default_factory=Counter)
    """Number of dishonest acts so far, by kind, for the report."""


HONEST = Strategy()
"""The strategy of a node that follows the protocol."""


@dataclass(frozen=True, kw_only=True)
class Place:
    """What a dishonest compute node knows about itself and the network."""

    node: int
    """Id of the node."""
    seed: int
    """The scenario's seed; all draws come from its random streams."""
    secret: bytes
    """The node's Ed25519 secret key, 32 bytes; it can sign for itself alone."""
    quorum: int
    """Fewest messages that a block may carry."""
    shares: Mapping[int, float]
    """Each compute node's share of the hash power, this node included; the shares sum to 1."""
    makers: Mapping[bytes, int]
    """Id of each compute node, by its address."""
    slowest_s: float
    """Longest delay of a block between two compute nodes, simulated seconds."""
    key_of: Callable[[int, int], bytes]
    """A function of a holder's id and a round. It returns the holder's public key in this round.
    Pseudonyms should hide whose key it is. But a compute node that receives a message directly from
    a holder may know the sender by its network address."""


strategies: Family[Strategy] = Family(
    "misconduct",
    (
        "fedchain.nodes.compute.strategies.false_blocks",
        "fedchain.nodes.compute.strategies.censorship",
        "fedchain.nodes.compute.strategies.withholding",
        "fedchain.nodes.compute.strategies.selfish_mining",
        "fedchain.nodes.compute.strategies.double_spend",
        "fedchain.nodes.compute.strategies.equivocation",
        "fedchain.nodes.compute.strategies.spam",
    ),
)
"""The family of dishonest strategies. Functions ``(place, *, ...) -> Strategy`` make them."""


@dataclass(frozen=True)
class Schedule:
    """The strategies of one compute node, by round."""

    planned: tuple[tuple[ComputeAttack, Strategy], ...] = ()
    """Each attack of the scenario that names the node, with its strategy; empty if it is honest."""

    @functools.cached_property
    def honest(self) -> bool:
        """Whether the node follows the protocol in every round."""
        return not self.planned

    @functools.cached_property
    def hears_at_once(self) -> bool:
        """Whether one of the strategies receives every block when it leaves its sender."""
        return any(strategy.hears_at_once for _, strategy in self.planned)

    def at(self, round_: int) -> Strategy:
        """Return the strategy while the node works on the block of this height."""
        for attack, strategy in self.planned:
            if attack.active(round_):
                return strategy
        return HONEST

    def counters(self) -> list[dict[str, object]]:
        """Return the kind of each strategy with its counters, as the manifest states them."""
        return [
            {"kind": attack.part.kind, "deeds": dict(sorted((+strategy.counters).items()))}
            for attack, strategy in self.planned
        ]


HONESTLY = Schedule()
"""The schedule of an honest node."""


def schedule_of(scenario: Scenario, node: int, place: Callable[[], Place]) -> Schedule:
    """Return the schedule of a compute node; ``place`` is called only if the node is dishonest."""
    named = [a for a in scenario.attacks if isinstance(a, ComputeAttack) and node in a.nodes]
    return Schedule(tuple((a, strategies.build(a.part, place())) for a in named))
