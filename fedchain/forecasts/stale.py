"""Stale blocks: estimates how many blocks of a run are found in vain, from latency and work."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_array
from scipy.sparse.csgraph import dijkstra

from fedchain.arrays import Matrix, Vector
from fedchain.ledger.chain.work import work_of, works
from fedchain.network.topology import topologies
from fedchain.randomness import stream
from fedchain.scenario import Scenario
from fedchain.scenario.checking import NO_TASK

Numbers = npt.NDArray[np.int64]
HEIGHTS = 2_000
"""Number of block heights that the estimate plays through."""


@dataclass(frozen=True)
class StaleBlocks:
    """Estimated stale blocks of a run without attacks, losses and partitions."""

    share: float
    """Expected share of all blocks that are stale, from 0 to below 1."""
    delay_s: float
    """Mean travel time of a block between two compute nodes, simulated seconds."""
    try_s: float
    """Mean time of a try, simulated seconds."""
    interval_s: float
    """Wanted mean time between two blocks, simulated seconds."""

    @property
    def words(self) -> str:
        """The estimate as text."""
        return (
            f"about {self.share:.0%} of all blocks: one is wanted every {self.interval_s:.3g} s, "
            f"travels {self.delay_s:.2g} s, and a try takes {self.try_s:.2g} s"
        )


def expected_stale(scenario: Scenario) -> StaleBlocks:
    """Estimate a run's share of stale blocks, by playing some heights of its proof of work."""
    work, nodes = works.build(scenario.ledger.work), scenario.nodes
    interval_s, tries = work.interval_ms / 1000.0, work_of(work.bits)
    shares, delays = np.array(nodes.shares), _delays(scenario)
    seconds = interval_s / (tries * shares)
    generator, found = stream(scenario.seed, "stale blocks"), 0
    working = np.arange(nodes.miners, dtype=np.int64)
    for _ in range(HEIGHTS):
        due = generator.geometric(1 / tries, len(working)) * seconds[working]
        finders, first = _height(working, due, delays)
        found += len(finders)
        if scenario.task.kind == NO_TASK:
            continue
        # Holders answer only the block with the smallest hash, so nobody else can go on from it
        # but its finder and the nodes that have heard of it first.
        working = np.flatnonzero(first == generator.choice(finders))
    apart = ~np.eye(nodes.miners, dtype=bool)
    delay_s = float(delays[apart].mean()) if nodes.miners > 1 else 0.0
    return StaleBlocks(1 - HEIGHTS / found, delay_s, float(seconds.mean()), interval_s)


def _height(working: Numbers, due: Vector, delays: Matrix) -> tuple[list[int], Numbers]:
    """Return the nodes that find a block of one height, and which block each node hears first."""
    order = np.argsort(due, kind="stable")
    finders: list[int] = []
    heard_s, first = np.full(len(delays), np.inf), np.zeros(len(delays), dtype=np.int64)
    for node, time_s in zip(working[order].tolist(), due[order].tolist(), strict=True):
        if time_s > heard_s[node]:
            continue
        finders.append(node)
        arrives_s = time_s + delays[node]
        sooner = arrives_s < heard_s
        heard_s[sooner], first[sooner] = arrives_s[sooner], node
        first[node] = node
    return finders, first


def _delays(scenario: Scenario) -> Matrix:
    """Return the travel time between any two compute nodes, seconds, by the fastest way."""
    nodes = scenario.nodes
    everybody, generator = nodes.miners + scenario.slots, stream(scenario.seed, "network")
    graph = topologies.build(scenario.network, nodes.miners, everybody, generator)
    lanes = graph.lanes(0, "everybody", relayed=True)
    shape = (graph.nodes, graph.nodes)
    links = csr_array((lanes.seconds, (lanes.tails, lanes.heads)), shape=shape)
    found: Matrix = dijkstra(links, indices=np.arange(nodes.miners))[:, : nodes.miners]
    return found
