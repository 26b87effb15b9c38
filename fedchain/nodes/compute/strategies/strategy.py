"""The family of dishonest strategies, and what such a strategy knows about its node."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from fedchain.nodes.compute.behaviour import Strategy
from fedchain.registry import Family

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
"""Part: ``(place, *, ...) -> Strategy``: what one compute node does instead of the protocol."""


@dataclass(frozen=True, kw_only=True)
class Place:
    """What a dishonest compute node knows about itself and the network."""

    node: int
    """Number of the node."""
    seed: int
    """The scenario's seed; all draws come from its random streams."""
    quorum: int
    """Fewest messages that a block may carry."""
    shares: Mapping[int, float]
    """Share of the hash power of each compute node, its own included; they sum to 1."""
    makers: Mapping[bytes, int]
    """Number of each compute node, by address."""
    slowest_s: float
    """Longest delay of a block between two compute nodes, simulated seconds."""
    key_of: Callable[[int, int], bytes]
    """(holder, round) to the public key of the holder. Pseudonyms should hide it, but a compute
    node that receives a message directly from a holder may know the sender by its network
    address."""
