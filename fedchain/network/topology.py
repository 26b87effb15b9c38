"""Topologies and latencies: how long a message takes from one node to another.

Nodes pass on what they hear, so a message takes the quickest path. Each link draws its latency
once, from a named stream, and keeps it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated

import numpy as np
from pydantic import Field

from fedchain.arrays import Matrix, Vector
from fedchain.registry import AtMost, Family, Part

if TYPE_CHECKING:
    import networkx

Latency = Callable[[int, np.random.Generator], Vector]
"""(number of links, generator) to milliseconds a link, shape (links,)."""
Milliseconds = Annotated[float, Field(gt=0)]

latencies: Family[Latency] = Family("latency", ("fedchain.network.topology",))
"""Part: ``(*, ...) -> Latency``."""
topologies: Family[Matrix] = Family("network", ("fedchain.network.topology",))
"""Part: ``(nodes, generator, *, ...) -> delays in seconds, shape (nodes, nodes)``."""

HUNDRED_MS = Part("constant", {"value": 100.0})


@latencies
def constant(*, value: Milliseconds) -> Latency:
    """Give every link the same latency.

    Args:
        value: milliseconds, above 0.

    Returns:
        A latency for each link.

    >>> constant(value=80.0)(2, np.random.default_rng(0)).tolist()
    [80.0, 80.0]
    """
    return lambda links, _: np.full(links, value)


@latencies
def uniform(*, low: Milliseconds, high: Milliseconds) -> Latency:
    """Draw each link's latency uniformly between two bounds.

    Args:
        low: least milliseconds, above 0.
        high: most milliseconds, at least ``low``.

    Returns:
        A latency for each link.

    Raises:
        ValueError: ``high`` is below ``low``.

    >>> bool(uniform(low=10.0, high=20.0)(1, np.random.default_rng(0))[0] < 20.0)
    True
    """
    if high < low:
        raise ValueError(f"network.latency_ms.high: must be at least low ({low}), got {high}")
    return lambda links, generator: generator.uniform(low, high, links)


@latencies
def lognormal(
    *, median: Annotated[float, Field(gt=0)], sigma: Annotated[float, Field(ge=0)]
) -> Latency:
    """Draw each link's latency from a lognormal law: most links quick, a few slow.

    Args:
        median: milliseconds, above 0.
        sigma: standard deviation of the logarithm, 0 or more.

    Returns:
        A latency for each link.

    >>> lognormal(median=80.0, sigma=0.0)(1, np.random.default_rng(0)).round(6).tolist()
    [80.0]
    """
    return lambda links, generator: generator.lognormal(np.log(median), sigma, links)


@topologies
def complete(
    nodes: int,
    generator: np.random.Generator,
    *,
    latency_ms: Annotated[Part, latencies] = HUNDRED_MS,
) -> Matrix:
    """Link every node with every other.

    Args:
        nodes: number of nodes.
        generator: where the latencies come from.
        latency_ms: the law of a link's latency.

    Returns:
        Delays in seconds, symmetric, zero on the diagonal, shape (nodes, nodes).

    >>> complete(2, np.random.default_rng(0), latency_ms=HUNDRED_MS).tolist()
    [[0.0, 0.1], [0.1, 0.0]]
    """
    upper = np.triu_indices(nodes, 1)
    links = np.zeros((nodes, nodes))
    links[upper] = latencies.build(latency_ms)(len(upper[0]), generator) / 1000.0
    return _quickest(links + links.T)


@topologies
def ring(
    nodes: int,
    generator: np.random.Generator,
    *,
    latency_ms: Annotated[Part, latencies] = HUNDRED_MS,
) -> Matrix:
    """Link every node with two neighbours, in a ring.

    Args:
        nodes: number of nodes, at least 3.
        generator: where the latencies come from.
        latency_ms: the law of a link's latency.

    Returns:
        Delays in seconds along the quickest path, shape (nodes, nodes).

    >>> ring(4, np.random.default_rng(0), latency_ms=HUNDRED_MS)[0].round(3).tolist()
    [0.0, 0.1, 0.2, 0.1]
    """
    import networkx

    return _delays(networkx.cycle_graph(nodes), generator, latency_ms)


@topologies
def random_regular(
    nodes: int,
    generator: np.random.Generator,
    *,
    degree: Annotated[int, Field(ge=2), AtMost("nodes.others", "the number of other nodes")],
    latency_ms: Annotated[Part, latencies] = HUNDRED_MS,
) -> Matrix:
    """Link every node with the same number of neighbours, chosen at random.

    Args:
        nodes: number of nodes.
        generator: where the links and latencies come from.
        degree: neighbours of each node, at least 2; nodes times degree must be even.
        latency_ms: the law of a link's latency.

    Returns:
        Delays in seconds along the quickest path, shape (nodes, nodes).

    Raises:
        ValueError: no such graph exists.

    >>> random_regular(6, np.random.default_rng(0), degree=2).shape
    (6, 6)
    """
    import networkx

    if nodes * degree % 2:
        raise ValueError(
            f"network.degree: {nodes} nodes cannot have {degree} neighbours each; "
            "nodes times degree must be even"
        )
    seeds = iter(lambda: int(generator.integers(2**31)), -1)
    graphs = (networkx.random_regular_graph(degree, nodes, seed) for seed in seeds)
    connected = next(graph for graph in graphs if networkx.is_connected(graph))
    return _delays(connected, generator, latency_ms)


def _delays(graph: networkx.Graph, generator: np.random.Generator, latency_ms: Part) -> Matrix:
    links = np.zeros((len(graph), len(graph)))
    ends = sorted(tuple(sorted(edge)) for edge in graph.edges)
    seconds = latencies.build(latency_ms)(len(ends), generator) / 1000.0
    for (left, right), delay in zip(ends, seconds, strict=True):
        links[left, right] = links[right, left] = delay
    return _quickest(links)


def _quickest(links: Matrix) -> Matrix:
    from scipy.sparse.csgraph import shortest_path

    return np.asarray(shortest_path(links, method="D", directed=False))
