"""Compute nodes of a run: each gets a chain, a mempool, a hash rate and a schedule."""

from __future__ import annotations

from collections.abc import Callable

from fedchain.ledger.chain.block import Block
from fedchain.ledger.chain.chain import KEPT_HEIGHTS, Chain
from fedchain.ledger.chain.mempool import Mempool
from fedchain.ledger.chain.message import identity_of
from fedchain.ledger.chain.rules import chain_id_of
from fedchain.ledger.chain.signature import public_key_of
from fedchain.ledger.chain.verdict_cache import VerdictCache
from fedchain.ledger.chain.work import work_of
from fedchain.nodes.compute.compute_node import ComputeNode
from fedchain.nodes.compute.hashing import Effort
from fedchain.nodes.compute.strategy import Place, schedule_of
from fedchain.randomness import digest, uniforms
from fedchain.simulation.setup import RunSetup, deepest_fork
from fedchain.timing import Stopwatch
from fedchain.transition import Steps


def build_compute_nodes(
    *,
    setup: RunSetup,
    steps: Steps,
    verdict_cache: VerdictCache,
    recall: Callable[[bytes, bytes], Block | None] | None,
    slowest_s: Callable[[], float],
    watch: Stopwatch,
) -> tuple[ComputeNode, ...]:
    """Return the compute nodes of a run, each at genesis.

    Args:
        setup: the parts of the run.
        steps: the transition; all nodes share its results.
        verdict_cache: bodies, states and verdicts; all nodes share it.
        recall: (parent, address) to the block that an interrupted run already has; None: the run
            is new.
        slowest_s: returns the longest delay between two compute nodes, seconds; dishonest nodes
            know it.
        watch: counts wall time by stage.
    """
    addresses = {node: _address(setup, node) for node in setup.compute_ids}

    def place_of(node: int) -> Place:
        return Place(
            node=node,
            seed=setup.scenario.seed,
            quorum=setup.rules.quorum,
            shares=dict(zip(setup.compute_ids, setup.scenario.nodes.shares, strict=True)),
            makers={address: number for number, address in addresses.items()},
            slowest_s=slowest_s(),
            key_of=lambda holder, round_: setup.identities.of(holder, round_).public_key,
        )

    def build(node: int) -> ComputeNode:
        keep = max(KEPT_HEIGHTS, deepest_fork(setup.scenario))
        chain = Chain(
            genesis_block=setup.genesis,
            genesis_state=setup.state,
            rules=setup.rules,
            transition=steps,
            verdict_cache=verdict_cache,
            keep=keep,
        )
        pool = Mempool(setup.rules, chain_id_of(setup.genesis), chain.height_of, verdict_cache)
        return ComputeNode(
            node=node,
            address=addresses[node],
            chain=chain,
            pool=pool,
            rules=setup.rules,
            transition=steps,
            effort=_effort(setup, node),
            recall=recall,
            watch=watch,
            schedule=schedule_of(setup.scenario, node, lambda: place_of(node)),
        )

    return tuple(build(node) for node in setup.compute_ids)


def _address(setup: RunSetup, node: int) -> bytes:
    """Return the address under which a compute node makes blocks, 32 bytes."""
    secret = digest(setup.scenario.seed, "compute node", node)
    return identity_of(public_key_of(secret))


def _effort(setup: RunSetup, node: int) -> Effort:
    """Return the effort of a compute node: its hash rate is its share of the whole.

    At the initial difficulty all nodes together find a block per interval, on average.
    """
    tries_per_second = 1000.0 * work_of(setup.work.bits) / setup.work.interval_ms
    return Effort(
        deadline_s=setup.scenario.ledger.deadline_s,
        hashes_per_second=tries_per_second * setup.scenario.nodes.shares[node],
        expected=len(setup.holder_slots),
        draw=uniforms(setup.scenario.seed, "work", node),
    )
