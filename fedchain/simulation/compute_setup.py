"""Compute nodes of a run: each with its chain, its mempool, its hash rate and its conduct."""

from __future__ import annotations

from collections.abc import Callable

from fedchain.ledger.chain.block import Block
from fedchain.ledger.chain.chain import KEPT_HEIGHTS, Chain
from fedchain.ledger.chain.mempool import Mempool
from fedchain.ledger.chain.message import identity_of
from fedchain.ledger.chain.rules import chain_id_of
from fedchain.ledger.chain.signature import public_key_of
from fedchain.ledger.chain.verdict_cache import Library
from fedchain.ledger.chain.work import work_of
from fedchain.nodes.compute.compute_node import ComputeNode, Effort
from fedchain.nodes.compute.strategies import Place, schedule_of
from fedchain.randomness import digest, uniforms
from fedchain.simulation.setup import World, deepest_fork
from fedchain.timing import Stopwatch
from fedchain.transition import Steps


def build_compute_nodes(
    *,
    world: World,
    steps: Steps,
    library: Library,
    recalled: Callable[[bytes, bytes], Block | None],
    slowest_s: Callable[[], float],
    watch: Stopwatch,
) -> tuple[ComputeNode, ...]:
    """Return the compute nodes of a run, each at genesis.

    Args:
        world: the parts.
        steps: the transition; all nodes share its results.
        library: bodies, states and verdicts that all nodes share.
        recalled: (parent, address) to the block that an interrupted run has of this node.
        slowest_s: the longest way between two compute nodes, seconds; a dishonest node knows it.
        watch: counts wall time by stage.
    """
    addresses = {node: _address(world, node) for node in world.compute}

    def place_of(node: int) -> Place:
        return Place(
            node=node,
            seed=world.scenario.seed,
            quorum=world.rules.quorum,
            shares=dict(zip(world.compute, world.scenario.nodes.shares, strict=True)),
            makers={address: number for number, address in addresses.items()},
            slowest_s=slowest_s(),
            key_of=lambda holder, round_: world.identities.of(holder, round_).public_key,
        )

    def build(node: int) -> ComputeNode:
        keep = max(KEPT_HEIGHTS, deepest_fork(world.scenario))
        chain = Chain(
            genesis_block=world.genesis,
            genesis_state=world.state,
            rules=world.rules,
            transition=steps,
            library=library,
            keep=keep,
        )
        pool = Mempool(world.rules, chain_id_of(world.genesis), chain.height_of, library)
        conduct = schedule_of(world.scenario, node, lambda: place_of(node))
        return ComputeNode(
            node=node,
            address=addresses[node],
            chain=chain,
            pool=pool,
            rules=world.rules,
            transition=steps,
            effort=_effort(world, node),
            recall=recalled,
            watch=watch,
            schedule=conduct,
        )

    return tuple(build(node) for node in world.compute)


def _address(world: World, node: int) -> bytes:
    """Return the name under which a compute node makes blocks."""
    secret = digest(world.scenario.seed, "compute node", node)
    return identity_of(public_key_of(secret))


def _effort(world: World, node: int) -> Effort:
    tries_per_second = 1000.0 * work_of(world.work.bits) / world.work.interval_ms
    return Effort(
        deadline_s=world.scenario.ledger.deadline_s,
        hashes_per_second=tries_per_second * world.scenario.nodes.shares[node],
        expected=len(world.seats),
        draw=uniforms(world.scenario.seed, "work", node),
    )
