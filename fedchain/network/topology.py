"""Topologies and latencies: how long a message takes from one node to another.

Nodes pass on what they hear, so a message takes the quickest path. Each link draws its latency
once, from a named stream, and keeps it. A delay is the same both ways, and every send goes from
or to a compute node: its row is all that is ever asked for, so that nothing grows with the
square of the seats.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

import numpy as np
import numpy.typing as npt
from pydantic import Field

from fedchain.arrays import Matrix, Vector
from fedchain.registry import AtMost, Family, Part

Latency = Callable[[int, np.random.Generator], Vector]
"""(number of links, generator) to milliseconds a link, shape (links,)."""
Milliseconds = Annotated[float, Field(gt=0)]
Links = npt.NDArray[np.int64]
"""The two ends of each link, shape (links, 2)."""

latencies: Family[Latency] = Family("latency", ("fedchain.network.topology",))
"""Part: ``(*, ...) -> Latency``."""
topologies: Family[Matrix] = Family("network", ("fedchain.network.topology",))
"""Part: ``(compute, nodes, generator, *, ...) -> delays in seconds, shape (compute, nodes)``, of
each compute node from and to every node; compute nodes first, then the seats of data holders."""

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
    compute: int,
    nodes: int,
    generator: np.random.Generator,
    *,
    latency_ms: Annotated[Part, latencies] = HUNDRED_MS,
) -> Matrix:
    """Link every compute node with every other node; data holders pass nothing on.

    Args:
        compute: number of compute nodes.
        nodes: number of all nodes.
        generator: where the latencies come from.
        latency_ms: the law of a link's latency.

    Returns:
        Delays in seconds, zero from a node to itself, shape (compute, nodes).

    >>> complete(2, 3, np.random.default_rng(0), latency_ms=HUNDRED_MS).tolist()
    [[0.0, 0.1, 0.1], [0.1, 0.0, 0.1]]
    """
    law, seats = latencies.build(latency_ms), nodes - compute
    delays, upper = np.zeros((compute, nodes)), np.triu_indices(compute, 1)
    delays[upper] = law(len(upper[0]), generator) / 1000.0
    delays[:, :compute] += delays[:, :compute].T
    # Seat by seat: one more draws after the others, and leaves their latencies alone.
    delays[:, compute:] = law(seats * compute, generator).reshape(seats, compute).T / 1000.0
    for relay in range(compute):  # Floyd and Warshall; no seat passes anything on
        np.minimum(delays, delays[:, relay, None] + delays[relay], out=delays)
    return delays


@topologies
def ring(
    compute: int,
    nodes: int,
    generator: np.random.Generator,
    *,
    latency_ms: Annotated[Part, latencies] = HUNDRED_MS,
) -> Matrix:
    """Link every node with two neighbours, in a ring.

    Args:
        compute: number of compute nodes, which come first.
        nodes: number of all nodes, at least 3.
        generator: where the latencies come from.
        latency_ms: the law of a link's latency.

    Returns:
        Delays in seconds along the quickest path, shape (compute, nodes).

    >>> ring(1, 4, np.random.default_rng(0), latency_ms=HUNDRED_MS)[0].round(3).tolist()
    [0.0, 0.1, 0.2, 0.1]
    """
    around = np.arange(nodes)
    links = _in_order(np.column_stack((around, (around + 1) % nodes)))
    seconds = latencies.build(latency_ms)(len(links), generator) / 1000.0
    return _quickest(compute, nodes, links, seconds)


@topologies
def random_regular(
    compute: int,
    nodes: int,
    generator: np.random.Generator,
    *,
    degree: Annotated[int, Field(ge=2), AtMost("nodes.others", "the number of other nodes")],
    latency_ms: Annotated[Part, latencies] = HUNDRED_MS,
) -> Matrix:
    """Link every node with the same number of neighbours, chosen at random.

    Args:
        compute: number of compute nodes.
        nodes: number of all nodes.
        generator: where the links and latencies come from.
        degree: neighbours of each node, at least 2; nodes times degree must be even.
        latency_ms: the law of a link's latency.

    Returns:
        Delays in seconds along the quickest path, shape (compute, nodes).

    Raises:
        ValueError: no such graph exists.

    >>> random_regular(2, 6, np.random.default_rng(0), degree=2).shape
    (2, 6)
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
    links = _in_order(np.array(connected.edges))
    seconds = latencies.build(latency_ms)(len(links), generator) / 1000.0
    return _quickest(compute, nodes, links, seconds)


def _in_order(links: Links) -> Links:
    """Sort links by their ends: which latency a link draws must not depend on a library's order."""
    ends = np.sort(links, axis=1)
    return ends[np.lexsort((ends[:, 1], ends[:, 0]))]


def _quickest(compute: int, nodes: int, links: Links, seconds: Vector) -> Matrix:
    """Return the delay of the quickest path from each compute node, shape (compute, nodes)."""
    from scipy.sparse import csr_array
    from scipy.sparse.csgraph import dijkstra

    graph = csr_array((seconds, links.T), shape=(nodes, nodes))
    return np.asarray(dijkstra(graph, directed=False, indices=range(compute)))
