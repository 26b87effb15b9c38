"""The family of misconducts, and what a dishonest node knows that the parts need."""

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
"""Part: ``(place, *, ...) -> Conduct``: what one compute node does instead of the protocol."""


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where a dishonest compute node stands."""

    node: int
    """Its number."""
    seed: int
    """Of the scenario; draws are from streams of it."""
    quorum: int
    """Fewest messages of a block."""
    shares: Mapping[int, float]
    """Share of the hash power by compute node, its own included; they sum to 1."""
    makers: Mapping[bytes, int]
    """Number of the compute node by address."""
    slowest_s: float
    """Longest way of a block between two compute nodes, simulated seconds."""
    key_of: Callable[[int, int], bytes]
    """(holder, round) to its public key. Pseudonyms hide it from a compute node; one that hears
    a holder directly may know it by where the message came from."""
