"""Strategy: it decides on which block a compute node builds, and what the node sends.

A strategy has one function for each decision. A dishonest strategy replaces some functions of the
honest strategy.
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
    """The time in the block's header, simulated milliseconds since genesis."""
    messages: Messages
    """The block's messages, in ascending order of id."""
    after: State
    """The state to which the block's header commits."""

    def block(self, chain: Chain, address: bytes) -> Block:
        """Return the unsigned block with nonce 0, given the maker's chain and address."""
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
    """The situation in which a compute node decides what to send."""

    block: Block
    """The block that was just found or accepted."""
    own: bool
    """Whether the node itself has made the block."""
    accepted: bool
    """Whether the node's own chain has accepted the block; always true for another node's block."""
    chain: Chain
    """The node's chain."""
    withheld: list[Block]
    """The node's own accepted blocks that are not published yet, lowest first. A strategy removes
    a block from this list when it sends the block."""


def head_of(chain: Chain) -> bytes:
    """Return the hash of the head, on which an honest node builds."""
    return chain.head


def unchanged(made: Same) -> Same:
    """Return the messages or the draft unchanged, as an honest node does."""
    return made


def at_once(scene: Scene) -> list[Send]:
    """Send the node's own accepted blocks to everybody, and empty ``scene.withheld``."""
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
    """Number of messages at which the node starts its work. If None, the node waits for the
    messages of all participants; after the deadline, a quorum is enough."""
    writes: Callable[[Draft], Draft] = unchanged
    """A function that returns the draft of the node's block, given the draft of an honest node."""
    again: bool = False
    """Whether the node looks for a further block on the same parent after it has found a block."""
    publishes: Callable[[Scene], list[Send]] = at_once
    """A function that returns what the node sends after it has found a block, or has accepted
    another node's block."""
    hears_at_once: bool = False
    """Whether the node receives every block without delay."""
    counters: Counter[str] = field(default_factory=Counter)
    """Number of dishonest acts so far, by kind."""


HONEST = Strategy()
"""The strategy of a node that follows the protocol."""


@dataclass(frozen=True, kw_only=True)
class Place:
    """What a dishonest compute node knows about itself and the network."""

    node: int
    """Id of the node."""
    seed: int
    """The scenario's seed, from which the node draws its random numbers."""
    secret: bytes
    """The node's own Ed25519 secret key, 32 bytes."""
    quorum: int
    """Fewest messages that a block may carry."""
    shares: Mapping[int, float]
    """Share of every compute node in the hash power, by node id; the shares sum to 1."""
    makers: Mapping[bytes, int]
    """Id of every compute node, by the node's address."""
    slowest_s: float
    """Longest delay of a block between two compute nodes, simulated seconds."""
    key_of: Callable[[int, int], bytes]
    """A function that returns a holder's public key in a round, given the holder's id and the
    round."""
    # A real node may recognise a holder by the network address of the sender.


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
    """The attacks of the scenario that name the node, each with its strategy; empty if the node is
    honest."""

    @functools.cached_property
    def honest(self) -> bool:
        """Whether the node follows the protocol in every round."""
        return not self.planned

    @functools.cached_property
    def hears_at_once(self) -> bool:
        """Whether one of the node's strategies receives every block without delay."""
        return any(strategy.hears_at_once for _, strategy in self.planned)

    def at(self, round_: int) -> Strategy:
        """Return the strategy for the work on the block of height ``round_``."""
        for attack, strategy in self.planned:
            if attack.active(round_):
                return strategy
        return HONEST

    def counters(self) -> list[dict[str, object]]:
        """Return the kind and the counters of each dishonest strategy, for the manifest."""
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
