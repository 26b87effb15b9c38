"""Network: page records of nodes, links and what travels over them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from fedchain.arrays import Matrix
from fedchain.network.spreading import Graph
from fedchain.network.topology import topologies
from fedchain.page.lines import PageRecord, page_record
from fedchain.randomness import stream
from fedchain.results.travel import node_name
from fedchain.scenario import Scenario

MOST_PLACED = 400
"""Largest number of nodes whose places and links are computed; the page shows more as a ring."""
INNER, OUTER = 0.18, 0.45
"""Radii of the circles of compute nodes and of holders; the picture has sides of 1."""


def network_records(scenario: Scenario) -> Iterator[PageRecord]:
    """Yield the places of all nodes, then their links; nothing for more than ``MOST_PLACED``.

    The names of holders are those of their slots, which are the holders' own unless a cohort is
    drawn in each round.
    """
    nodes = scenario.nodes.miners + scenario.slots
    if nodes > MOST_PLACED:
        return
    generator = stream(scenario.seed, "network")
    graph = topologies.build(scenario.network, scenario.nodes.miners, nodes, generator)
    names = [node_name(node, graph.compute) for node in range(nodes)]
    for name, (x, y) in zip(names, node_places(graph).tolist(), strict=True):
        yield page_record("place", name=name, x=round(x, 4), y=round(y, 4))
    for (one, other), seconds in zip(graph.links.tolist(), graph.seconds.tolist(), strict=True):
        latency_ms = round(1000.0 * seconds, 3)
        yield page_record("link", a=names[one], b=names[other], latency_ms=latency_ms)


def node_places(graph: Graph) -> Matrix:
    """Return a place from 0 to 1 for each node, shape (nodes, 2).

    The compute nodes stand on an inner circle. The holders stand on an outer one, in the order of
    the compute nodes to which their fastest links lead, so that few links cross.
    """
    inner = _circle(np.arange(graph.compute), graph.compute, INNER if graph.compute > 1 else 0.0)
    holders = np.arange(graph.compute, graph.nodes)
    order = sorted(holders.tolist(), key=lambda node: (_nearest(graph, node), node))
    places = np.empty((graph.nodes, 2))
    places[: graph.compute] = inner
    places[order] = _circle(np.arange(len(order)), max(1, len(order)), OUTER)
    return places


def _nearest(graph: Graph, node: int) -> int:
    """Return the compute node to which the fastest of a holder's links leads; 0 without one."""
    own = (graph.links == node).any(axis=1)
    ends = graph.links[own].sum(axis=1) - node
    among = ends < graph.compute
    if not among.any():
        return 0
    return int(ends[among][np.argmin(graph.seconds[own][among])])


def _circle(places: Sequence[int] | np.ndarray, count: int, radius: float) -> Matrix:
    angles = 2.0 * np.pi * np.asarray(places) / count - np.pi / 2.0
    return 0.5 + radius * np.column_stack((np.cos(angles), np.sin(angles)))
